// Which tests leave out which flush. Each of these lists belongs to one kind of file; its tests
// (…EveryFlushIsNeededForIt) show that the code asks for exactly these flushes and that with any of
// them left out something that was promised is lost. Every point of kSyncPoints is in some list.
#pragma once

#include <set>

#include "base/disk.h"

namespace fedmesh {

using Flushes = std::set<SyncPoint>;

// PrivateFolderTest, tests/base
inline const Flushes kItemFlushes{SyncPoint::item_file, SyncPoint::item_folder,
                                  SyncPoint::item_erased};
// BlobStoreTest, tests/net
inline const Flushes kBlobFlushes{SyncPoint::blob_data, SyncPoint::blob_folder};
// LedgerDurabilityTest, tests/coordinator/ledger/rocksdb_store
inline const Flushes kLedgerFlushes{SyncPoint::ledger_block, SyncPoint::ledger_head};
// BackupDurabilityTest, tests/coordinator/ledger/rocksdb_store
inline const Flushes kBackupFlushes{SyncPoint::backup_file, SyncPoint::backup_folder};
inline const Flushes kRestoreFlushes{SyncPoint::restored_home, SyncPoint::restored_file,
                                     SyncPoint::restored_folder, SyncPoint::restored_mark};

inline const Flushes kNeededFlushes[] = {kItemFlushes, kBlobFlushes, kLedgerFlushes, kBackupFlushes,
                                         kRestoreFlushes};

}  // namespace fedmesh
