#include <rocksdb/db.h>

#include "coordinator/ledger/rocksdb_store/rocksdb_store.h"
#include "tests/coordinator/ledger/rocksdb_store/ledger_fixture.h"

namespace fedmesh::ledger {
namespace {

using ::testing::HasSubstr;

using RocksDbStoreTest = LedgerTest;

TEST_F(RocksDbStoreTest, KeepsBlocksAcrossRestarts) {
  const auto made = blocks(5);
  {
    const auto store = must_open();
    EXPECT_EQ(store->head(), Height{0});
    EXPECT_EQ(store->get({1}).error().code, ErrorCode::not_found);
    for (const auto& block : made) ASSERT_TRUE(store->append(block).ok());
    EXPECT_EQ(store->append(made[2]).error().code, ErrorCode::invalid_argument);
  }
  for (int restart = 0; restart < 3; ++restart) {
    const auto store = must_open();
    EXPECT_EQ(store->head(), Height{5});
    for (std::uint64_t height = 1; height <= 5; ++height)
      EXPECT_EQ(*store->get({height}), made[height - 1]);
    EXPECT_EQ(store->get({6}).error().code, ErrorCode::not_found);
    EXPECT_EQ(store->get({0}).error().code, ErrorCode::not_found);
  }
}

TEST_F(RocksDbStoreTest, AChainOpenedOnItIsTheChainThatWas) {
  const auto store = must_open();
  network_.grow(4);
  for (Height at{1}; at <= network_.chain->height(); at = at.next())
    ASSERT_TRUE(store->append(*network_.chain->get(at)).ok());
  const auto reopened = Chain::open(network_.founding, network_.machine, *store);
  ASSERT_TRUE(reopened.ok()) << reopened.error().to_string();
  EXPECT_EQ((*reopened)->head_hash(), network_.chain->head_hash());
  EXPECT_EQ((*reopened)->state().root(), network_.chain->state().root());
  EXPECT_EQ((*reopened)->log().root(), network_.chain->log().root());
  // ... and goes on.
  const CertifiedBlock next = block();
  EXPECT_TRUE((*reopened)->commit(next).ok());
  EXPECT_EQ(store->head(), network_.chain->height());
}

TEST_F(RocksDbStoreTest, ManyBlocksAtOnceAndMoreThanAWriteBufferHolds) {
  std::vector<CertifiedBlock> made;
  for (int i = 0; i < 12; ++i) {
    std::vector<Record> records;
    for (int j = 0; j < 4; ++j)
      records.push_back(
          network_.record(RecordKind::job, std::string(200'000, static_cast<char>(i))));
    made.push_back(network_.extend(records, 3000 + i));
  }
  {
    const auto store = must_open();
    ASSERT_TRUE(store->append_all(std::span(made).first(6)).ok());
    for (std::size_t i = 6; i < made.size(); ++i) ASSERT_TRUE(store->append(made[i]).ok());
  }
  const auto store = must_open();
  ASSERT_EQ(store->head(), Height{12});
  for (std::uint64_t height = 1; height <= 12; ++height)
    EXPECT_EQ(*store->get({height}), made[height - 1]);
  EXPECT_FALSE(files(".sst").empty());
}

TEST_F(RocksDbStoreTest, IsForOneProcess) {
  const auto store = must_open();
  const auto second = open();
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::unavailable) << second.error().to_string();
}

TEST_F(RocksDbStoreTest, RefusesAnotherChain) {
  fill(blocks(2));
  Genesis other = network_.founding;
  other.network_name = "other";
  const auto opened = RocksDbStore::open(folder(), chain_id(other));
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(opened.error().detail, HasSubstr("genesis.fm"));
  EXPECT_THAT(opened.error().detail, HasSubstr(chain().hex()));
}

TEST_F(RocksDbStoreTest, RefusesWhatANewerProgramMade) {
  fill(blocks(2));
  {
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* raw = nullptr;
    ASSERT_TRUE(
        rocksdb::DB::Open({}, folder().string(),
                          {{rocksdb::kDefaultColumnFamilyName, {}}, {"blocks", {}}, {"meta", {}}},
                          &handles, &raw)
            .ok());
    ASSERT_TRUE(raw->Put({}, handles[2], "schema", "\x02").ok());
    for (auto* handle : handles) raw->DestroyColumnFamilyHandle(handle);
    delete raw;
  }
  const auto opened = open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(opened.error().detail, HasSubstr("made by a newer fedmesh"));
}

TEST_F(RocksDbStoreTest, AReaderSeesWhatAnotherProcessHasWritten) {
  EXPECT_EQ(RocksDbStore::open_read_only(folder(), chain()).error().code, ErrorCode::not_found);
  EXPECT_FALSE(std::filesystem::exists(folder()));
  const auto writer = must_open();
  const auto made = blocks(9);
  for (std::size_t i = 0; i < 7; ++i) ASSERT_TRUE(writer->append(made[i]).ok());
  auto reader = RocksDbStore::open_read_only(folder(), chain());
  ASSERT_TRUE(reader.ok()) << reader.error().to_string();
  EXPECT_EQ((*reader)->head(), Height{7});  // all of it only in the log
  for (std::size_t i = 7; i < 9; ++i) ASSERT_TRUE(writer->append(made[i]).ok());
  EXPECT_EQ((*reader)->head(), Height{7});
  EXPECT_EQ(*(*reader)->get({7}), made[6]);
  EXPECT_EQ((*reader)->append(made[7]).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(*writer->get({9}), made[8]);
}

// Such a block may be lost yet and another one made in its place: no backup may hold it.
TEST_F(RocksDbStoreTest, AReaderDoesNotSeeWhatIsNotDurable) {
  const auto writer = must_open();
  const auto made = blocks(3);
  ASSERT_TRUE(writer->append(made[0]).ok());
  for (std::size_t i = 1; i < 3; ++i) ASSERT_TRUE(writer->add(made[i]).ok());
  const auto before = RocksDbStore::open_read_only(folder(), chain());
  ASSERT_TRUE(before.ok()) << before.error().to_string();
  EXPECT_EQ((*before)->head(), Height{1});
  EXPECT_EQ((*before)->get({2}).error().code, ErrorCode::not_found);
  ASSERT_TRUE(writer->flush().ok());
  EXPECT_EQ(RocksDbStore::open_read_only(folder(), chain()).value()->head(), Height{3});
}

}  // namespace
}  // namespace fedmesh::ledger
