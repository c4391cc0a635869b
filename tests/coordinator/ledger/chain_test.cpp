#include "coordinator/ledger/chain.h"

#include <gmock/gmock.h>

#include "tests/coordinator/ledger/toy.h"

namespace fedmesh::ledger {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using toy::certify;
using toy::Network;
using toy::text;

std::string value_at(const Chain& chain, std::string_view key) {
  const Bytes* value = chain.state().get(key);
  return value ? std::string(as_text(*value)) : "(absent)";
}

TEST(ChainTest, BeginsWithTheGenesis) {
  const Network network;
  EXPECT_EQ(network.chain->height(), Height{0});
  EXPECT_EQ(network.chain->head_header(), nullptr);
  EXPECT_EQ(to_bytes(network.chain->head_hash().view()), to_bytes(network.chain->id().view()));
  EXPECT_EQ(network.chain->timestamp(), Instant{1000});
  EXPECT_EQ(value_at(*network.chain, "name"), "toy");
}

TEST(ChainTest, FinalBlocksChangeStateAndLogs) {
  Network network;
  const Record set = network.record(RecordKind::enrol, "a=1", toy::job(1));
  const Record other = network.record(RecordKind::enrol, "b=2");
  network.extend({set, other}, 5000);
  const Record more = network.record(RecordKind::commit, "c", toy::job(1));
  network.extend({more}, 5001);

  const Chain& chain = *network.chain;
  EXPECT_EQ(chain.height(), Height{2});
  EXPECT_EQ(value_at(chain, "kv/a"), "1");
  EXPECT_EQ(chain.log().size(), 3u);
  ASSERT_NE(chain.job_log(toy::job(1)), nullptr);
  EXPECT_EQ(chain.job_log(toy::job(1))->log.size(), 2u);
  EXPECT_EQ(chain.job_log(toy::job(2)), nullptr);
  const auto entry = codec::decode<JobLogEntry>(*chain.state().get(job_log_key(toy::job(1))));
  ASSERT_TRUE(entry.ok());
  EXPECT_EQ(entry->size, 2u);
  EXPECT_EQ(entry->root, chain.job_log(toy::job(1))->log.root());
  const RecordLocation* location = chain.find(record_hash(more));
  ASSERT_NE(location, nullptr);
  EXPECT_EQ(location->height, Height{2});
  EXPECT_EQ(location->log_index, 2u);
  EXPECT_EQ(location->job_index, 1u);
  EXPECT_EQ(*chain.record_at(*location), more);
  EXPECT_EQ(chain.head_header()->log_root, chain.log().root());
  EXPECT_EQ(chain.head_header()->state_root, chain.state().root());
}

TEST(ChainTest, ProposingSkipsWhatIsInadmissibleAndSaysWhy) {
  Network network;
  Record forged = network.record(RecordKind::enrol, "x=1");
  forged.payload = text("x=2");
  const std::vector<Record> candidates = {
      network.record(RecordKind::enrol, "a=1"), forged, network.record(RecordKind::commit, "bad"),
      network.record(RecordKind::stop, "nothing"), network.record(RecordKind::stop, "a")};
  const Proposal proposal = network.propose(candidates, 5000);
  EXPECT_THAT(proposal.included, ElementsAre(0, 4));
  ASSERT_THAT(proposal.refused, SizeIs(3));
  EXPECT_EQ(proposal.refused[0].candidate, 1u);
  EXPECT_THAT(proposal.refused[0].reason.detail, HasSubstr("signature"));
  EXPECT_EQ(proposal.refused[1].reason.detail, "a bad commit");
  EXPECT_EQ(proposal.refused[2].reason.detail, "no key nothing");
  EXPECT_EQ(value_at(*network.chain, "kv/a"), "(absent)") << "a proposal has no effect";
  ASSERT_TRUE(network.chain->commit(network.certified(proposal.block)).ok());
  EXPECT_EQ(value_at(*network.chain, "half"), "(absent)") << "a refused record has no effect";
}

TEST(ChainTest, ARecordEntersOnce) {
  Network network;
  const Record record = network.record(RecordKind::enrol, "a=1");
  Proposal proposal = network.propose({record, record}, 5000);
  EXPECT_THAT(proposal.included, ElementsAre(0));
  EXPECT_EQ(proposal.refused[0].reason.code, ErrorCode::stale);
  network.extend({record}, 5000);
  proposal = network.propose({record}, 5001);
  EXPECT_THAT(proposal.included, IsEmpty());
  EXPECT_EQ(proposal.refused[0].reason.detail, "already in block 1");
  EXPECT_EQ(network.chain->check(record).error().detail, "already in block 1");
}

TEST(ChainTest, SequenceNumbersGrowPerAuthorAndJobWithGaps) {
  Network network;
  const auto record = [&](std::uint64_t seq, const JobId& job, std::uint8_t author = 2) {
    return sign_record(toy::key(author), RecordKind::reveal, network.chain->id(), job, seq, {});
  };
  network.extend({record(5, {})}, 5000);
  const NodeId author = toy::key(2).node_id();
  EXPECT_EQ(network.chain->next_author_seq(author, {}), 6u);
  EXPECT_EQ(network.chain->next_author_seq(author, toy::job(1)), 1u);
  EXPECT_EQ(network.chain->check(record(4, {})).error().code, ErrorCode::stale);
  EXPECT_THAT(network.chain->check(record(5, {})).error().detail, HasSubstr("already in block 1"));
  EXPECT_TRUE(network.chain->check(record(6, {})).ok());
  EXPECT_TRUE(network.chain->check(record(1, toy::job(1))).ok());
  EXPECT_TRUE(network.chain->check(record(1, {}, 3)).ok());
  network.extend({record(UINT64_MAX, {})}, 5001);
  EXPECT_FALSE(network.chain->check(record(UINT64_MAX, {})).ok());
  EXPECT_FALSE(network.chain->check(record(1, {})).ok());
}

TEST(ChainTest, TimestampsGrowEvenIfTheClockStepsBack) {
  Network network;
  network.extend({network.record(RecordKind::reveal, "")}, 5000);
  EXPECT_EQ(network.extend({network.record(RecordKind::reveal, "")}, 10).block.header.timestamp_ms,
            5001);
  EXPECT_FALSE(network.chain->propose({INT64_MAX}, {}, network.founding.committee[0]).ok());
  EXPECT_FALSE(network.chain->propose({6000}, {}, toy::key(55).public_key()).ok());
}

TEST(ChainTest, BlocksAreBounded) {
  Network network;
  std::vector<Record> candidates;
  for (int i = 0; i < 10; ++i) candidates.push_back(network.record(RecordKind::reveal, "12345678"));
  const std::size_t size = encode_record(candidates[0]).size();
  auto proposal = network.chain->propose({5000}, candidates, network.founding.committee[0],
                                         {.records = 3, .bytes = kMaxBodyBytes});
  EXPECT_THAT(proposal->included, ElementsAre(0, 1, 2));
  proposal = network.chain->propose({5000}, candidates, network.founding.committee[0],
                                    {.records = 100, .bytes = 2 * size + size / 2});
  EXPECT_THAT(proposal->included, ElementsAre(0, 1));
  EXPECT_THAT(proposal->refused, IsEmpty());
}

// Every rule that a block can break, by a change to a valid one.
TEST(ChainTest, ValidationNamesTheBrokenRule) {
  Network network;
  network.grow(2);
  const Block good = network
                         .propose({network.record(RecordKind::enrol, "z=1"),
                                   network.record(RecordKind::reveal, "y", toy::job(1))},
                                  9000)
                         .block;
  const auto error = [&](auto change) {
    Block block = good;
    change(block);
    const auto valid = network.chain->validate(block);
    EXPECT_FALSE(network.chain->commit(network.certified(block)).ok() && !valid.ok());
    return valid.ok() ? "" : valid.error().detail;
  };
  using B = Block;
  EXPECT_THAT(error([](B& b) { b.header.version = 2; }), HasSubstr("block 3: header version 2"));
  EXPECT_THAT(error([](B& b) { b.header.chain = {}; }), HasSubstr("belongs to chain"));
  EXPECT_THAT(error([](B& b) { b.header.epoch = 1; }), HasSubstr("epoch 1"));
  EXPECT_THAT(error([](B& b) { b.header.height = {4}; }), HasSubstr("block 3 is expected here"));
  EXPECT_THAT(error([](B& b) { b.header.parent_hash = {}; }), HasSubstr("parent_hash"));
  EXPECT_THAT(error([](B& b) { b.header.timestamp_ms = 2100; }), HasSubstr("timestamp"));
  EXPECT_THAT(error([](B& b) { b.header.timestamp_ms = INT64_MAX; }), HasSubstr("timestamp"));
  EXPECT_THAT(error([](B& b) { b.header.body_root = {}; }), HasSubstr("body_root"));
  EXPECT_THAT(error([](B& b) { b.header.state_root = {}; }), HasSubstr("own execution gives"));
  EXPECT_THAT(error([](B& b) { b.header.log_size += 1; }), HasSubstr("log_size"));
  EXPECT_THAT(error([](B& b) { b.header.log_root = {}; }), HasSubstr("log_root"));
  EXPECT_THAT(error([](B& b) { b.header.committee_hash = {}; }), HasSubstr("another committee"));
  EXPECT_THAT(error([](B& b) { b.header.next_committee_hash = {}; }),
              HasSubstr("another committee"));
  EXPECT_THAT(error([](B& b) { b.header.proposer = toy::key(9).public_key(); }),
              HasSubstr("is not in the committee"));
  EXPECT_THAT(error([](B& b) { b.records.pop_back(); }), HasSubstr("body_root"));
  EXPECT_THAT(error([](B& b) { std::swap(b.records[0], b.records[1]); }), HasSubstr("body_root"));
  EXPECT_THAT(error([](B& b) { b.records[1].payload.push_back(0); }),
              HasSubstr("block 3, record 1 (reveal): signature does not verify"));
  EXPECT_EQ(error([](B&) {}), "");
}

TEST(ChainTest, ABlockWithAnInadmissibleRecordIsInvalid) {
  Network network;
  const Record fine = network.record(RecordKind::enrol, "a=1");
  const Record bad = network.record(RecordKind::commit, "bad");
  Block block = network.propose({fine}, 5000).block;
  block.records.push_back(bad);
  MerkleFrontier log;
  for (const Record& record : block.records) log.append(record_hash(record));
  block.header.body_root = body_root(block.records);
  block.header.log_size = 2;
  block.header.log_root = log.root();
  EXPECT_EQ(network.chain->validate(block).error().detail,
            "block 1, record 1 (commit): a bad commit");
}

TEST(ChainTest, CommitNeedsAQuorumAndChangesNothingWithoutIt) {
  Network network(4);
  const Digest root = network.chain->state().root();
  const Block block = network.propose({network.record(RecordKind::enrol, "a=1")}, 5000).block;
  EXPECT_FALSE(network.chain->commit({block, certify(network.founding, block.header, 2)}).ok());
  EXPECT_EQ(network.chain->height(), Height{0});
  EXPECT_EQ(network.chain->state().root(), root);
  EXPECT_EQ(network.store.head(), Height{0});
  EXPECT_TRUE(network.chain->commit({block, certify(network.founding, block.header, 3)}).ok());
}

// The records must be those that were executed, not only the header.
TEST(ChainTest, CommitNoticesExchangedRecords) {
  Network network;
  Proposal proposal = network.propose({network.record(RecordKind::enrol, "a=1")}, 5000);
  CertifiedBlock block = network.certified(proposal.block);
  block.block.records[0] = network.record(RecordKind::enrol, "a=2");
  EXPECT_FALSE(network.chain->commit(block).ok());
}

TEST(ChainTest, ReplicasAgreeWhateverTheyExecutedInBetween) {
  Network leader(4), follower(4);
  for (int i = 0; i < 5; ++i) {
    const Record set = leader.record(RecordKind::enrol, "k=" + std::to_string(i), toy::job(1));
    const Record noise = leader.record(RecordKind::enrol, "n=" + std::to_string(i));
    const CertifiedBlock block = leader.extend({set}, 5000 + i);
    follower.propose({noise}, 5000 + i);
    ASSERT_TRUE(follower.chain->validate(block.block).ok());
    if (i % 2 == 0) follower.propose({noise}, 6000);
    ASSERT_TRUE(follower.chain->commit(block).ok());
    EXPECT_EQ(follower.chain->state().root(), leader.chain->state().root());
  }
}

TEST(ChainTest, ReopeningReplaysTheStore) {
  Network network;
  network.grow(5);
  const auto again = Chain::open(network.founding, network.machine, network.store);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ((*again)->head_hash(), network.chain->head_hash());
  EXPECT_EQ((*again)->state().root(), network.chain->state().root());
  EXPECT_EQ((*again)->log().root(), network.chain->log().root());
  EXPECT_EQ((*again)->next_author_seq(toy::key(2).node_id(), toy::job(1)), 6u);
}

class BrokenStore final : public Store {
 public:
  Result<void> add(const CertifiedBlock&) override { return unavailable("disk full"); }
  Result<void> flush() override { return {}; }
  Result<CertifiedBlock> get(Height height) const override {
    auto block = source->get(height);
    if (block.ok() && height == broken) block->block.records[0].payload.push_back(1);
    return block;
  }
  Height head() const override { return source ? source->head() : Height{0}; }

  const Store* source = nullptr;
  Height broken;
};

TEST(ChainTest, ReplayNamesTheBrokenBlock) {
  Network network;
  network.grow(3);
  BrokenStore store;
  store.source = &network.store;
  store.broken = Height{2};
  const auto opened = Chain::open(network.founding, network.machine, store);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().to_string(),
            "corruption: stored block 2, record 0 (enrol): signature does not verify");
}

TEST(ChainTest, AFailingStorePassesItsErrorAndChangesNothing) {
  const toy::Machine machine;
  BrokenStore store;
  const Genesis genesis = toy::genesis();
  const auto chain = Chain::open(genesis, machine, store);
  ASSERT_TRUE(chain.ok());
  const Digest root = (*chain)->state().root();
  const auto proposal = (*chain)->propose({5000}, {}, genesis.committee[0]);
  const auto done =
      (*chain)->commit({proposal->block, toy::certify(genesis, proposal->block.header, 1)});
  EXPECT_EQ(done.error().to_string(), "unavailable: disk full");
  EXPECT_EQ((*chain)->height(), Height{0});
  EXPECT_EQ((*chain)->state().root(), root);
}

}  // namespace
}  // namespace fedmesh::ledger
