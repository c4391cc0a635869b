#include "coordinator/consensus/solo.h"

#include <gmock/gmock.h>

#include "tests/coordinator/ledger/toy.h"

namespace fedmesh::consensus {
namespace {

using ledger::Record;
using ledger::RecordKind;
using ledger::toy::key;
using ledger::toy::Network;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

template <class T>
std::vector<T> all(const Effects& effects) {
  std::vector<T> found;
  for (const Effect& effect : effects)
    if (const T* one = std::get_if<T>(&effect)) found.push_back(*one);
  return found;
}

struct SoloTest : ::testing::Test {
  Effects submit(std::vector<Record> records, std::int64_t now) {
    return solo->step({now}, Submit{std::move(records)});
  }
  Effects tick(std::int64_t now) { return solo->step({now}, Tick{}); }
  std::unique_ptr<Solo> make(const SoloOptions& options = {}) {
    auto made = Solo::create(*network.chain, key(100), options);
    EXPECT_TRUE(made.ok());
    return std::move(*made);
  }

  Network network;
  std::unique_ptr<Solo> solo = make();
};

TEST_F(SoloTest, MakesOneFinalBlockOfWhatWaits) {
  const Record a = network.record(RecordKind::enrol, "a=1");
  const Record b = network.record(RecordKind::enrol, "b=2");
  const Effects effects = submit({a, b}, 5000);
  const auto blocks = all<Finalized>(effects);
  ASSERT_THAT(blocks, SizeIs(1));
  const auto& block = blocks[0].block;
  EXPECT_THAT(block.block.records, ::testing::ElementsAre(a, b));
  EXPECT_EQ(block.block.header.timestamp_ms, 5000);
  EXPECT_TRUE(
      ledger::verify_certificate(block.certificate, block.block.header, network.founding.committee)
          .ok());
  const auto accepted = all<Accepted>(effects);
  ASSERT_THAT(accepted, SizeIs(2));
  EXPECT_EQ(accepted[1].record, ledger::record_hash(b));
  EXPECT_EQ(accepted[1].height, Height{1});
  EXPECT_EQ(network.store.head(), Height{1});
  EXPECT_EQ(solo->pending_records(), 0u);
}

TEST_F(SoloTest, MakesNoEmptyBlocks) {
  EXPECT_THAT(tick(5000), IsEmpty());
  EXPECT_THAT(solo->step({5000}, PeerMessage{{}, {1, 2, 3}}), IsEmpty());
  const Effects effects = submit({network.record(RecordKind::commit, "bad")}, 5001);
  EXPECT_THAT(all<Finalized>(effects), IsEmpty());
  EXPECT_EQ(network.chain->height(), Height{0});
}

TEST_F(SoloTest, ReportsWhyARecordIsRejected) {
  const Record good = network.record(RecordKind::enrol, "a=1");
  const Record bad = network.record(RecordKind::commit, "bad");
  Record forged = network.record(RecordKind::enrol, "x=1");
  forged.payload.push_back('2');
  const Effects effects = submit({good, bad, forged, good}, 5000);
  const auto rejected = all<Rejected>(effects);
  ASSERT_THAT(rejected, SizeIs(2));
  EXPECT_EQ(rejected[0].record, ledger::record_hash(forged));
  EXPECT_THAT(rejected[0].reason.detail, HasSubstr("signature"));
  EXPECT_EQ(rejected[1].record, ledger::record_hash(bad));
  EXPECT_EQ(rejected[1].reason.detail, "a bad commit");
  EXPECT_THAT(all<Accepted>(effects), SizeIs(1)) << "a duplicate is answered once";
  const auto again = all<Rejected>(submit({good}, 5001));
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].reason.detail, "already in block 1");
}

TEST_F(SoloTest, TimestampsGrowWhateverTheClockDoes) {
  for (const std::int64_t now : {5000, 5000, 10, 4999, 9000})
    submit({network.record(RecordKind::reveal, "")}, now);
  std::vector<std::int64_t> times;
  for (std::uint64_t height = 1; height <= 5; ++height)
    times.push_back(network.chain->get({height})->block.header.timestamp_ms);
  EXPECT_THAT(times, ::testing::ElementsAre(5000, 5001, 5002, 5003, 9000));
}

TEST_F(SoloTest, RecordsOfOneAuthorGoInTheirOrder) {
  const Record first = network.record(RecordKind::enrol, "k=1");
  const Record second = network.record(RecordKind::enrol, "k=2");
  const Record other = network.record(RecordKind::enrol, "o=1", {}, 3);
  const Effects effects = submit({second, other, first}, 5000);
  EXPECT_THAT(all<Rejected>(effects), IsEmpty());
  EXPECT_THAT(all<Finalized>(effects)[0].block.block.records,
              ::testing::ElementsAre(first, other, second));
}

TEST_F(SoloTest, ADueDeadlineCountsAsAWaitingRecord) {
  Effects effects = submit({network.record(RecordKind::decline, "8000")}, 5000);
  auto wake = all<WakeAt>(effects);
  ASSERT_THAT(wake, SizeIs(1));
  EXPECT_EQ(wake[0].at, Instant{8000});
  effects = tick(7999);
  EXPECT_THAT(all<Finalized>(effects), IsEmpty());
  EXPECT_EQ(all<WakeAt>(effects)[0].at, Instant{8000});
  effects = tick(8000);
  ASSERT_THAT(all<Finalized>(effects), SizeIs(1));
  EXPECT_THAT(all<Finalized>(effects)[0].block.block.records, IsEmpty());
  EXPECT_EQ(*network.chain->state().get("fired"), ledger::toy::text("+"));
  EXPECT_THAT(all<WakeAt>(effects), IsEmpty());
  EXPECT_THAT(tick(9000), IsEmpty());
}

TEST_F(SoloTest, ADeadlineThatABlockDidNotClearIsNotTriedAgain) {
  network.machine.never_clears = true;
  submit({network.record(RecordKind::decline, "8000")}, 5000);
  EXPECT_THAT(all<Finalized>(tick(8000)), SizeIs(1));
  EXPECT_THAT(tick(8001), IsEmpty());
  network.machine.never_clears = false;
  EXPECT_THAT(all<Finalized>(submit({network.record(RecordKind::decline, "8500")}, 8100)),
              SizeIs(1));
  EXPECT_THAT(all<Finalized>(tick(8500)), SizeIs(1));
}

TEST_F(SoloTest, WorksThroughMoreThanOneBlockAndAsksForMoreTime) {
  solo = make({.pool = {}, .block = {.records = 2}, .blocks_per_step = 2});
  std::vector<Record> records;
  for (int i = 0; i < 5; ++i) records.push_back(network.record(RecordKind::reveal, ""));
  Effects effects = submit(records, 5000);
  EXPECT_THAT(all<Finalized>(effects), SizeIs(2));
  EXPECT_EQ(solo->pending_records(), 1u);
  EXPECT_EQ(all<WakeAt>(effects)[0].at, Instant{5000});
  effects = tick(5000);
  EXPECT_THAT(all<Finalized>(effects), SizeIs(1));
  EXPECT_EQ(network.chain->log().size(), 5u);
}

TEST_F(SoloTest, NeedsExactlyTheGenesisKey) {
  EXPECT_FALSE(Solo::create(*network.chain, key(1)).ok());
  Network four(4);
  const auto made = Solo::create(*four.chain, key(100));
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.error().detail, HasSubstr("committee of 4"));
  EXPECT_FALSE(Solo::create(*network.chain, key(100), {.pool = {}, .block = {.records = 0}}).ok());
}

class FullDisk final : public ledger::Store {
 public:
  Result<void> add(const ledger::CertifiedBlock&) override { return unavailable("disk full"); }
  Result<void> flush() override { return {}; }
  Result<ledger::CertifiedBlock> get(Height) const override { return not_found("nothing here"); }
  Height head() const override { return {0}; }
};

TEST_F(SoloTest, HaltsWhenTheStoreFails) {
  FullDisk disk;
  auto chain = ledger::Chain::open(network.founding, network.machine, disk);
  auto halting = Solo::create(**chain, key(100));
  const Record record = network.record(RecordKind::enrol, "a=1");
  const Effects effects = (*halting)->step({5000}, Submit{{record}});
  EXPECT_EQ(all<Halted>(effects)[0].reason.detail, "disk full");
  EXPECT_THAT(all<Accepted>(effects), IsEmpty());
  EXPECT_THAT(all<Finalized>(effects), IsEmpty());
  EXPECT_THAT((*halting)->step({5001}, Submit{{record}}), IsEmpty());
}

TEST_F(SoloTest, EqualEventsGiveEqualChains) {
  Network twin;
  auto other = *Solo::create(*twin.chain, key(100));
  for (int i = 0; i < 20; ++i) {
    const Record record = network.record(RecordKind::enrol, "k=" + std::to_string(i));
    submit({record}, 5000 + i);
    other->step({5000 + i}, Submit{{record}});
  }
  EXPECT_EQ(network.chain->head_hash(), twin.chain->head_hash());
}

}  // namespace
}  // namespace fedmesh::consensus
