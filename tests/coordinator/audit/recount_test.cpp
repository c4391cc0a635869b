// The second opinion: what the state machine could have got wrong, with records that are genuine.
#include "coordinator/audit/recount.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crypto/digest.h"
#include "coordinator/audit/job_story.h"
#include "coordinator/ledger/entries.h"
#include "tests/coordinator/audit/world.h"

namespace fedmesh::audit {
namespace {

using protocol::JobState;
using protocol::RoundState;
using ::testing::HasSubstr;

class RecountTest : public ::testing::Test {
 protected:
  RecountTest() {
    auto spec = small_job();
    spec.evaluation = {true, crypto::sha256(as_bytes("a public data set")), 1000};
    spec.federation.evaluation_ms = 60'000;
    world_ = std::make_unique<World>(spec);
    world_->start();
    world_->play_round();
    world_->play_round({.silent = {0}, .attest = {}});
    world_->play_round();
    ledger_ = *ledger::read_export(world_->export_bytes());
    records_ = records_of(ledger_, world_->job());
    for (const auto& [key, value] : world_->chain().state().prefix("")) state_.put(key, value);
  }

  Result<Recount> count() { return recount(ledger_.genesis, records_, state_, world_->job()); }

  template <class T>
  void change(const std::string& key, const std::function<void(T&)>& edit) {
    auto entry = *protocol::decode_state<T>(*state_.get(key));
    edit(entry);
    state_.put(key, codec::encode(entry));
  }
  std::string round_key(std::uint64_t round, std::uint64_t attempt = 0) const {
    return protocol::round_key(world_->job(), {RoundNumber{round}, Attempt{attempt}});
  }
  std::string after_round(const std::function<void(RoundState&)>& edit) {
    const Bytes before = *state_.get(round_key(1));
    change<RoundState>(round_key(1), edit);
    const auto result = count();
    state_.put(round_key(1), before);
    return result.ok() ? "nothing noticed" : result.error().detail;
  }
  std::string after_job(const std::function<void(JobState&)>& edit) {
    const std::string key = protocol::job_key(world_->job());
    const Bytes before = *state_.get(key);
    change<JobState>(key, edit);
    const auto result = count();
    state_.put(key, before);
    return result.ok() ? "nothing noticed" : result.error().detail;
  }

  std::unique_ptr<World> world_;
  ledger::Export ledger_;
  std::vector<JobRecord> records_;
  ledger::State state_;
};

TEST_F(RecountTest, AgreesWithTheStateMachine) {
  const auto result = count();
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_EQ(result->rounds.size(), 3u);
  EXPECT_EQ(result->records, records_.size());
  EXPECT_EQ(result->epsilon_spent_nano, 1'000'000'000);
  EXPECT_EQ((result->spent_so_far.at({RoundNumber{2}, Attempt{0}})), 500'000'000);
}

TEST_F(RecountTest, FindsAWrongRound) {
  const struct {
    const char* expected;
    std::function<void(RoundState&)> edit;
  } cases[] = {
      {"its beacon", [](RoundState& r) { r.beacon.bytes[0] ^= 1; }},
      {"its config hash", [](RoundState& r) { r.config_hash.bytes[0] ^= 1; }},
      {"its base model", [](RoundState& r) { r.base_root.bytes[0] ^= 1; }},
      {"another time", [](RoundState& r) { ++r.opened_ms; }},
      {"another kind", [](RoundState& r) { r.kind = protocol::RoundKind::standardisation; }},
      {"a cohort of 1", [](RoundState& r) { r.cohort.pop_back(); }},
      {"id order", [](RoundState& r) { std::swap(r.cohort[0], r.cohort[1]); }},
      {"has not enrolled", [](RoundState& r) { r.cohort[0].worker.bytes[31] ^= 1; }},
      {"other data", [](RoundState& r) { ++r.cohort[0].record_count; }},
      {"other data", [](RoundState& r) { r.cohort[1].data_root.bytes[3] ^= 1; }},
      {"sent its commitment", [](RoundState& r) { r.cohort[0].commitment.reset(); }},
      {"not that of its record", [](RoundState& r) { r.cohort[0].commitment->bytes[0] ^= 1; }},
      {"sent its reveal", [](RoundState& r) { r.cohort[1].reveal.reset(); }},
      {"not the hash of its record", [](RoundState& r) { r.cohort[1].reveal->bytes[0] ^= 1; }},
      {"availability of worker", [](RoundState& r) { r.cohort[0].yes = 0; }},
      {"availability of worker", [](RoundState& r) { r.cohort[0].in_set = false; }},
      {"sent its availability", [](RoundState& r) { r.members[0].availed = false; }},
      {"sent its acceptance", [](RoundState& r) { r.members[0].round_key.reset(); }},
      {"sent its attestation", [](RoundState& r) { r.members[0].attested.reset(); }},
      {"not bound", [](RoundState& r) { r.members[0].attested->bytes[0] ^= 1; }},
      {"disagree whether", [](RoundState& r) { r.members[0].member.bytes[0] ^= 1; }},
      {"a committee of 0", [](RoundState& r) { r.members.clear(); }},
      {"the round key of member", [](RoundState& r) { r.members[0].round_key->bytes[0] ^= 1; }},
      {"reveal set's root", [](RoundState& r) { r.reveal_set_root->bytes[0] ^= 1; }},
      {"an epsilon of 1 nano", [](RoundState& r) { r.epsilon_nano = 1; }},
      {"charged for", [](RoundState& r) { r.charged = false; }},
      {"no quorum of aggregators attests",
       [](RoundState& r) { r.aggregate->model_sha256.bytes[0] ^= 1; }},
      {"no quorum of aggregators attests",
       [](RoundState& r) { r.aggregate->binding.bytes[0] ^= 1; }},
      {"attested by 1 of 1", [](RoundState& r) { r.attestations = 2; }},
      {"does not start from", [](RoundState& r) { r.aggregate->base_root.bytes[0] ^= 1; }},
      {"without an aggregate", [](RoundState& r) { r.aggregate.reset(); }},
      {"median", [](RoundState& r) { r.validation->correct = 99; }},
      {"does not open", [](RoundState& r) { r.validators[0].score->correct = 99; }},
  };
  for (const auto& c : cases) {
    const std::string found = after_round(c.edit);
    EXPECT_THAT(found, HasSubstr(c.expected));
    EXPECT_THAT(found, HasSubstr("job " + world_->job().short_hex() + ": round 1: "));
  }
}

TEST_F(RecountTest, FindsAWrongJob) {
  const struct {
    const char* expected;
    std::function<void(JobState&)> edit;
  } cases[] = {
      {"configuration", [](JobState& j) { j.config_hash.bytes[0] ^= 1; }},
      {"owner", [](JobState& j) { j.owner.bytes[0] ^= 1; }},
      {"newest model", [](JobState& j) { j.model_sha256.bytes[0] ^= 1; }},
      {"newest model", [](JobState& j) { j.base_root.bytes[0] ^= 1; }},
      {"counts 3 training rounds", [](JobState& j) { j.rounds_done = 3; }},
      {"job's beacon", [](JobState& j) { j.beacon.bytes[0] ^= 1; }},
      {"enrolled or declined", [](JobState& j) { j.enrolled.pop_back(); }},
      {"privacy budget", [](JobState& j) { j.privacy.charged.clear(); }},
      {"privacy budget", [](JobState& j) { j.privacy.charged[0].count = 3; }},
      {"privacy budget", [](JobState& j) { j.privacy.total.epsilon_nano *= 2; }},
      {"another job", [](JobState& j) { j.id.bytes[0] ^= 1; }},
  };
  for (const auto& c : cases) EXPECT_THAT(after_job(c.edit), HasSubstr(c.expected));
}

TEST_F(RecountTest, FindsARoundThatIsMissing) {
  state_.erase(round_key(2, 0));
  EXPECT_THAT(count().error().detail, HasSubstr("the round that follows is round 2"));
}

TEST_F(RecountTest, FindsAVoidRoundThatWasCharged) {
  change<RoundState>(round_key(2, 0), [](RoundState& round) { round.charged = true; });
  EXPECT_THAT(count().error().detail, HasSubstr("round 2: a frozen reveal set is charged for"));
}

TEST_F(RecountTest, FindsAnIncompleteLog) {
  const auto all = records_;
  records_.pop_back();
  EXPECT_THAT(count().error().detail, HasSubstr("the ledger has"));
  records_ = all;
  std::swap(records_[records_.size() - 1].hash, records_[records_.size() - 2].hash);
  EXPECT_THAT(count().error().detail, HasSubstr("the root of the job's log"));
}

// The rules for single records, on records of the real story with one of them changed.
class StoryTest : public RecountTest {
 protected:
  std::size_t first(ledger::RecordKind kind) const {
    for (std::size_t i = 0; i < records_.size(); ++i)
      if (records_[i].record->kind == kind) return i;
    ADD_FAILURE() << "no such record";
    return 0;
  }
  // The ledger's own copy, so that the pointers hold.
  ledger::Record& record(std::size_t i) { return const_cast<ledger::Record&>(*records_[i].record); }
  std::string refusal() {
    const auto result = count();
    return result.ok() ? "nothing noticed" : result.error().detail;
  }
  // Of the story alone, before anything is held against the state.
  std::string story() const {
    const auto result = read_story(ledger_.genesis, records_, world_->job());
    return result.ok() ? "nothing noticed" : result.error().detail;
  }
  template <class Payload>
  void change_payload(std::size_t i, const std::function<void(Payload&)>& edit) {
    auto payload = *protocol::decode_payload<Payload>(record(i).payload);
    edit(payload);
    record(i).payload = codec::encode(payload);
  }
};

TEST_F(StoryTest, FindsAnotherAuthor) {
  const std::size_t commit = first(ledger::RecordKind::commit);
  record(commit).author = record(first(ledger::RecordKind::job)).author;
  EXPECT_THAT(refusal(), HasSubstr("disagree whether node"));
}

TEST_F(StoryTest, FindsABeaconOfAnotherAuthor) {
  const std::size_t beacon = first(ledger::RecordKind::beacon);
  record(beacon).author = record(first(ledger::RecordKind::job)).author;
  EXPECT_THAT(refusal(), HasSubstr(records_[beacon].place() + ": the beacon is not of the member"));
}

TEST_F(StoryTest, FindsASecondCommitment) {
  const std::size_t commit = first(ledger::RecordKind::commit);
  record(commit + 1).author = record(commit).author;
  EXPECT_THAT(refusal(), HasSubstr("has said this already"));
}

TEST_F(StoryTest, FindsAnotherConfiguration) {
  const std::size_t job = first(ledger::RecordKind::job);
  auto payload = *protocol::decode_payload<protocol::Job>(record(job).payload);
  payload.spec.privacy.total.epsilon_nano *= 2;
  record(job).payload = codec::encode(payload);
  EXPECT_THAT(refusal(), HasSubstr("the job's id is not the hash of its record"));
}

TEST_F(StoryTest, FindsAnotherBeacon) {
  const std::size_t at = first(ledger::RecordKind::beacon);
  auto payload = *protocol::decode_payload<protocol::Beacon>(record(at).payload);
  payload.randomness[0] ^= 1;
  record(at).payload = codec::encode(payload);
  EXPECT_THAT(refusal(), HasSubstr("hash chain over the beacon records"));
}

TEST_F(StoryTest, FindsARevealBeforeTheLastCommitment) {
  const std::size_t commit = first(ledger::RecordKind::commit);
  const std::size_t reveal = first(ledger::RecordKind::reveal);
  std::swap(records_[commit + 1], records_[reveal]);
  EXPECT_THAT(refusal(), HasSubstr("comes after records of a later phase"));
}

// Without execution, and after the job's end.
TEST_F(StoryTest, EvidenceStandsForItself) {
  const auto one = world_->commitment(0, 1), two = world_->commitment(0, 2);
  world_->say_evidence(one, two);
  ledger_ = *ledger::read_export(world_->export_bytes());
  records_ = records_of(ledger_, world_->job());
  for (const auto& [key, value] : world_->chain().state().prefix("")) state_.put(key, value);
  const auto result = count();
  EXPECT_TRUE(result.ok()) << result.error().to_string();
  const std::size_t at = first(ledger::RecordKind::evidence);
  const auto with = [&](const ledger::Record& a, const ledger::Record& b) {
    record(at).payload =
        codec::encode(protocol::Evidence{ledger::encode_record(a), ledger::encode_record(b)});
    return refusal();
  };
  EXPECT_THAT(with(one, one), HasSubstr("proves nothing"));
  EXPECT_THAT(with(one, world_->commitment(1, 2)), HasSubstr("proves nothing"));
  EXPECT_THAT(with(one, record(first(ledger::RecordKind::enrol))),
              HasSubstr("not about commitments"));
  auto forged = two;
  forged.signature.bytes[0] ^= 1;
  EXPECT_NE(with(one, forged), "nothing noticed");
  EXPECT_EQ(with(one, two), "nothing noticed");
}

TEST_F(StoryTest, FindsARecordForARoundThatIsNotOpen) {
  const std::size_t commit = first(ledger::RecordKind::commit);
  auto payload = *protocol::decode_payload<protocol::Commit>(record(commit).payload);
  payload.slot.round = RoundNumber{2};
  record(commit).payload = codec::encode(payload);
  EXPECT_THAT(refusal(), HasSubstr("round 2, which is not open"));
}

TEST_F(StoryTest, FindsAJobThatNothingOrTwoRecordsCreate) {
  EXPECT_EQ(story(), "nothing noticed");
  const auto job = records_.begin();
  ASSERT_EQ(job->record->kind, ledger::RecordKind::job);
  const JobRecord again = *job;
  records_.insert(job, again);
  EXPECT_THAT(story(), HasSubstr("the job is created twice"));
  records_.erase(records_.begin(), records_.begin() + 2);
  EXPECT_THAT(story(), HasSubstr("before the record that creates the job"));
  records_.clear();
  EXPECT_THAT(story(), HasSubstr("no record of the ledger creates it"));
}

TEST_F(StoryTest, FindsAWorkerThatEnrolsOrDeclinesTwice) {
  const std::size_t enrol = first(ledger::RecordKind::enrol);
  record(enrol + 1).author = record(enrol).author;
  EXPECT_THAT(story(), HasSubstr("enrolled twice"));
  for (const std::size_t i : {enrol, enrol + 1}) record(i).kind = ledger::RecordKind::decline;
  EXPECT_THAT(story(), HasSubstr("declined twice"));
}

TEST_F(StoryTest, FindsAnEnrolmentWithAnotherSchema) {
  change_payload<protocol::Enrol>(first(ledger::RecordKind::enrol),
                                  [](protocol::Enrol& enrol) { enrol.schema_hash.bytes[0] ^= 1; });
  EXPECT_THAT(story(), HasSubstr("data of another schema"));
}

TEST_F(StoryTest, OnlyOwnerAndOperatorsStopAJobAndThenItIsOver) {
  const std::size_t stop = first(ledger::RecordKind::enrol);
  record(stop).kind = ledger::RecordKind::stop;
  EXPECT_THAT(story(), HasSubstr("neither the job's owner nor an operator"));
  record(stop).author = record(first(ledger::RecordKind::job)).author;
  EXPECT_THAT(story(), HasSubstr("it comes after the job was stopped"));
}

TEST_F(StoryTest, FindsABeaconForARoundThatIsPast) {
  std::size_t second = first(ledger::RecordKind::beacon) + 1;
  while (records_[second].record->kind != ledger::RecordKind::beacon) ++second;
  const auto with_round = [&](std::uint64_t round) {
    change_payload<protocol::Beacon>(
        second, [&](protocol::Beacon& beacon) { beacon.slot.round = RoundNumber{round}; });
    return story();
  };
  EXPECT_THAT(with_round(1), HasSubstr("round 1 has begun already"));
  EXPECT_THAT(with_round(0), HasSubstr("the beacon is for round 0, after round 1"));
}

TEST_F(StoryTest, FindsAPhaseThatEndsWithinABlock) {
  const std::size_t reveal = first(ledger::RecordKind::reveal);
  records_[reveal].header = records_[reveal - 1].header;
  EXPECT_THAT(story(), HasSubstr("a phase ended and the next began in one block"));
}

TEST_F(StoryTest, FindsAnAggregatorThatVouchesForWhatIsNotThere) {
  const std::size_t avail = first(ledger::RecordKind::avail);
  change_payload<protocol::Avail>(avail, [](protocol::Avail& said) { said.bitmap[0] |= 0x80; });
  EXPECT_THAT(refusal(), HasSubstr("vouches for an update that is not there"));
  change_payload<protocol::Avail>(avail, [](protocol::Avail& said) { said.bitmap.push_back(0); });
  EXPECT_THAT(refusal(), HasSubstr("its bitmap has another size than the cohort"));
}

}  // namespace
}  // namespace fedmesh::audit
