// The events of a round, as the ledger's state machine makes it live.
#include "coordinator/round_log.h"

#include "tests/coordinator/rounds/machine_fixture.h"

namespace fedmesh::coordinator {
namespace {

using rounds::evaluated_spec;
using rounds::small_spec;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class RoundLogTest : public rounds::MachineTest {
 protected:
  explicit RoundLogTest(std::size_t workers = 3, std::size_t aggregators = 1)
      : MachineTest(workers, aggregators) {}

  // What the log says since the last call. Every key counts as changed: the log sees what did.
  std::vector<LogEvent> news() {
    std::vector<std::string> keys = {"job/x", "spec/y"};
    for (const auto& [key, value] : state_.prefix("round/")) keys.push_back(key);
    // Only the newest round can have changed.
    if (keys.size() > 3) keys.erase(keys.begin() + 2, keys.end() - 1);
    return log_.step(state_, keys, height_, now_);
  }
  static std::vector<std::string> kinds(const std::vector<LogEvent>& events) {
    std::vector<std::string> out;
    for (const auto& event : events) out.push_back(event.kind);
    return out;
  }
  static std::string field(const LogEvent& event, const std::string& name) {
    for (const auto& [key, value] : event.fields)
      if (key == name) {
        const auto* number = std::get_if<std::int64_t>(&value);
        return number != nullptr ? std::to_string(*number) : std::get<std::string>(value);
      }
    return "(none)";
  }
  std::string hex(std::uint8_t number) const { return id_of(number).hex(); }

  RoundLog log_;
};

class TwoAggregatorsTest : public RoundLogTest {
 protected:
  TwoAggregatorsTest() : RoundLogTest(3, 2) {}
};

TEST_F(RoundLogTest, AWholeRoundIsToldPhaseByPhase) {
  submit(small_spec());
  enrol_all();
  EXPECT_THAT(news(), IsEmpty());
  open();
  auto events = news();
  ASSERT_THAT(kinds(events), ElementsAre("round.opened", "round.phase"));
  EXPECT_EQ(field(events[0], "job"), job_.hex());
  EXPECT_EQ(field(events[0], "job_name"), "small");
  EXPECT_EQ(field(events[0], "round"), "1");
  EXPECT_EQ(field(events[0], "kind"), "training");
  EXPECT_EQ(field(events[0], "cohort"), "3");
  EXPECT_EQ(events[0].at.ms, round().opened_ms);
  EXPECT_EQ(field(events[1], "phase"), "accept");
  EXPECT_EQ(field(events[1], "awaited"), hex(kHub));
  EXPECT_THAT(news(), IsEmpty());
  accept();
  events = news();
  ASSERT_THAT(kinds(events), ElementsAre("round.accepted", "round.phase"));
  EXPECT_EQ(field(events[0], "node"), hex(kHub));
  EXPECT_EQ(field(events[0], "node_name"), "node");
  EXPECT_EQ(field(events[1], "phase"), "train and commit");
  EXPECT_EQ(field(events[1], "ended"), "accept");
  EXPECT_EQ(field(events[1], "because"), "all answered");
  EXPECT_EQ(field(events[1], "missing"), "");
  EXPECT_EQ(field(events[1], "deadline_ms"), std::to_string(round().deadline_ms));
  commit({0});
  EXPECT_THAT(kinds(news()), ElementsAre("round.committed"));
  commit({1, 2});
  EXPECT_THAT(kinds(news()), ElementsAre("round.committed", "round.committed", "round.phase"));
  reveal(everybody());
  EXPECT_THAT(kinds(news()),
              ElementsAre("round.revealed", "round.revealed", "round.revealed", "round.phase"));
  say(kHub, ledger::RecordKind::avail, avail({1}));
  events = news();
  ASSERT_THAT(kinds(events), ElementsAre("round.availed", "round.excluded", "round.phase"));
  EXPECT_EQ(field(events[1], "node"), hex(worker(1)));
  EXPECT_EQ(field(events[1], "yes"), "0");
  EXPECT_EQ(field(events[1], "needed"), "1");
  say(kHub, ledger::RecordKind::attest, attestation());
  events = news();
  ASSERT_THAT(kinds(events), ElementsAre("round.attested", "round.finished"));
  EXPECT_EQ(field(events[1], "in_set"), "2");
  EXPECT_EQ(field(events[1], "attestations"), "1");
  EXPECT_EQ(field(events[1], "ended"), "aggregate");
  EXPECT_THAT(news(), IsEmpty());
}

TEST_F(RoundLogTest, ADeadlineNamesWhoIsMissing) {
  start();
  news();
  commit({0, 2});
  news();
  pass_deadline();
  const auto events = news();
  ASSERT_THAT(kinds(events), ElementsAre("round.phase"));
  EXPECT_EQ(field(events[0], "because"), "deadline");
  EXPECT_EQ(field(events[0], "missing"), hex(worker(1)));
  EXPECT_THAT(field(events[0], "awaited"), HasSubstr(hex(worker(0))));
  EXPECT_THAT(field(events[0], "awaited"), Not(HasSubstr(hex(worker(1)))));
}

TEST_F(RoundLogTest, AVoidRoundGivesItsReasonAndTheNextAttemptIsARoundOfItsOwn) {
  start();
  news();
  commit({0});
  news();
  pass_deadline();
  auto events = news();
  ASSERT_THAT(kinds(events), ElementsAre("round.void"));
  EXPECT_THAT(field(events[0], "reason"), HasSubstr("1 of 3 workers committed, 2 needed"));
  EXPECT_EQ(field(events[0], "because"), "deadline");
  open();
  events = news();
  ASSERT_THAT(kinds(events), ElementsAre("round.opened", "round.phase"));
  EXPECT_EQ(field(events[0], "attempt"), "1");
}

TEST_F(RoundLogTest, AStoppedJobEndsThePhaseAsStopped) {
  start();
  news();
  say(kOwner, ledger::RecordKind::stop, protocol::Stop{"enough"});
  const auto events = news();
  ASSERT_THAT(kinds(events), ElementsAre("round.void"));
  EXPECT_EQ(field(events[0], "because"), "stopped");
}

TEST_F(RoundLogTest, ScoresAreToldTwice) {
  start(evaluated_spec());
  commit(everybody());
  reveal(everybody());
  say(kHub, ledger::RecordKind::avail, avail());
  say(kHub, ledger::RecordKind::attest, attestation());
  news();
  ASSERT_FALSE(round().validators.empty());
  const NodeId validator = round().validators.front().validator;
  std::uint8_t number = 0;
  for (std::size_t i = 0; i < workers_; ++i)
    if (id_of(worker(i)) == validator) number = worker(i);
  const protocol::Score score{500'000, 9, 10};
  const std::array<std::uint8_t, 32> salt{1};
  say(number, ledger::RecordKind::score_commit,
      protocol::ScoreCommit{
          slot(), protocol::score_commitment(chain_, job_, slot(), validator, score, salt)});
  EXPECT_THAT(kinds(news()), ElementsAre("round.score_committed"));
  pass_deadline();
  auto events = news();
  ASSERT_THAT(kinds(events), ElementsAre("round.phase"));
  EXPECT_EQ(field(events[0], "phase"), "open scores");
  EXPECT_EQ(field(events[0], "awaited"), validator.hex());
  const protocol::Slot at = slot();
  say(number, ledger::RecordKind::score_reveal, protocol::ScoreReveal{at, score, salt});
  events = news();
  ASSERT_THAT(kinds(events), ElementsAre("round.scored", "round.finished"));
  EXPECT_EQ(field(events[0], "phase"), "open scores");
}

TEST_F(TwoAggregatorsTest, AReplacedAggregatorIsNamedWithItsSuccessor) {
  submit(small_spec());
  enrol_all();
  open();
  news();
  const NodeId silent = round().members.front().member;
  pass_deadline();
  const NodeId next = round().members.front().member;
  ASSERT_NE(silent, next);
  const auto events = news();
  ASSERT_THAT(kinds(events), ElementsAre("round.replaced", "round.phase"));
  EXPECT_EQ(field(events[0], "node"), silent.hex());
  EXPECT_EQ(field(events[0], "by"), next.hex());
  EXPECT_EQ(field(events[1], "phase"), "accept");
  EXPECT_EQ(field(events[1], "missing"), silent.hex());
  EXPECT_EQ(field(events[1], "awaited"), next.hex());
}

TEST_F(RoundLogTest, ARoundSeenLateIsOpenedWithItsOwnTimes) {
  start();
  commit({0});
  const auto events = news();
  ASSERT_THAT(kinds(events), ElementsAre("round.opened", "round.phase"));
  EXPECT_EQ(events[0].at.ms, round().opened_ms);
  EXPECT_EQ(events[1].at.ms, round().phase_opened_ms);
  EXPECT_LT(events[1].at.ms, now_.ms);
  // Who had answered before is not awaited.
  EXPECT_THAT(field(events[1], "awaited"), Not(HasSubstr(hex(worker(0)))));
}

TEST_F(RoundLogTest, NoValueOfARecordEntersTheLog) {
  start();
  commit(everybody());
  std::string all;
  for (const auto& event : round_events(nullptr, round(), height_, now_))
    all += to_json_line(event);
  protocol::RoundState before = round();
  for (auto& slot : before.cohort) slot.commitment.reset();
  before.phase = protocol::RoundPhase::committing;
  for (const auto& event : round_events(&before, round(), height_, now_))
    all += to_json_line(event);
  EXPECT_THAT(all, HasSubstr("round.committed"));
  for (std::size_t i = 0; i < workers_; ++i) {
    EXPECT_THAT(all, Not(HasSubstr(round().cohort[i].commitment->hex())));
    EXPECT_THAT(all, Not(HasSubstr(round().cohort[i].data_root.hex())));
  }
  EXPECT_THAT(all, Not(HasSubstr(round().beacon.hex())));
}

}  // namespace
}  // namespace fedmesh::coordinator
