// Whoever recorded what others sent, sends it again: now, or in a later round. Nothing is applied
// twice, nothing old is applied at all, and whoever sends it is told.
#include "tests/sim/rogue.h"
#include "tests/sim/sim_fixture.h"

namespace fedmesh::sim {
namespace {

using ledger::RecordKind;
using protocol::JobPhase;
using protocol::RoundPhase;
using testing::HasSubstr;

class ReplayTest : public testing::Test {
 protected:
  ReplayTest()
      : sim_(options(), [this](const auto& from, const auto& to, const auto& bytes, auto) {
          listen(from, to, bytes);
        }) {
    id_ = sim_.federation.submit(job_.spec, job_.evaluation);
  }

  FederationOptions options() {
    auto out = clinics(91);
    out.rogues = 1;
    out.make_rogue = [this](Federation& federation, std::size_t index) {
      Crime crime;
      crime.enrols_with = 0;  // is refused: it takes no part of its own
      auto made = std::make_unique<Rogue>(federation, index, crime);
      replayer_ = made.get();
      return made;
    };
    out.tamper = [this](std::size_t worker, worker::Effects& effects) {
      if (worker == 0) std::erase_if(effects, [this](const auto& e) { return is_held_back(e); });
    };
    return out;
  }
  // Commits of worker 0 to round 1, if the test wants that: they reach nobody but the replayer.
  bool is_held_back(const worker::Effect& effect) {
    const auto* send = std::get_if<worker::Send>(&effect);
    const auto record = send != nullptr ? record_in(send->message) : std::nullopt;
    if (!hold_back_ || !record || record->kind != RecordKind::commit) return false;
    const auto commit = protocol::decode_payload<protocol::Commit>(record->payload);
    if (commit->slot.round.value != 1) return false;
    held_back_ = send->message;
    return true;
  }
  static std::optional<ledger::Record> record_in(const Bytes& bytes) {
    const auto message = protocol::decode_message(bytes);
    const auto* submit = message.ok() ? std::get_if<protocol::SubmitRecord>(&*message) : nullptr;
    if (submit == nullptr) return std::nullopt;
    return ledger::decode_record(submit->record).value();
  }
  void listen(const NodeId& from, const NodeId& to, const Bytes& bytes) {
    if (to == sim_.federation.coordinator_id()) {
      if (from != replayer_->key().node_id() && record_in(bytes)) recorded_.insert(bytes);
    } else if (to == replayer_->key().node_id()) {
      const auto message = protocol::decode_message(bytes);
      const auto* result = message.ok() ? std::get_if<protocol::RecordResult>(&*message) : nullptr;
      if (result != nullptr) answers_[result->record_hash] = *result;
    }
  }
  bool reach(std::uint32_t round, RoundPhase phase) {
    return sim_.federation.world().run_until(
        [&] {
          const auto open = open_round(sim_.federation, id_);
          return open && open->slot.round.value == round && open->phase == phase;
        },
        std::chrono::minutes(10));
  }
  // Sends it as the replayer and waits for the answer.
  protocol::RecordResult replay(const Bytes& message) {
    const Digest hash = ledger::record_hash(*record_in(message));
    replayer_->send(message);
    EXPECT_TRUE(sim_.federation.world().run_until([&] { return answers_.contains(hash); },
                                                  std::chrono::minutes(1)));
    return answers_[hash];
  }
  void expect_finished_with_every_record_once() {
    ASSERT_TRUE(sim_.federation.run(id_));
    EXPECT_EQ(sim_.federation.job(id_).phase, JobPhase::finished);
    std::set<Digest> hashes;
    const auto& chain = sim_.federation.chain();
    for (Height at{1}; at <= chain.height(); at = at.next())
      for (const auto& record : chain.get(at)->block.records)
        EXPECT_TRUE(hashes.insert(ledger::record_hash(record)).second)
            << to_string(record.kind) << " is in two blocks";
    for (const auto& round : sim_.federation.rounds(id_))
      EXPECT_EQ(round.phase, RoundPhase::finished) << round.reason;
  }

  SimJob job_ = plain_job(2);
  Rogue* replayer_ = nullptr;
  bool hold_back_ = false;
  Bytes held_back_;
  std::set<Bytes> recorded_;  // that others sent
  std::map<Digest, protocol::RecordResult> answers_;
  Watched sim_;
  JobId id_;
};

TEST_F(ReplayTest, ARecordThatIsFinalIsAnsweredWithItsBlockAndAppliedOnce) {
  ASSERT_TRUE(reach(2, RoundPhase::committing));
  const auto recorded = recorded_;  // enrolments, and all of round 1
  ASSERT_GE(recorded.size(), 1u + 5u + 2u * 5u);
  for (const Bytes& message : recorded) {
    const auto record = *record_in(message);
    const auto* there = sim_.federation.chain().find(ledger::record_hash(record));
    if (there == nullptr) continue;  // of this round, on its way
    const auto answer = replay(message);
    EXPECT_EQ(answer.height, there->height) << to_string(record.kind) << ": " << answer.reason;
  }
  EXPECT_GE(answers_.size(), 16u);
  expect_finished_with_every_record_once();
  for (const auto& round : sim_.federation.rounds(id_))
    for (const auto& slot : round.cohort) EXPECT_TRUE(slot.in_set);
}

TEST_F(ReplayTest, ARecordHeldBackUntilALaterRoundIsRefused) {
  hold_back_ = true;
  ASSERT_TRUE(reach(2, RoundPhase::committing));
  ASSERT_FALSE(held_back_.empty());
  const auto answer = replay(held_back_);
  EXPECT_EQ(answer.height, std::nullopt);
  EXPECT_THAT(answer.reason, HasSubstr("stale"));
  expect_finished_with_every_record_once();
  const auto rounds = sim_.federation.rounds(id_);
  ASSERT_EQ(rounds.size(), 2u);
  for (const auto& round : rounds)
    for (const auto& slot : round.cohort)
      EXPECT_EQ(slot.in_set,
                slot.worker != sim_.federation.worker_id(0) || round.slot.round.value == 2);
}

// A fresh signature makes no old slot new.
TEST_F(ReplayTest, ANewRecordOfAnEarlierSlotIsRefusedAndNamesIt) {
  ASSERT_TRUE(reach(2, RoundPhase::committing));
  const auto first = sim_.federation.rounds(id_).front();
  Digest commitment;
  commitment.bytes.fill(7);
  replayer_->submit(RecordKind::commit, id_,
                    codec::encode(protocol::Commit{first.slot, commitment}));
  const auto refused =
      testing::Contains(testing::AllOf(HasSubstr("stale: round 1"), HasSubstr("is not open")));
  EXPECT_TRUE(sim_.federation.world().run_until(
      [&] { return testing::Matches(refused)(replayer_->refusals()); }, std::chrono::minutes(1)));
  expect_finished_with_every_record_once();
}

}  // namespace
}  // namespace fedmesh::sim
