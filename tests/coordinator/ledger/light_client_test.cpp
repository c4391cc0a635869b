#include "coordinator/ledger/light_client.h"

#include <gmock/gmock.h>

#include "tests/coordinator/ledger/toy.h"

namespace fedmesh::ledger {
namespace {

using ::testing::HasSubstr;
using toy::certify;
using toy::Network;

struct LightClientTest : ::testing::Test {
  LightClientTest() {
    network.grow(5);
    for (std::uint64_t height = 1; height <= 5; ++height)
      blocks.push_back(*network.chain->get({height}));
  }
  Result<void> advance(std::size_t height) {
    return client.advance(blocks[height - 1].block.header, blocks[height - 1].certificate);
  }
  // Certified by everybody: what only a faulty committee makes.
  Result<void> advance_forged(const Header& header) {
    return client.advance(header, certify(network.founding, header, 4));
  }

  Network network{4};
  std::vector<CertifiedBlock> blocks;
  LightClient client{network.founding};
};

TEST_F(LightClientTest, FollowsWithGapsAndNeverBack) {
  EXPECT_EQ(client.newest(), nullptr);
  EXPECT_TRUE(advance(1).ok());
  EXPECT_TRUE(advance(2).ok());
  EXPECT_TRUE(advance(4).ok());
  EXPECT_TRUE(advance(2).ok()) << "a known header is no step back";
  EXPECT_EQ(advance(3).error().code, ErrorCode::stale);
  EXPECT_EQ(client.newest()->height, Height{4});
  EXPECT_EQ(*client.at({2}), blocks[1].block.header);
  EXPECT_EQ(client.at({3}), nullptr);
}

TEST_F(LightClientTest, NeedsTheCommitteesCertificate) {
  const Header& header = blocks[0].block.header;
  EXPECT_FALSE(client.advance(header, blocks[1].certificate).ok());
  EXPECT_EQ(client.advance(header, certify(network.founding, header, 2)).error().code,
            ErrorCode::unauthenticated);
  Network other(3);
  other.grow(1);
  EXPECT_FALSE(client.advance(*other.chain->head_header(), *other.chain->head_certificate()).ok());
  EXPECT_EQ(client.newest(), nullptr);
}

TEST_F(LightClientTest, ReportsContradictionsOfACommittee) {
  ASSERT_TRUE(advance(1).ok());
  ASSERT_TRUE(advance(2).ok());
  Header fork = blocks[1].block.header;
  fork.state_root = {};
  EXPECT_THAT(advance_forged(fork).error().to_string(), HasSubstr("corruption: block 2: two"));
  const auto error = [&](auto change) {
    Header header = blocks[2].block.header;
    change(header);
    const auto advanced = advance_forged(header);
    return advanced.ok() ? "" : advanced.error().to_string();
  };
  EXPECT_THAT(error([](Header& h) { h.parent_hash = {}; }), HasSubstr("signed a fork"));
  EXPECT_THAT(error([](Header& h) { h.timestamp_ms = 2100; }), HasSubstr("timestamp"));
  EXPECT_THAT(error([](Header& h) { h.log_size = 1; }), HasSubstr("log is shorter"));
  EXPECT_THAT(error([](Header& h) { h.next_committee_hash = {}; }), HasSubstr("impossible"));
  EXPECT_THAT(error([](Header& h) { h.version = 2; }), HasSubstr("not of this chain"));
  EXPECT_EQ(client.newest()->height, Height{2});
  EXPECT_EQ(error([](Header&) {}), "");
}

TEST_F(LightClientTest, ChecksEntriesAgainstKnownHeadersOnly) {
  const StateEntry entry = state_entry(network.chain->state(), "kv/k4");
  EXPECT_EQ(client.check(entry).error().code, ErrorCode::unavailable);
  ASSERT_TRUE(advance(4).ok());
  EXPECT_FALSE(client.check(entry).ok()) << "the entry is of block 5";
  ASSERT_TRUE(advance(5).ok());
  EXPECT_EQ(**client.check(entry), toy::text("v4"));
  EXPECT_TRUE(client.check(entry, {5}).ok());
  EXPECT_EQ(client.check(entry, {3}).error().code, ErrorCode::not_found);
  EXPECT_EQ(*client.check(state_entry(network.chain->state(), "kv/none")), std::nullopt);
  EXPECT_EQ(**client.value_of("kv/k4", entry), toy::text("v4"));
  EXPECT_EQ(client.value_of("kv/k3", entry).error().code, ErrorCode::unauthenticated);
  StateEntry forged = entry;
  forged.value = toy::text("v5");
  EXPECT_FALSE(client.check(forged).ok());
}

TEST_F(LightClientTest, AdvancesAndChecksInOne) {
  const auto proof = prove_state_entry(*network.chain, "kv/k1");
  EXPECT_EQ(**client.advance_and_check(*proof), toy::text("v1"));
  EXPECT_EQ(client.newest()->height, Height{5});
}

TEST_F(LightClientTest, ForgetsTheOldestHeaders) {
  Header header = blocks[4].block.header;
  for (std::size_t i = 0; i < LightClient::kKnownHeaders + 5; ++i) {
    ASSERT_TRUE(client.advance(header, certify(network.founding, header, 3)).ok());
    header.parent_hash = header_hash(header);
    header.height = header.height.next();
    ++header.timestamp_ms;
  }
  EXPECT_EQ(client.at({5}), nullptr);
  EXPECT_NE(client.at({10}), nullptr);
}

}  // namespace
}  // namespace fedmesh::ledger
