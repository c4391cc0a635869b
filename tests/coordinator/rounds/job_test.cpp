// The life of a job: who may do what, enrolment, the ends.
#include "tests/coordinator/rounds/machine_fixture.h"

namespace fedmesh::rounds {
namespace {

using ledger::RecordKind;
using protocol::JobPhase;
using protocol::RoundPhase;
using testing::HasSubstr;
using testing::IsEmpty;

class JobTest : public MachineTest {};

TEST_F(JobTest, OnlyAnOperatorAdmits) {
  const protocol::Admit admit{test_key(kStranger).public_key(), protocol::kRoleWorker, "new"};
  for (const std::uint8_t author : {kOwner, kHub, worker(0), kStranger})
    EXPECT_EQ(refusal(author, RecordKind::admit, admit), ErrorCode::unauthenticated);
  say(kOperator, RecordKind::admit, admit);
  EXPECT_TRUE(has_role(state_, id_of(kStranger), protocol::kRoleWorker));
  EXPECT_EQ(conduct(kStranger), kConductAdmitted);
  auto removed = admit;
  removed.roles = 0;
  say(kOperator, RecordKind::admit, removed);
  EXPECT_FALSE(has_role(state_, id_of(kStranger), protocol::kRoleWorker));
}

TEST_F(JobTest, AdmittingRefusesUnknownRolesAndLongNames) {
  protocol::Admit admit{test_key(kStranger).public_key(), 1u << 9, "new"};
  EXPECT_EQ(refusal(kOperator, RecordKind::admit, admit), ErrorCode::invalid_argument);
  admit.roles = protocol::kRoleWorker;
  admit.name = std::string(65, 'x');
  EXPECT_EQ(refusal(kOperator, RecordKind::admit, admit), ErrorCode::invalid_argument);
}

TEST_F(JobTest, AdmittingAgainKeepsConduct) {
  say(kOperator, RecordKind::admit,
      protocol::Admit{test_key(worker(0)).public_key(), protocol::kRoleWorker, "again"});
  EXPECT_EQ(conduct(worker(0)), kConductListed);
}

TEST_F(JobTest, OnlySubmittersSubmit) {
  const auto spec = small_spec();
  for (const std::uint8_t author : {kHub, kOperator, worker(0), kStranger}) {
    job_ = protocol::job_id(chain_, test_key(author).public_key(), seq_ + 1, spec);
    EXPECT_EQ(refusal(author, RecordKind::job, protocol::Job{spec}), ErrorCode::unauthenticated);
  }
  EXPECT_THAT(live_jobs(state_), IsEmpty());
}

TEST_F(JobTest, AJobRecordNamesItsOwnId) {
  job_ = JobId{{1, 2, 3}};
  EXPECT_EQ(refusal(kOwner, RecordKind::job, protocol::Job{small_spec()}),
            ErrorCode::invalid_argument);
}

TEST_F(JobTest, AnInvalidJobIsRefused) {
  auto spec = small_spec();
  spec.federation.rounds = 0;
  job_ = protocol::job_id(chain_, test_key(kOwner).public_key(), seq_ + 1, spec);
  EXPECT_EQ(refusal(kOwner, RecordKind::job, protocol::Job{spec}), ErrorCode::invalid_argument);
}

TEST_F(JobTest, GarbagePayloadsAreRefusedForEveryKind) {
  start();
  for (int kind = 1; kind <= 14; ++kind)
    for (const Bytes& payload : {Bytes{}, Bytes{0xff}, Bytes(100, 0x91)})
      for (const std::uint8_t author : {kHub, kOwner, kOperator, worker(0)})
        EXPECT_FALSE(apply_raw(author, static_cast<RecordKind>(kind), payload).ok()) << kind;
}

TEST_F(JobTest, RecordsOfUnknownJobsAreRefused) {
  job_ = JobId{{9}};
  EXPECT_EQ(refusal(worker(0), RecordKind::enrol, enrolment()), ErrorCode::not_found);
  EXPECT_EQ(refusal(worker(0), RecordKind::decline, protocol::Decline{}), ErrorCode::not_found);
  EXPECT_EQ(refusal(kOwner, RecordKind::stop, protocol::Stop{}), ErrorCode::not_found);
  EXPECT_EQ(refusal(kHub, RecordKind::beacon, protocol::Beacon{}), ErrorCode::not_found);
  EXPECT_EQ(refusal(kHub, RecordKind::accept, protocol::Accept{}), ErrorCode::not_found);
  EXPECT_EQ(refusal(worker(0), RecordKind::commit, protocol::Commit{}), ErrorCode::not_found);
  EXPECT_EQ(refusal(worker(0), RecordKind::reveal, protocol::Reveal{}), ErrorCode::not_found);
}

TEST_F(JobTest, EnrolmentEndsWhenAllWorkersHaveAnswered) {
  submit(small_spec());
  say(worker(0), RecordKind::enrol, enrolment(0));
  say(worker(1), RecordKind::enrol, enrolment(1));
  EXPECT_EQ(job().phase, JobPhase::enrolling) << "enough, but one has not answered";
  EXPECT_THAT(job().reason, HasSubstr("2 of at least 2 workers enrolled"));
  say(worker(2), RecordKind::decline, protocol::Decline{});
  EXPECT_EQ(job().phase, JobPhase::drawing);
  EXPECT_EQ(job().declined.size(), 1u);
}

TEST_F(JobTest, EnrolmentEndsAtItsDeadlineWithEnough) {
  submit(small_spec());
  say(worker(0), RecordKind::enrol, enrolment(0));
  say(worker(1), RecordKind::enrol, enrolment(1));
  EXPECT_EQ(machine_.next_deadline(state_)->ms, job().submitted_ms + 60'000);
  pass_deadline();
  EXPECT_EQ(job().phase, JobPhase::drawing);
  EXPECT_EQ(machine_.next_deadline(state_), std::nullopt) << "the block cleared it";
}

TEST_F(JobTest, EnrolmentEndsWhenItIsFull) {
  auto spec = small_spec();
  spec.federation.max_participants = 2;
  submit(spec);
  say(worker(0), RecordKind::enrol, enrolment(0));
  say(worker(1), RecordKind::enrol, enrolment(1));
  EXPECT_EQ(job().phase, JobPhase::drawing);
}

TEST_F(JobTest, TooFewWaitAndGoOnWhenAnotherEnrols) {
  submit(small_spec());
  say(worker(0), RecordKind::enrol, enrolment(0));
  say(worker(1), RecordKind::decline, protocol::Decline{});
  pass_deadline();
  EXPECT_EQ(job().phase, JobPhase::waiting_for_workers);
  EXPECT_EQ(job().reason, "1 of at least 2 workers enrolled, 1 declined");
  EXPECT_EQ(machine_.next_deadline(state_), std::nullopt);
  say(worker(2), RecordKind::enrol, enrolment(2));
  EXPECT_EQ(job().phase, JobPhase::drawing);
}

TEST_F(JobTest, TooFewEndTheJobWithNumbersWhereItSaysSo) {
  auto spec = small_spec();
  spec.federation.on_too_few = protocol::TooFew::end;
  submit(spec);
  say(worker(0), RecordKind::enrol, enrolment(0));
  pass_deadline();
  EXPECT_EQ(job().phase, JobPhase::failed);
  EXPECT_EQ(job().reason, "too few workers: 1 of at least 2 workers enrolled");
  EXPECT_THAT(live_jobs(state_), IsEmpty());
}

// Enough have enrolled, then some leave before the round opens.
TEST_F(JobTest, TooFewAtTheOpeningOfARoundAlsoEndOrWait) {
  for (const auto on_too_few : {protocol::TooFew::wait, protocol::TooFew::end}) {
    auto spec = small_spec();
    spec.federation.on_too_few = on_too_few;
    submit(spec);
    enrol_all();
    say(worker(0), RecordKind::decline, protocol::Decline{});
    say(worker(1), RecordKind::decline, protocol::Decline{});
    open();
    EXPECT_EQ(job().phase, on_too_few == protocol::TooFew::end ? JobPhase::failed
                                                               : JobPhase::waiting_for_workers);
    EXPECT_THAT(job().reason, HasSubstr("1 of at least 2"));
  }
}

TEST_F(JobTest, EnrolmentChecksTheWorkerAndItsOffer) {
  auto spec = small_spec();
  spec.requirements = {2000, true};
  submit(spec);
  auto offer = enrolment();
  offer.memory_mb = 4096;
  offer.gpu = true;
  EXPECT_EQ(refusal(kStranger, RecordKind::enrol, offer), ErrorCode::unauthenticated);
  EXPECT_EQ(refusal(kOwner, RecordKind::enrol, offer), ErrorCode::unauthenticated);
  const auto refused = [&](auto change) {
    auto changed = offer;
    change(changed);
    return refusal(worker(0), RecordKind::enrol, changed);
  };
  using Offer = protocol::Enrol;
  EXPECT_EQ(refused([](Offer& o) { o.schema_hash.bytes[0] ^= 1; }), ErrorCode::invalid_argument);
  EXPECT_EQ(refused([](Offer& o) { o.record_count = 0; }), ErrorCode::invalid_argument);
  EXPECT_EQ(refused([](Offer& o) { o.record_count = (1ull << 32) + 1; }),
            ErrorCode::invalid_argument);
  EXPECT_EQ(refused([](Offer& o) { o.memory_mb = 1999; }), ErrorCode::invalid_argument);
  EXPECT_EQ(refused([](Offer& o) { o.gpu = false; }), ErrorCode::invalid_argument);
  say(worker(0), RecordKind::enrol, offer);
  EXPECT_EQ(refusal(worker(0), RecordKind::enrol, offer), ErrorCode::stale) << "twice";
}

TEST_F(JobTest, AWorkerChangesItsMindBothWays) {
  submit(small_spec());
  say(worker(0), RecordKind::decline, protocol::Decline{});
  EXPECT_EQ(refusal(worker(0), RecordKind::decline, protocol::Decline{}), ErrorCode::stale);
  say(worker(0), RecordKind::enrol, enrolment(0));
  EXPECT_THAT(job().declined, IsEmpty());
  say(worker(0), RecordKind::decline, protocol::Decline{});
  EXPECT_THAT(job().enrolled, IsEmpty());
  EXPECT_FALSE(state_.contains(protocol::enrol_key(job_, id_of(worker(0)))));
  EXPECT_EQ(refusal(kStranger, RecordKind::decline, protocol::Decline{}),
            ErrorCode::unauthenticated);
}

TEST_F(JobTest, OnlyTheProposerProvidesTheAwaitedBeaconOnce) {
  submit(small_spec());
  EXPECT_EQ(refusal(kHub, RecordKind::beacon, beacon()), ErrorCode::stale) << "enrolling";
  enrol_all();
  for (const std::uint8_t author : {kOwner, kOperator, worker(0)})
    EXPECT_EQ(refusal(author, RecordKind::beacon, beacon()), ErrorCode::unauthenticated);
  auto other = beacon();
  other.slot.attempt = Attempt{1};
  EXPECT_EQ(refusal(kHub, RecordKind::beacon, other), ErrorCode::stale);
  open();
  EXPECT_EQ(job().phase, JobPhase::running);
  EXPECT_EQ(refusal(kHub, RecordKind::beacon, beacon()), ErrorCode::stale);
}

TEST_F(JobTest, TheOwnerOrAnOperatorStopsAndNobodyElse) {
  for (const std::uint8_t author : {kOwner, kOperator}) {
    start();
    for (const std::uint8_t other : {kHub, worker(0), kStranger})
      EXPECT_EQ(refusal(other, RecordKind::stop, protocol::Stop{"x"}), ErrorCode::unauthenticated);
    EXPECT_EQ(refusal(author, RecordKind::stop, protocol::Stop{std::string(201, 'x')}),
              ErrorCode::invalid_argument);
    EXPECT_EQ(with_reserved(), 400'000'000);
    say(author, RecordKind::stop, protocol::Stop{"enough"});
    EXPECT_EQ(job().phase, JobPhase::stopped);
    EXPECT_EQ(job().reason,
              author == kOwner ? "stopped by its owner: enough" : "stopped by an operator: enough");
    EXPECT_EQ(round().phase, RoundPhase::voided);
    EXPECT_EQ(with_reserved(), 0) << "the open round's reservation is released";
    EXPECT_EQ(machine_.next_deadline(state_), std::nullopt);
    EXPECT_EQ(refusal(author, RecordKind::stop, protocol::Stop{}), ErrorCode::stale) << "twice";
    EXPECT_EQ(refusal(worker(0), RecordKind::enrol, enrolment()), ErrorCode::stale);
  }
}

TEST_F(JobTest, FinishesAfterAllRounds) {
  submit(small_spec());
  enrol_all();
  play_round();
  EXPECT_EQ(job().phase, JobPhase::drawing);
  play_round();
  EXPECT_EQ(job().phase, JobPhase::finished);
  EXPECT_EQ(job().reason, "all rounds done");
  EXPECT_EQ(job().rounds_done, 2u);
  EXPECT_EQ(spent(), 800'000'000);
  EXPECT_THAT(live_jobs(state_), IsEmpty());
}

// Frozen but void rounds eat the budget that a later round needs.
TEST_F(JobTest, ASpentBudgetFinishesTheJobWithNumbers) {
  submit(small_spec());
  enrol_all();
  for (int attempt = 0; attempt < 2; ++attempt) {
    open();
    accept();
    commit(everybody());
    reveal(everybody());
    say(kHub, RecordKind::avail, avail());
    pass_deadline();  // nobody attests
    EXPECT_EQ(spent(), 400'000'000 * (attempt + 1)) << "frozen: it stays charged";
  }
  open();
  EXPECT_EQ(job().phase, JobPhase::failed) << "no round gave a model";
  EXPECT_THAT(job().reason, HasSubstr("privacy budget spent"));
  EXPECT_THAT(job().reason, testing::ContainsRegex("0\\.8.* 1"));
  EXPECT_EQ(with_reserved(), 800'000'000);
}

TEST_F(JobTest, AReachedTargetEndsTheJob) {
  for (const std::uint64_t correct : {79u, 80u}) {
    auto spec = evaluated_spec();
    spec.federation.target_accuracy_micro = 800'000;
    submit(spec);
    enrol_all();
    play_round();
    const protocol::Score score{500'000, correct, 100};
    for (const auto& validator : round().validators) {
      const auto number =
          static_cast<std::uint8_t>(validator.validator == id_of(worker(0))   ? worker(0)
                                    : validator.validator == id_of(worker(1)) ? worker(1)
                                                                              : worker(2));
      EXPECT_TRUE(apply(number, RecordKind::score_commit,
                        protocol::ScoreCommit{
                            slot(), protocol::score_commitment(chain_, job_, slot(),
                                                               validator.validator, score, {})})
                      .ok());
    }
    end_block();
    for (std::size_t i = 0; i < 3; ++i)
      EXPECT_TRUE(
          apply(worker(i), RecordKind::score_reveal, protocol::ScoreReveal{slot(), score, {}})
              .ok());
    end_block();
    EXPECT_EQ(job().validation, score);
    EXPECT_EQ(job().phase, correct == 80 ? JobPhase::finished : JobPhase::drawing);
    EXPECT_EQ(job().reason == "target accuracy reached", correct == 80);
  }
}

TEST_F(JobTest, LiveJobsOfOneOwnerAreBounded) {
  for (std::size_t i = 0; i < kLiveJobsPerOwnerMax; ++i) submit(small_spec());
  const auto spec = small_spec();
  job_ = protocol::job_id(chain_, test_key(kOwner).public_key(), seq_ + 1, spec);
  EXPECT_EQ(refusal(kOwner, RecordKind::job, protocol::Job{spec}), ErrorCode::exhausted);
}

}  // namespace
}  // namespace fedmesh::rounds
