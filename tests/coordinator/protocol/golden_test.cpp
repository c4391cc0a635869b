// The wire format, pinned: a digest that changes here breaks every running network.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <variant>

#include "base/crypto/digest.h"
#include "coordinator/protocol/messages.h"
#include "coordinator/protocol/state.h"
#include "sample_job.h"
#include "samples.h"

namespace fedmesh::protocol {
namespace {

// name -> first 16 hex digits of the BLAKE2b-256 of the encoding.
const std::map<std::string, std::string>& golden() {
  static const std::map<std::string, std::string> kGolden{
      {"message hello", "52c8e1f6b7ae7a24"},
      {"message hello with head", "6557ec0dd0c10e1c"},
      {"message welcome", "d64ef7b18f61a5b6"},
      {"message submit record", "f37ec955cf2d06d5"},
      {"message record result", "b752aef5b6bb3ca1"},
      {"message record refused", "ab5c0b127bcf6794"},
      {"message state update", "48df251eaeee2d3d"},
      {"message blob offer", "6ed7898b718441cc"},
      {"message blob stored", "71467efa6a53f335"},
      {"message blob refused", "639017bdacc0f9b5"},
      {"message state query", "e62519781f56757b"},
      {"message state answer", "e2881c541417703d"},
      {"message block query", "b37140041f8a2e16"},
      {"message block answer", "83de866b742ad95b"},
      {"message status query", "b3a61f9b05563641"},
      {"message status answer", "ec546ea84a0d234d"},
      {"payload admit", "cf61651da0fb6310"},
      {"payload job of records", "e9e7b23686d4fa52"},
      {"payload job of workers", "587d53ae3a9b72b8"},
      {"payload stop", "7f82b2bdf23f5588"},
      {"payload enrol", "58fb3724d458a199"},
      {"payload decline", "5795e127014c6f03"},
      {"payload beacon", "0b5b5a0b6082e5bd"},
      {"payload accept", "a0b1762bd3ae2f21"},
      {"payload commit", "4ffd58db2ceb959d"},
      {"payload reveal", "bbe846b50f5429d2"},
      {"payload avail", "8e3b8fe55a00d480"},
      {"payload attest", "00e62cccf56e6558"},
      {"payload score commit", "6847c320eff2fe8c"},
      {"payload score reveal", "fae14b9e075221a3"},
      {"payload evidence", "9c2cb8df41971c34"},
      {"state job", "4bbdc181cda62a11"},
      {"state spec", "b789999c48ebfd79"},
      {"state round", "2cd149324a671126"},
      {"state contribution", "917ede4be1a98142"},
      {"state node", "5565a50ae4ac5394"},
      {"state banned node", "d6e5302a0a2fc33c"},
  };
  return kGolden;
}

TEST(GoldenTest, EveryEncodingIsAsPinned) {
  for (const Sample& sample : all_samples()) {
    const std::string digest = crypto::blake2b(sample.bytes).hex().substr(0, 16);
    const auto at = golden().find(sample.name);
    EXPECT_TRUE(at != golden().end() && at->second == digest)
        << "      {\"" << sample.name << "\", \"" << digest << "\"},";
  }
  EXPECT_EQ(golden().size(), all_samples().size());
}

TEST(GoldenTest, EveryMessageKindHasASample) {
  std::set<std::size_t> kinds;
  for (const Sample& sample : all_samples()) {
    if (!sample.name.starts_with("message ")) continue;
    const auto message = decode_message(sample.bytes);
    ASSERT_TRUE(message.ok()) << sample.name;
    kinds.insert(message->index());
  }
  EXPECT_EQ(kinds.size(), std::variant_size_v<Message>);
}

TEST(GoldenTest, EverySampleComesBackUnchanged) {
  for (const Sample& sample : all_samples()) {
    const auto back = sample.round_trip(sample.bytes);
    ASSERT_TRUE(back.ok()) << sample.name << ": " << back.error().to_string();
    EXPECT_EQ(*back, sample.bytes) << sample.name;
  }
}

TEST(GoldenTest, KeysSortByNumber) {
  const JobId job{sample_id(1).bytes};
  const std::string hex = job.hex();
  EXPECT_EQ(job_key(job), "job/" + hex);
  EXPECT_EQ(spec_key(job), "spec/" + hex);
  EXPECT_EQ(round_key(job, {RoundNumber{12}, Attempt{3}}),
            "round/" + hex + "/0000000012/0000000003");
  EXPECT_LT(round_key(job, {RoundNumber{9}, Attempt{0}}),
            round_key(job, {RoundNumber{10}, Attempt{0}}));
  EXPECT_TRUE(round_key(job, {}).starts_with(round_prefix(job)));
  EXPECT_EQ(enrol_key(job, NodeId{}), "enrol/" + hex + "/" + NodeId{}.hex());
  EXPECT_EQ(contribution_key(job, RoundNumber{2}, NodeId{}),
            "contribution/" + hex + "/0000000002/" + NodeId{}.hex());
  EXPECT_EQ(node_key(NodeId{}), "node/" + NodeId{}.hex());
}

TEST(GoldenTest, PhasesHaveNames) {
  for (int i = 1; i <= 8; ++i) EXPECT_STRNE(to_string(static_cast<JobPhase>(i)), "unknown");
  for (int i = 1; i <= 9; ++i) EXPECT_STRNE(to_string(static_cast<RoundPhase>(i)), "unknown");
  EXPECT_STREQ(to_string(static_cast<JobPhase>(99)), "unknown");
  EXPECT_STREQ(to_string(static_cast<RoundPhase>(99)), "unknown");
}

TEST(GoldenTest, CommitteeQuorums) {
  RoundState round;
  for (const auto& [members, faults] :
       std::map<std::size_t, std::uint32_t>{{1, 0}, {4, 1}, {7, 2}}) {
    round.members.assign(members, {});
    EXPECT_EQ(round.faults(), faults);
    EXPECT_EQ(round.quorum(), members - faults);
  }
}

}  // namespace
}  // namespace fedmesh::protocol
