// Files that were cut, flipped, lost or mixed: the ledger either has every final block, or it does
// not open, and then nothing on the disk has changed.
#include <map>

#include "base/random.h"
#include "tests/coordinator/ledger/rocksdb_store/ledger_fixture.h"
#include "tests/coordinator/ledger/rocksdb_store/power_loss_files.h"

namespace fedmesh::ledger {
namespace {

using ::testing::HasSubstr;

class LedgerDamageTest : public LedgerTest {
 protected:
  // No power fails here: what is not flushed is written all the same, and sooner.
  LedgerDamageTest() : made_(blocks(8)) {
    options_.file_system = std::make_shared<PowerLossFiles>();
  }

  std::map<std::string, std::string> everything() const {
    std::map<std::string, std::string> out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(home_))
      if (entry.is_regular_file()) out[entry.path().string()] = file_contents(entry.path());
    return out;
  }
  void put_back(const std::map<std::string, std::string>& all) const {
    std::filesystem::remove_all(folder());
    std::filesystem::create_directory(folder());
    for (const auto& [path, bytes] : all) set_contents(path, bytes);
  }
  std::filesystem::path only(const std::string& extension) const {
    const auto found = files(extension);
    EXPECT_EQ(found.size(), 1u) << extension;
    return found.at(0);
  }
  // Refused with `code`, twice, with nothing changed.
  void expect_refused(const std::string& words) const {
    const auto before = everything();
    for (int i = 0; i < 2; ++i) {
      const auto store = open();
      ASSERT_FALSE(store.ok()) << "opened at height " << (*store)->head().value;
      EXPECT_EQ(store.error().code, ErrorCode::corruption) << store.error().to_string();
      EXPECT_THAT(store.error().detail, HasSubstr(words));
    }
    EXPECT_EQ(before, everything());
  }
  // Either every block is there, as it was, or an error is reported; true for the former.
  bool opens_whole() const {
    const auto store = open();
    if (!store.ok()) return false;
    EXPECT_EQ((*store)->head(), Height{made_.size()});
    for (std::uint64_t height = 1; height <= made_.size(); ++height) {
      const auto got = (*store)->get({height});
      if (!got.ok()) {
        EXPECT_EQ(got.error().code, ErrorCode::corruption);
        EXPECT_THAT(got.error().detail, HasSubstr("block " + std::to_string(height)));
        return false;
      }
      EXPECT_EQ(*got, made_[height - 1]);
    }
    return true;
  }

  std::vector<CertifiedBlock> made_;
};

TEST_F(LedgerDamageTest, ATornEndThatNobodyWasToldOfIsDropped) {
  fill(made_);
  const auto log = only(".log");
  const std::string whole = file_contents(log);
  const auto all = everything();
  const std::string garbage = whole.substr(0, 300);  // a record that stands in the wrong place
  for (const std::string& torn :
       {std::string(1, '\x7f'), std::string(5000, '\0'), garbage.substr(0, 11),
        "\x12\x34\x56\x78\xff\x00\x01" + std::string(100, 'x')}) {
    put_back(all);
    set_contents(log, whole + torn);
    EXPECT_TRUE(opens_whole()) << torn.size();
    EXPECT_TRUE(opens_whole()) << "a second time";
  }
}

TEST_F(LedgerDamageTest, ALogThatWasCutAnywhereIsRefused) {
  fill(made_);
  const auto log = only(".log");
  const std::string whole = file_contents(log);
  for (std::size_t length = 0; length < whole.size(); length += 97) {
    set_contents(log, whole.substr(0, length));
    const auto store = open();
    ASSERT_FALSE(store.ok()) << length << " of " << whole.size();
    EXPECT_EQ(store.error().code, ErrorCode::corruption);
  }
  set_contents(log, whole.substr(0, whole.size() - 1));
  expect_refused("ends at block 7, but block 8 was final");
  std::filesystem::remove(log);
  EXPECT_FALSE(open().ok());
  set_contents(log, whole);
  EXPECT_TRUE(opens_whole());
}

TEST_F(LedgerDamageTest, AFlippedByteOfTheLogIsRefused) {
  fill(made_);
  const auto log = only(".log");
  const std::string whole = file_contents(log);
  for (std::size_t at = 0; at < whole.size(); at += 13) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x20);
    set_contents(log, changed);
    const auto store = open();
    ASSERT_FALSE(store.ok()) << "byte " << at;
    EXPECT_EQ(store.error().code, ErrorCode::corruption);
  }
  std::string changed = whole;
  changed[whole.size() / 2] ^= 1;
  set_contents(log, changed);
  expect_refused("was final");
}

TEST_F(LedgerDamageTest, AFlippedByteOfATableIsReportedNeverReturned) {
  fill(made_);
  { const auto store = must_open(); }  // opening moves the log's blocks into tables
  const auto all = everything();
  int refused = 0;
  for (const auto& table : files(".sst")) {
    const std::string whole = all.at(table.string());
    for (std::size_t at = 0; at < whole.size(); at += 31) {
      put_back(all);
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ 0x04);
      set_contents(table, changed);
      refused += !opens_whole();
    }
    put_back(all);
    set_contents(table, whole.substr(0, whole.size() / 2));
    EXPECT_FALSE(opens_whole());
    put_back(all);
    std::filesystem::remove(table);
    EXPECT_FALSE(opens_whole());
  }
  EXPECT_GT(refused, 100);
  put_back(all);
  EXPECT_TRUE(opens_whole());
}

TEST_F(LedgerDamageTest, AnyFileOfItFlippedOrCutLosesNothingUnnoticed) {
  fill({made_.begin(), made_.begin() + 4});
  {
    const auto store = must_open();
    for (std::size_t i = 4; i < made_.size(); ++i) ASSERT_TRUE(store->append(made_[i]).ok());
  }
  const auto all = everything();
  for (const auto& [path, whole] : all) {
    SCOPED_TRACE(path);
    SeededRandom random(path.size());
    for (int i = 0; i < 12 && !whole.empty(); ++i) {
      put_back(all);
      std::string changed = whole;
      changed[random.below(whole.size())] ^= static_cast<char>(1 << random.below(8));
      set_contents(path, changed);
      (void)opens_whole();
      put_back(all);
      set_contents(path, whole.substr(0, random.below(whole.size())));
      (void)opens_whole();
    }
    put_back(all);
    std::filesystem::remove(path);
    (void)opens_whole();
  }
}

TEST_F(LedgerDamageTest, AnEarlierCopyOfTheDatabaseIsRefused) {
  fill({made_.begin(), made_.begin() + 4});
  std::filesystem::copy(folder(), home_ / "copy", std::filesystem::copy_options::recursive);
  fill({made_.begin() + 4, made_.end()});
  std::filesystem::remove_all(folder());
  std::filesystem::rename(home_ / "copy", folder());
  expect_refused("ends at block 4, but block 8 was final");
}

TEST_F(LedgerDamageTest, ADatabaseThatIsGoneIsNotMadeAnew) {
  fill(made_);
  std::filesystem::remove_all(folder());
  expect_refused("block 8 was final");
  std::filesystem::create_directory(folder());  // a disk that is not mounted
  expect_refused("block 8 was final");
}

TEST_F(LedgerDamageTest, TheMarkSurvivesATornWriteAndIsRefusedWhenGone) {
  fill(made_);
  const auto mark = RocksDbStore::head_file(folder());
  const std::string whole = file_contents(mark);
  for (const std::size_t slot : {0u, 4096u}) {
    std::string torn = whole;
    for (std::size_t i = 0; i < 512; ++i) torn[slot + i] = '\x5a';
    set_contents(mark, torn);
    EXPECT_TRUE(opens_whole());  // and writes the slot again
    set_contents(mark, whole);
  }
  set_contents(mark, std::string(8192, '\0'));
  expect_refused("is damaged");
  set_contents(mark, "");
  expect_refused("is damaged");
  std::filesystem::remove(mark);
  EXPECT_THAT(open().error().detail, HasSubstr("is missing"));
}

TEST_F(LedgerDamageTest, FilesOfTwoLedgersAreNotMixed) {
  fill(made_);
  toy::Network other;
  auto store = RocksDbStore::open(home_ / "other", other.chain->id());
  ASSERT_TRUE(store.ok());
  for (int i = 0; i < 8; ++i)
    ASSERT_TRUE(
        (*store)->append(other.extend({other.record(RecordKind::job, "x")}, 9000 + i)).ok());
  store->reset();
  std::filesystem::copy_file(home_ / "other.head", RocksDbStore::head_file(folder()),
                             std::filesystem::copy_options::overwrite_existing);
  expect_refused("two ledgers are mixed");
}

}  // namespace
}  // namespace fedmesh::ledger
