#include "coordinator/ledger/rocksdb_store/backup.h"

#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "base/codec/codec.h"
#include "coordinator/ledger/export.h"
#include "tests/coordinator/ledger/rocksdb_store/ledger_fixture.h"

namespace fedmesh::ledger {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class LedgerBackupTest : public LedgerTest {
 protected:
  // A coordinator's home with everything that lies there, and a ledger of four blocks.
  LedgerBackupTest() : made_(blocks(4)) {
    EXPECT_TRUE(store_genesis(home_ / "genesis.fm", network_.founding).ok());
    EXPECT_TRUE(crypto::store_key(home_ / "node.key", toy::key(100)).ok());
    EXPECT_TRUE(crypto::store_key(home_ / "operator.key", toy::key(1)).ok());
    for (const char* name : {"items", "blobs"}) fs::create_directory(home_ / name);
    set_contents(home_ / "items/secret", "a round's secret");
    set_contents(home_ / "blobs/00ff", std::string(3'000'000, 'm'));
    set_contents(home_ / "blobs/0a11", "");
    set_contents(home_ / "blobs/11ee.part", "half a model");
    fill(made_);
  }

  Result<BackupManifest> backup(const BackupContents& contents = {}) {
    return create_backup(disk_, home_, copy(), contents, network_.machine);
  }
  Result<BackupManifest> restore(const fs::path& home) {
    return restore_backup(disk_, copy(), home, network_.machine);
  }
  Result<std::unique_ptr<RocksDbStore>> start(const fs::path& home,
                                              std::optional<Height> confirmed = {}) {
    return open_home_ledger(disk_, home, chain(), confirmed);
  }
  fs::path copy() const { return home_ / "copy"; }
  fs::path new_home() const { return home_ / "new/home"; }
  static mode_t mode_of(const fs::path& path) {
    struct stat status {};
    ::stat(path.c_str(), &status);
    return status.st_mode & 0777;
  }
  static std::vector<std::string> names_in(const fs::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
      if (entry.is_regular_file()) names.push_back(fs::relative(entry.path(), folder).string());
    std::sort(names.begin(), names.end());
    return names;
  }

  std::vector<CertifiedBlock> made_;
  SystemDisk disk_;
};

TEST_F(LedgerBackupTest, HoldsGenesisAndLedgerAndNoSecret) {
  const auto made = backup();
  ASSERT_TRUE(made.ok()) << made.error().to_string();
  EXPECT_EQ(made->height, Height{4});
  EXPECT_EQ(made->head, network_.chain->head_hash());
  EXPECT_THAT(names_in(copy()), ::testing::ElementsAre("genesis.fm", "ledger.export", "manifest"));
  EXPECT_EQ(mode_of(copy()), 0700u);
  const auto ledger = read_export(copy() / "ledger.export");
  ASSERT_TRUE(ledger.ok());
  EXPECT_EQ(ledger->blocks, made_);
  EXPECT_FALSE(fs::exists(copy().string() + ".part"));
  const auto again = backup();
  ASSERT_FALSE(again.ok());
  EXPECT_THAT(again.error().detail, HasSubstr("never overwritten"));
}

TEST_F(LedgerBackupTest, HoldsKeyAndBlobsOnlyWhenAsked) {
  const auto made = backup({.key = true, .blobs = true});
  ASSERT_TRUE(made.ok()) << made.error().to_string();
  EXPECT_THAT(names_in(copy()), ::testing::ElementsAre("blobs/00ff", "blobs/0a11", "genesis.fm",
                                                       "ledger.export", "manifest", "node.key"));
  EXPECT_EQ(mode_of(copy() / "node.key"), 0600u);
  EXPECT_EQ(made->blobs(), 2u);
  EXPECT_GT(made->bytes(), 3'000'000u);
}

// While the first blob is copied its coordinator removes it, and writes another one over its file.
class ReusingDisk final : public Disk {
 public:
  Result<std::unique_ptr<DiskFile>> open(const fs::path& path, Mode mode) override {
    auto file = disk_.open(path, mode);
    const fs::path spare = path.parent_path() / "spare-1.part";
    if (path.filename() == "00ff" && mode == Mode::read && file.ok()) {
      EXPECT_TRUE(disk_.rename(path, spare).ok());
      const auto over = disk_.open(spare, Mode::update);
      EXPECT_TRUE((*over)->write(1'000'000, Bytes(1'000'000, 'x')).ok());
    }
    return file;
  }
  Result<void> rename(const fs::path& from, const fs::path& to) override {
    return disk_.rename(from, to);
  }
  Result<void> remove(const fs::path& path) override { return disk_.remove(path); }
  Result<void> sync_folder(const fs::path& folder, SyncPoint point) override {
    return disk_.sync_folder(folder, point);
  }
  Result<void> create_folders(const fs::path& folder) override {
    return disk_.create_folders(folder);
  }
  Result<std::vector<std::string>> list(const fs::path& folder) const override {
    return disk_.list(folder);
  }

 private:
  SystemDisk disk_;
};

TEST_F(LedgerBackupTest, WhatIsWrittenOverMeanwhileIsLeftOut) {
  ReusingDisk disk;
  const auto made = create_backup(disk, home_, copy(), {.blobs = true}, network_.machine);
  ASSERT_TRUE(made.ok()) << made.error().to_string();
  EXPECT_EQ(made->blobs(), 1u);
  EXPECT_FALSE(fs::exists(copy() / "blobs/00ff"));
  EXPECT_TRUE(restore(new_home()).ok());
}

TEST_F(LedgerBackupTest, OfAHomeWithoutALedgerOrWithADamagedOneIsRefused) {
  EXPECT_FALSE(create_backup(disk_, home_ / "nowhere", copy(), {}, network_.machine).ok());
  const auto log = files(".log").at(0);
  fs::resize_file(log, fs::file_size(log) - 1);
  const auto made = backup();
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.error().detail, HasSubstr("block 4 was final"));
  EXPECT_FALSE(fs::exists(copy()));
  EXPECT_FALSE(fs::exists(copy().string() + ".part"));
}

// The writer appends, and its write buffer moves to tables many times meanwhile.
TEST_F(LedgerBackupTest, IsWholeWhileACoordinatorIsAtWork) {
  const auto store = must_open();
  std::vector<CertifiedBlock> more;
  for (int i = 0; i < 60; ++i)
    more.push_back(network_.extend(
        {network_.record(RecordKind::job, std::string(120'000, static_cast<char>(i)))}, 9000 + i));
  std::atomic<std::uint64_t> final{4};
  std::thread writer([&] {
    for (const auto& block : more) {
      EXPECT_TRUE(store->append(block).ok());
      final = block.block.header.height.value;
    }
  });
  int taken = 0;
  for (bool last = false; !last; ++taken) {
    const std::uint64_t before = final;
    last = before == 64;
    const fs::path to = home_ / ("copy-" + std::to_string(taken));
    const auto made = create_backup(disk_, home_, to, {}, network_.machine);
    EXPECT_TRUE(made.ok()) << made.error().to_string();
    if (!made.ok()) break;
    EXPECT_GE(made->height.value, before);
    EXPECT_TRUE(verify_export(*read_export(to / "ledger.export"), network_.machine).ok());
    fs::remove_all(to);
  }
  writer.join();
  EXPECT_GE(taken, 2);
}

TEST_F(LedgerBackupTest, ARestoredLedgerGoesOnOnceItIsConfirmed) {
  ASSERT_TRUE(backup({.key = true, .blobs = true}).ok());
  const auto restored = restore(new_home());
  ASSERT_TRUE(restored.ok()) << restored.error().to_string();
  EXPECT_EQ(restored->height, Height{4});
  EXPECT_EQ(mode_of(new_home() / "node.key"), 0600u);
  EXPECT_EQ(file_contents(new_home() / "node.key"), file_contents(home_ / "node.key"));
  EXPECT_EQ(file_contents(new_home() / "genesis.fm"), file_contents(home_ / "genesis.fm"));
  EXPECT_EQ(file_contents(new_home() / "blobs/00ff"), file_contents(home_ / "blobs/00ff"));
  EXPECT_FALSE(fs::exists(new_home() / "items"));
  EXPECT_EQ(file_contents(new_home() / "restored"), "4\n");

  for (const auto confirmed : {std::optional<Height>(), std::optional(Height{3})}) {
    const auto refused = start(new_home(), confirmed);
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.error().detail, HasSubstr("--confirm-restored 4"));
    EXPECT_THAT(refused.error().detail, HasSubstr("fork"));
  }
  {
    auto store = start(new_home(), Height{4});
    ASSERT_TRUE(store.ok()) << store.error().to_string();
    const auto chain = Chain::open(network_.founding, network_.machine, **store);
    ASSERT_TRUE(chain.ok());
    EXPECT_EQ((*chain)->head_hash(), network_.chain->head_hash());
    EXPECT_TRUE((*chain)->commit(block()).ok());
  }
  EXPECT_FALSE(fs::exists(new_home() / "restored"));
  const auto later = start(new_home());
  ASSERT_TRUE(later.ok()) << later.error().to_string();
  EXPECT_EQ((*later)->head(), Height{5});
}

TEST_F(LedgerBackupTest, NothingThatIsThereIsOverwritten) {
  ASSERT_TRUE(backup({.key = true}).ok());
  EXPECT_THAT(restore(home_).error().detail, HasSubstr("never overwritten"));
  fs::create_directories(new_home());
  ASSERT_TRUE(crypto::store_key(new_home() / "node.key", toy::key(101)).ok());
  EXPECT_THAT(restore(new_home()).error().detail, HasSubstr("not the key of this network"));
  fs::remove(new_home() / "node.key");
  Genesis other = network_.founding;
  other.network_name = "other";
  ASSERT_TRUE(store_genesis(new_home() / "genesis.fm", other).ok());
  EXPECT_THAT(restore(new_home()).error().detail, HasSubstr("another network"));
  fs::remove(new_home() / "genesis.fm");
  const auto lock = FolderLock::take(new_home(), "");
  EXPECT_THAT(restore(new_home()).error().detail, HasSubstr("another process"));
  EXPECT_FALSE(fs::exists(new_home() / "restored"));
}

TEST_F(LedgerBackupTest, ARestoreThatDidNotFinishIsNoLedger) {
  ASSERT_TRUE(backup({.key = true}).ok());
  ASSERT_TRUE(restore(new_home()).ok());
  fs::remove_all(new_home() / "ledger");
  fs::remove(new_home() / "ledger.head");
  EXPECT_THAT(start(new_home(), Height{4}).error().detail, HasSubstr("not restored completely"));
  EXPECT_FALSE(fs::exists(new_home() / "ledger"));
  ASSERT_TRUE(restore(new_home()).ok());
  EXPECT_TRUE(start(new_home(), Height{4}).ok());
}

TEST_F(LedgerBackupTest, ADamagedBackupIsRefusedWithTheFilesName) {
  ASSERT_TRUE(backup({.key = true, .blobs = true}).ok());
  for (const std::string& name : names_in(copy())) {
    SCOPED_TRACE(name);
    const std::string whole = file_contents(copy() / name);
    std::vector<std::string> damaged;
    for (std::size_t at = 0; at < whole.size(); at += 1 + whole.size() / 40) {
      damaged.push_back(whole);
      damaged.back()[at] ^= 1;
    }
    if (!whole.empty()) damaged.push_back(whole.substr(0, whole.size() - 1));
    if (!whole.empty()) damaged.push_back("");
    damaged.push_back(whole + "x");
    for (const std::string& bytes : damaged) {
      set_contents(copy() / name, bytes);
      const auto restored = restore(new_home());
      ASSERT_FALSE(restored.ok());
      EXPECT_EQ(restored.error().code, ErrorCode::corruption);
      EXPECT_THAT(restored.error().detail, HasSubstr((copy() / name).string()));
    }
    fs::remove(copy() / name);
    EXPECT_THAT(restore(new_home()).error().detail, HasSubstr((copy() / name).string()));
    set_contents(copy() / name, whole);
    EXPECT_FALSE(fs::exists(new_home()));
  }
  fs::permissions(copy() / "node.key", fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_TRUE(restore(new_home()).ok());
}

// A manifest that was made to fit does not make a bad ledger good.
TEST_F(LedgerBackupTest, AForgedLedgerInAGoodManifestIsRefused) {
  ASSERT_TRUE(backup().ok());
  std::string blocks = file_contents(copy() / "ledger.export");
  blocks[blocks.size() / 2] ^= 1;
  set_contents(copy() / "ledger.export", blocks);
  const std::string text = file_contents(copy() / "manifest");
  auto manifest = decode_backup_manifest(as_bytes(text));
  ASSERT_TRUE(manifest.ok());
  for (auto& file : manifest->files)
    if (file.name == "ledger.export")
      file = *measure_file(disk_, copy() / "ledger.export", "ledger.export");
  set_contents(copy() / "manifest", std::string(as_text(encode_backup_manifest(*manifest))));
  const auto restored = restore(new_home());
  ASSERT_FALSE(restored.ok());
  EXPECT_THAT(restored.error().detail, HasSubstr("ledger.export"));
  EXPECT_FALSE(fs::exists(new_home()));
  for (const char* name :
       {"../node.key", "blobs/../../x", "blobs/.x", "blobs/", "/etc/x", "blobs/a/b"}) {
    BackupManifest hostile = *manifest;
    hostile.files.push_back({name, 0, {}});
    EXPECT_FALSE(decode_backup_manifest(encode_backup_manifest(hostile)).ok()) << name;
  }
}

// It cannot go on where it was, and must not begin anew.
TEST_F(LedgerBackupTest, AHomeWhoseLedgerWasInMemoryIsRefused) {
  const fs::path old = home_ / "old";
  fs::create_directories(old);
  std::ofstream(old / "chain.started").flush();
  const auto refused = start(old);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().detail, HasSubstr("lived in the memory"));
  EXPECT_FALSE(fs::exists(old / "ledger"));
}

}  // namespace
}  // namespace fedmesh::ledger
