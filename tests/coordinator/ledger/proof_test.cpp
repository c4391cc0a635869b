#include "coordinator/ledger/proof.h"

#include <gmock/gmock.h>

#include "tests/coordinator/ledger/toy.h"

namespace fedmesh::ledger {
namespace {

using ::testing::HasSubstr;
using toy::Network;

TEST(RecordProofTest, EveryRecordOfTheChainIsProvable) {
  Network network(4);
  network.grow(6);
  for (Height height{1}; height <= network.chain->height(); height = height.next()) {
    const auto stored = network.chain->get(height);
    for (const Record& record : stored->block.records) {
      const auto proof = prove_record(*network.chain, record_hash(record));
      ASSERT_TRUE(proof.ok());
      const auto decoded = decode_record_proof(encode_proof(*proof));
      ASSERT_TRUE(decoded.ok());
      const auto proven = verify_proof(network.founding, *decoded);
      ASSERT_TRUE(proven.ok()) << proven.error().to_string();
      EXPECT_EQ(*proven, record);
    }
  }
}

TEST(RecordProofTest, NoByteCanChange) {
  Network network;
  network.grow(3);
  for (const std::size_t index : {std::size_t{0}, std::size_t{1}}) {
    const Record record = network.chain->get({2})->block.records[index];
    const Bytes bytes = encode_proof(*prove_record(*network.chain, record_hash(record)));
    EXPECT_EQ(toy::accepted_corruptions(bytes,
                                        [&](ByteView changed) {
                                          const auto proof = decode_record_proof(changed);
                                          return proof.ok() &&
                                                 verify_proof(network.founding, *proof).ok();
                                        }),
              0);
  }
}

TEST(RecordProofTest, BelongsToItsNetworkAndItsJob) {
  Network network;
  network.grow(2);
  const Record record = network.chain->get({1})->block.records[1];
  RecordProof proof = *prove_record(*network.chain, record_hash(record));
  Genesis other = network.founding;
  other.nonce[0] ^= 1;
  EXPECT_FALSE(verify_proof(other, proof).ok());
  proof.job_entry = state_entry(network.chain->state(), job_log_key(toy::job(2)));
  EXPECT_THAT(verify_proof(network.founding, proof).error().detail, HasSubstr("log of job 0101"));
  proof.job_entry.reset();
  EXPECT_FALSE(verify_proof(network.founding, proof).ok());
  EXPECT_EQ(prove_record(*network.chain, Digest{}).error().code, ErrorCode::not_found);
}

TEST(StateEntryProofTest, ProvesPresenceAndAbsence) {
  Network network(4);
  EXPECT_EQ(prove_state_entry(*network.chain, "name").error().code, ErrorCode::unavailable);
  network.grow(4);
  for (const char* key : {"name", "kv/k2", "kv/none", "half"}) {
    const auto proof = prove_state_entry(*network.chain, key);
    const auto value = verify_proof(network.founding, *proof);
    ASSERT_TRUE(value.ok());
    const Bytes* stored = network.chain->state().get(key);
    EXPECT_EQ(*value, stored ? std::optional<Bytes>(*stored) : std::nullopt);
    EXPECT_EQ(toy::accepted_corruptions(encode_proof(*proof),
                                        [&](ByteView changed) {
                                          const auto decoded = decode_state_entry_proof(changed);
                                          return decoded.ok() && decoded->entry.key == key &&
                                                 verify_proof(network.founding, *decoded).ok();
                                        },
                                        500, {0x01}),
              0);
  }
}

}  // namespace
}  // namespace fedmesh::ledger
