// The ledger as one file, for auditors: everything from the genesis on, verifiable offline. Every
// byte is significant: whatever is changed, reading or verifying fails. Grammar: FORMAT.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <ostream>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "coordinator/ledger/block.h"
#include "coordinator/ledger/chain.h"
#include "coordinator/ledger/genesis.h"
#include "coordinator/ledger/state_machine.h"

namespace fedmesh::ledger {

inline constexpr std::size_t kMaxExportBytes = std::size_t{4} << 30;

// Streams blocks in height order. Not thread-safe; `out` must outlive it.
class ExportWriter {
 public:
  ExportWriter(std::ostream& out, const Genesis& genesis);
  Result<void> add(const CertifiedBlock& block);  // invalid_argument: not the next height
  Result<void> finish();                          // once, at the end; unavailable: writing failed

 private:
  void frame(ByteView bytes);

  std::ostream& out_;
  Digest head_;
  std::uint64_t blocks_ = 0;
};

Result<void> write_export(std::ostream& out, const Chain& chain);
// Writes beside the file and renames, so that a half-written export never has the final name.
Result<void> write_export(const std::filesystem::path& path, const Chain& chain);

struct Export {
  Genesis genesis;
  std::vector<CertifiedBlock> blocks;  // heights 1, 2, ...
};

// Form only: magic, frames, canonical encodings, the trailer. corruption says where.
Result<Export> read_export(ByteView bytes);
Result<Export> read_export(const std::filesystem::path& path);

// Everything but execution: genesis, heights, hashes, certificates, record signatures, sequence
// numbers, body roots and the global log. Errors name the place:
// "block 12, record 3 (commit): signature does not verify".
Result<void> verify_export(const Export& ledger);
// Also executes every block and compares its state_root. Returns the replayed chain's final state
// to `inspect`, if given.
Result<void> verify_export(const Export& ledger, const StateMachine& machine,
                           const std::function<void(const Chain&)>& inspect = {});

}  // namespace fedmesh::ledger
