// Hashes that bind: each depends on every one of its inputs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "coordinator/protocol/round_records.h"
#include "coordinator/protocol/sealing.h"
#include "sample_job.h"

namespace fedmesh::protocol {
namespace {

struct Inputs {
  ChainId chain{sample_id(1).bytes};
  JobId job{sample_id(2).bytes};
  Slot slot{RoundNumber{3}, Attempt{1}};
  Digest base = sample_id(3);
  NodeId worker{sample_id(4).bytes};
  Digest data_root = sample_id(5);
  Digest update = sample_id(6);
  Digest ciphertext_root = sample_id(15);
  std::uint64_t length = 1234;
  std::array<std::uint8_t, 32> content_key = sample_id(16).bytes;
  Digest trace_root = sample_id(7);
  Score score{693'147, 80, 100};
  std::array<std::uint8_t, 32> salt = sample_id(8).bytes;
  Digest config = sample_id(9);
  Digest reveal_set = sample_id(10);
  Digest model = sample_id(11);
  Digest sha256 = sample_id(12);
  std::vector<std::array<std::uint8_t, 32>> shares{sample_id(12).bytes, sample_id(13).bytes};
  crypto::PublicKey author{sample_id(14).bytes};
  std::uint64_t author_seq = 1;
  JobSpec spec = worker_job();
};

using Change = std::function<void(Inputs&)>;
using Hash = std::function<Digest(const Inputs&)>;

void expect_bound(const Hash& hash, const std::vector<Change>& changes) {
  std::set<Digest> seen{hash(Inputs{})};
  EXPECT_EQ(hash(Inputs{}), *seen.begin());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    Inputs inputs;
    changes[i](inputs);
    EXPECT_TRUE(seen.insert(hash(inputs)).second) << "change " << i << " is not bound";
  }
}

TEST(BindingTest, CommitmentCoversEveryInput) {
  expect_bound(
      [](const Inputs& in) {
        return commitment(in.chain, in.job, in.slot, in.base, in.worker, in.data_root, in.update,
                          in.trace_root, in.salt);
      },
      {
          [](Inputs& in) { in.chain.bytes[31] ^= 1; },
          [](Inputs& in) { in.job.bytes[31] ^= 1; },
          [](Inputs& in) { in.slot.round = RoundNumber{4}; },
          [](Inputs& in) { in.slot.attempt = Attempt{2}; },
          [](Inputs& in) { in.base.bytes[0] ^= 1; },
          [](Inputs& in) { in.worker.bytes[0] ^= 1; },
          [](Inputs& in) { in.data_root.bytes[0] ^= 1; },
          [](Inputs& in) { in.update.bytes[0] ^= 1; },
          [](Inputs& in) { in.trace_root.bytes[0] ^= 1; },
          [](Inputs& in) { in.salt[31] ^= 1; },
          [](Inputs& in) { std::swap(in.update, in.trace_root); },
      });
}

TEST(BindingTest, UpdateDigestCoversEveryInput) {
  expect_bound(
      [](const Inputs& in) {
        return update_digest(in.ciphertext_root, in.length, ContentKey(in.content_key));
      },
      {
          [](Inputs& in) { in.ciphertext_root.bytes[31] ^= 1; },
          [](Inputs& in) { in.length = 1235; },
          [](Inputs& in) { in.content_key[0] ^= 1; },
          [](Inputs& in) { std::swap(in.ciphertext_root.bytes, in.content_key); },
      });
}

TEST(BindingTest, ScoreCommitmentCoversEveryInput) {
  expect_bound(
      [](const Inputs& in) {
        return score_commitment(in.chain, in.job, in.slot, in.worker, in.score, in.salt);
      },
      {
          [](Inputs& in) { in.chain.bytes[0] ^= 1; },
          [](Inputs& in) { in.job.bytes[0] ^= 1; },
          [](Inputs& in) { in.slot.round = RoundNumber{4}; },
          [](Inputs& in) { in.slot.attempt = Attempt{2}; },
          [](Inputs& in) { in.worker.bytes[0] ^= 1; },
          [](Inputs& in) { in.score.loss_micro = -1; },
          [](Inputs& in) { in.score.correct = 81; },
          [](Inputs& in) { in.score.count = 101; },
          [](Inputs& in) { in.salt[0] ^= 1; },
      });
}

TEST(BindingTest, AttestationCoversEveryInput) {
  expect_bound(
      [](const Inputs& in) {
        return attest_binding(in.config, in.reveal_set, in.base, in.model, in.sha256);
      },
      {
          [](Inputs& in) { in.config.bytes[0] ^= 1; },
          [](Inputs& in) { in.reveal_set.bytes[0] ^= 1; },
          [](Inputs& in) { in.base.bytes[0] ^= 1; },
          [](Inputs& in) { in.model.bytes[0] ^= 1; },
          [](Inputs& in) { in.sha256.bytes[0] ^= 1; },
          [](Inputs& in) { std::swap(in.base, in.model); },
      });
}

TEST(BindingTest, NoiseSeedCoversEveryInput) {
  expect_bound(
      [](const Inputs& in) {
        return noise_seed(in.chain, in.job, in.slot, in.config, in.reveal_set, in.shares);
      },
      {
          [](Inputs& in) { in.chain.bytes[0] ^= 1; },
          [](Inputs& in) { in.job.bytes[0] ^= 1; },
          [](Inputs& in) { in.slot.round = RoundNumber{4}; },
          [](Inputs& in) { in.slot.attempt = Attempt{2}; },
          [](Inputs& in) { in.config.bytes[0] ^= 1; },
          [](Inputs& in) { in.reveal_set.bytes[0] ^= 1; },
          [](Inputs& in) { in.shares[1][31] ^= 1; },
          [](Inputs& in) { std::swap(in.shares[0], in.shares[1]); },
          [](Inputs& in) { in.shares.pop_back(); },
      });
}

TEST(BindingTest, JobIdCoversEveryInput) {
  expect_bound(
      [](const Inputs& in) {
        return Digest{job_id(in.chain, in.author, in.author_seq, in.spec).bytes};
      },
      {
          [](Inputs& in) { in.chain.bytes[0] ^= 1; },
          [](Inputs& in) { in.author.bytes[0] ^= 1; },
          [](Inputs& in) { in.author_seq = 2; },
          [](Inputs& in) { in.spec.name = "other"; },
          [](Inputs& in) { in.spec.federation.rounds = 6; },
      });
}

}  // namespace
}  // namespace fedmesh::protocol
