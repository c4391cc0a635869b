// Consent, blob fetching, the outbox and the transfer of an opening on their own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/crypto/blob_hash.h"
#include "tests/worker/worker_fixture.h"

namespace fedmesh::worker {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(ConsentTest, EveryRuleRefusesAndSaysWhy) {
  const auto owner = test_key(50).public_key();
  const Capabilities machine{.memory_mb = 1000, .gpu = false};
  struct Case {
    const char* expected;
    std::function<void(ConsentPolicy&, protocol::JobSpec&)> change;
    std::int64_t spent = 0;
  };
  const std::vector<Case> cases{
      {"submitter",
       [](ConsentPolicy& p, protocol::JobSpec&) {
         ASSERT_TRUE(p.allow_submitter(test_key(51).public_key().hex()).ok());
       }},
      {"architecture",
       [](ConsentPolicy& p, protocol::JobSpec&) { ASSERT_TRUE(p.allow_architecture("cnn").ok()); }},
      {"without noise",
       [](ConsentPolicy& p, protocol::JobSpec& s) {
         p.require_privacy = true;
         s = clinics_job();
       }},
      {"without noise",
       [](ConsentPolicy& p, protocol::JobSpec& s) {
         p.max_epsilon_nano = 1;
         s = clinics_job();
       }},
      {"allows a job 0.5",
       [](ConsentPolicy& p, protocol::JobSpec&) { p.max_epsilon_per_job_nano = 500'000'000; }},
      {"earlier jobs have 1.5 of the 2",
       [](ConsentPolicy& p, protocol::JobSpec&) { p.max_epsilon_nano = 2'000'000'000; },
       1'500'000'000},
      {"2000 MB", [](ConsentPolicy&, protocol::JobSpec& s) { s.requirements.memory_mb = 2000; }},
      {"GPU", [](ConsentPolicy&, protocol::JobSpec& s) { s.requirements.gpu = true; }},
  };
  EXPECT_TRUE(check({}, machine, private_clinics_job(), owner, 0).ok());
  for (const Case& c : cases) {
    ConsentPolicy policy;
    protocol::JobSpec spec = private_clinics_job();
    c.change(policy, spec);
    const auto checked = check(policy, machine, spec, owner, c.spent);
    ASSERT_FALSE(checked.ok()) << c.expected;
    EXPECT_THAT(checked.error().detail, HasSubstr(c.expected));
  }
}

TEST(ConsentTest, SubmittersByKeyOrNodeId) {
  const auto key = test_key(50).public_key();
  for (const std::string& hex : {key.hex(), crypto::node_id_of(key.view()).hex()}) {
    ConsentPolicy policy;
    ASSERT_TRUE(policy.allow_submitter(hex).ok());
    EXPECT_TRUE(check(policy, {}, clinics_job(), key, 0).ok());
  }
  ConsentPolicy policy;
  EXPECT_FALSE(policy.allow_submitter("zz").ok());
  EXPECT_THAT(policy.allow_architecture("transformer").error().detail, HasSubstr("logistic"));
}

TEST(ConsentTest, HoursMayPassMidnight) {
  const auto at = [](int hour, int minute) {
    return Instant{1'700'006'400'000 + (hour * 60 + minute) * 60'000};  // a midnight in UTC, and on
  };
  ConsentPolicy policy;
  EXPECT_TRUE(policy.works_at(at(12, 0)));
  ASSERT_TRUE(policy.set_hours("22:00-06:30").ok());
  EXPECT_TRUE(policy.works_at(at(22, 0)));
  EXPECT_TRUE(policy.works_at(at(6, 29)));
  EXPECT_FALSE(policy.works_at(at(6, 30)));
  EXPECT_FALSE(policy.works_at(at(21, 59)));
  ASSERT_TRUE(policy.set_hours("08:00-17:00").ok());
  EXPECT_TRUE(policy.works_at(at(8, 0)));
  EXPECT_FALSE(policy.works_at(at(17, 0)));
  for (const char* wrong : {"", "8-17", "24:00-06:00", "22:60-06:00", "22:00-22:00", "ab:cd-ef:gh"})
    EXPECT_THAT(policy.set_hours(wrong).error().detail, HasSubstr("HH:MM-HH:MM")) << wrong;
}

class BlobFetcherTest : public testing::Test {
 protected:
  BlobFetcherTest() : blob_(10 * protocol::kFrameBytes + 100) {
    for (std::size_t i = 0; i < blob_.size(); ++i) blob_[i] = static_cast<std::uint8_t>(i / 7);
    root_ = crypto::blob_root(blob_);
  }
  protocol::BlobFrame frame(std::uint64_t offset) const {
    const auto rest = ByteView(blob_).subspan(offset);
    return {root_, blob_.size(), offset,
            to_bytes(rest.first(std::min(rest.size(), protocol::kFrameBytes)))};
  }
  Bytes blob_;
  Digest root_;
  BlobFetcher fetcher_;
  Instant now_{1000};
};

TEST_F(BlobFetcherTest, AsksForAWindowAndVerifiesTheWhole) {
  EXPECT_EQ(fetcher_.want(root_, blob_.size()), nullptr);
  auto requests = fetcher_.requests(now_);
  ASSERT_THAT(requests, SizeIs(1));
  std::size_t asked = 1;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    ASSERT_TRUE(fetcher_.receive(now_, frame(requests[i].offset)).ok());
    const auto more = fetcher_.requests(now_);
    requests.insert(requests.end(), more.begin(), more.end());
    EXPECT_LE(requests.size() - i, 1 + BlobFetcher::kWindowBytes / protocol::kFrameBytes);
    asked = requests.size();
  }
  EXPECT_EQ(asked, 11u) << "every frame once";
  ASSERT_NE(fetcher_.want(root_, blob_.size()), nullptr);
  EXPECT_EQ(*fetcher_.want(root_, blob_.size()), blob_);
}

TEST_F(BlobFetcherTest, ResumesAfterLinkLoss) {
  fetcher_.want(root_, blob_.size());
  ASSERT_THAT(fetcher_.requests(now_), SizeIs(1));
  ASSERT_TRUE(fetcher_.receive(now_, frame(0)).ok());
  EXPECT_THAT(fetcher_.requests(now_), SizeIs(8));
  fetcher_.link_lost();
  EXPECT_THAT(fetcher_.requests(now_), SizeIs(8));
  EXPECT_EQ(fetcher_.progress(root_)->first, protocol::kFrameBytes);
}

TEST_F(BlobFetcherTest, BoundsAndRefusals) {
  fetcher_.want(root_, 1000);
  ASSERT_THAT(fetcher_.requests(now_), SizeIs(1));
  EXPECT_FALSE(fetcher_.receive(now_, frame(0)).ok()) << "larger than makes sense";
  EXPECT_THAT(fetcher_.requests(now_ + BlobFetcher::kRetry), IsEmpty());

  BlobFetcher other;
  other.want(root_, blob_.size());
  ASSERT_THAT(other.requests(now_), SizeIs(1));
  auto wrong = frame(0);
  wrong.bytes.pop_back();
  EXPECT_FALSE(other.receive(now_, wrong).ok());
  EXPECT_FALSE(other.receive(now_, frame(protocol::kFrameBytes)).ok()) << "out of order";
  other.receive(now_, protocol::BlobMissing{root_});
  EXPECT_THAT(other.requests(now_), IsEmpty());
  EXPECT_THAT(other.requests(now_ + BlobFetcher::kRetry), SizeIs(1));
  other.keep_only({});
  EXPECT_TRUE(*other.receive(now_, frame(0)) == false) << "no longer wanted: ignored";
}

TEST_F(BlobFetcherTest, AFlippedBitIsFound) {
  fetcher_.want(root_, blob_.size());
  Result<bool> last = false;
  for (int i = 0; i < 11; ++i) {
    (void)fetcher_.requests(now_);
    auto piece = frame(static_cast<std::uint64_t>(i) * protocol::kFrameBytes);
    if (i == 5) piece.bytes[17] ^= 4;
    last = fetcher_.receive(now_, piece);
  }
  EXPECT_EQ(last.error().code, ErrorCode::corruption);
  EXPECT_EQ(fetcher_.want(root_, blob_.size()), nullptr);
}

TEST(OpeningTransferTest, SendsAWindowAndFollowsTheMember) {
  const Bytes opening(10 * protocol::kFrameBytes + 5, 3);
  OpeningTransfer transfer({}, {});
  Instant now{1000};
  EXPECT_THAT(transfer.frames(now, opening), SizeIs(4));
  EXPECT_THAT(transfer.frames(now, opening), IsEmpty());
  const auto status = [&](std::uint64_t received, std::string error = "") {
    transfer.receive(now, {{}, {}, received, std::move(error)}, opening.size());
  };
  status(protocol::kFrameBytes);
  EXPECT_THAT(transfer.frames(now, opening), SizeIs(1));
  // The member began anew: one rewind, however often it says so.
  status(0);
  status(0);
  status(0);
  const auto again = transfer.frames(now, opening);
  ASSERT_THAT(again, SizeIs(4));
  EXPECT_EQ(again[0].offset, 0u);
  status(0);
  EXPECT_THAT(transfer.frames(now, opening), IsEmpty());
  // It has more than we knew: nothing is sent twice.
  status(8 * protocol::kFrameBytes);
  EXPECT_EQ(transfer.frames(now, opening).front().offset, 8 * protocol::kFrameBytes);
  status(opening.size());
  EXPECT_TRUE(transfer.done());
}

TEST(OpeningTransferTest, GivesUpAfterRepeatedRefusals) {
  const Bytes opening(100);
  OpeningTransfer transfer({}, {});
  Instant now{1000};
  for (int i = 0; i <= OpeningTransfer::kRefusalsMax; ++i) {
    EXPECT_THAT(transfer.frames(now, opening), SizeIs(1));
    transfer.receive(now, {{}, {}, 0, "no"}, opening.size());
    EXPECT_THAT(transfer.frames(now, opening), IsEmpty());
    now = now + OpeningTransfer::kRetry;
  }
  EXPECT_TRUE(transfer.given_up());
  EXPECT_EQ(transfer.refusal(), "no");
}

TEST(OutboxTest, SequenceNumbersRiseEvenIfTheClockFalls) {
  const auto key = test_key(1);
  Outbox outbox({}, key);
  std::vector<std::uint64_t> seqs;
  for (const std::int64_t ms : {5'000, 4'000, 9'000}) {
    outbox.add({ms}, ledger::RecordKind::commit, {}, {});
    seqs.push_back(outbox.last_seq());
  }
  EXPECT_EQ(seqs, (std::vector<std::uint64_t>{5'000, 5'001, 9'000}));
  for (int i = 0; i < 1000; ++i) outbox.add({9'000}, ledger::RecordKind::commit, {}, {});
  EXPECT_EQ(outbox.size(), Outbox::kWaitingMax);
}

}  // namespace
}  // namespace fedmesh::worker
