// Whole federations: healthy, slow, lossy, with nodes that crash, disappear or refuse.
#include "coordinator/audit/audit.h"
#include "tests/sim/sim_fixture.h"

namespace fedmesh::sim {
namespace {

using protocol::JobPhase;
using protocol::RoundPhase;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

double accuracy_of(const protocol::JobState& job) {
  return static_cast<double>(job.validation->correct) / static_cast<double>(job.validation->count);
}

TEST(FederationTest, FinishesOnHealthyLinksAndTheAuditPasses) {
  Watched sim(clinics(1));
  const auto job = clinics_job();
  const JobId id = sim.federation.submit(job.spec, job.evaluation);
  ASSERT_TRUE(sim.federation.run(id));
  const auto state = sim.federation.job(id);
  EXPECT_EQ(state.phase, JobPhase::finished) << state.reason;
  EXPECT_EQ(state.rounds_done, 3u);
  EXPECT_EQ(state.enrolled.size(), 5u);
  EXPECT_TRUE(state.validation.has_value());
  for (const auto& round : sim.federation.rounds(id)) {
    EXPECT_EQ(round.phase, RoundPhase::finished) << round.reason;
    EXPECT_EQ(round.slot.attempt.value, 0u);
  }
  const auto model = sim.federation.blob(state.model_root);
  ASSERT_TRUE(model.has_value());
  const auto audited = audit::audit({*model, "the simulated model", sim.federation.ledger_export(),
                                     "the simulated ledger", sim.federation.chain().id()});
  EXPECT_TRUE(audited.ok()) << audited.error().to_string();
}

TEST(FederationTest, FinishesWithoutNoise) {
  Watched sim(clinics(2));
  const auto job = plain_job();
  const JobId id = sim.federation.submit(job.spec, job.evaluation);
  ASSERT_TRUE(sim.federation.run(id));
  EXPECT_EQ(sim.federation.job(id).phase, JobPhase::finished);
}

TEST(FederationTest, FinishesOnSlowAndLossyLinks) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    auto options = clinics(seed);
    options.links.latency_min = Duration(10);
    options.links.latency_max = Duration(150);
    options.links.loss_percent = 5;
    Watched sim(std::move(options));
    const auto job = clinics_job(2);
    const JobId id = sim.federation.submit(job.spec, job.evaluation);
    ASSERT_TRUE(sim.federation.run(id));
    EXPECT_EQ(sim.federation.job(id).phase, JobPhase::finished);
  }
}

TEST(FederationTest, OneSeedOneLedgerAnotherSeedAnother) {
  const auto head = [](std::uint64_t seed) {
    Watched sim(clinics(seed));
    const auto job = clinics_job(1);
    EXPECT_TRUE(sim.federation.run(sim.federation.submit(job.spec, job.evaluation)));
    return sim.federation.chain().head_hash();
  };
  const Digest first = head(7);
  EXPECT_EQ(first, head(7));
  EXPECT_NE(first, head(8));
}

TEST(FederationTest, TwoJobsAtOnceBothFinish) {
  Watched sim(clinics(3));
  const auto first = clinics_job(2);
  auto second = plain_job(2);
  second.spec.name = "plain";
  const JobId a = sim.federation.submit(first.spec, first.evaluation);
  const JobId b = sim.federation.submit(second.spec, second.evaluation);
  ASSERT_TRUE(sim.federation.run(a));
  ASSERT_TRUE(sim.federation.run(b));
  EXPECT_EQ(sim.federation.job(a).phase, JobPhase::finished);
  EXPECT_EQ(sim.federation.job(b).phase, JobPhase::finished);
}

TEST(FederationTest, TheOwnerStopsAJob) {
  Watched sim(clinics(4));
  const auto job = clinics_job();
  const JobId id = sim.federation.submit(job.spec, job.evaluation);
  Federation& federation = sim.federation;
  ASSERT_TRUE(federation.world().run_until(
      [&] {
        const auto jobs = jobs_in(federation.chain().state());
        return !jobs.empty() && jobs.front().rounds_done == 1;
      },
      std::chrono::minutes(10)));
  federation.stop(id, "enough");
  ASSERT_TRUE(federation.run(id));
  EXPECT_EQ(federation.job(id).phase, JobPhase::stopped);
  EXPECT_THAT(federation.job(id).reason, HasSubstr("enough"));
  // Openings are erased everywhere once their round is over.
  federation.world().run_until([] { return false; }, std::chrono::minutes(2));
  for (std::size_t i = 0; i < federation.workers(); ++i)
    for (const auto& [name, bytes] : federation.items(i))
      EXPECT_THAT(name, testing::Not(HasSubstr("opening"))) << "of worker " << i;
}

TEST(FederationTest, ADeclineByPolicyIsSeenByTheSubmitter) {
  auto options = clinics(5);
  options.consent.resize(1);
  options.consent[0].max_epsilon_per_job_nano = 500'000'000;  // the job asks for 1
  Watched sim(std::move(options));
  const auto job = clinics_job(1);
  const JobId id = sim.federation.submit(job.spec, job.evaluation);
  ASSERT_TRUE(sim.federation.run(id));
  const auto state = sim.federation.job(id);
  EXPECT_EQ(state.phase, JobPhase::finished);
  EXPECT_THAT(state.declined, testing::ElementsAre(sim.federation.worker_id(0)));
  EXPECT_EQ(state.enrolled.size(), 4u);
}

TEST(FederationTest, AWorkerThatNeverAnswersCostsADeadlineOnly) {
  auto options = clinics(6);
  Watched sim(std::move(options));
  Federation& federation = sim.federation;
  federation.world().cut(federation.worker_id(2));
  const auto job = clinics_job(1);
  const Instant start = federation.world().now();
  const JobId id = federation.submit(job.spec, job.evaluation);
  ASSERT_TRUE(federation.run(id));
  EXPECT_EQ(federation.job(id).phase, JobPhase::finished);
  EXPECT_EQ(federation.job(id).enrolled.size(), 4u);
  EXPECT_GE(federation.world().now() - start, Duration(job.spec.federation.enrol_ms));
}

TEST(FederationTest, TooFewWorkersWaitAndGoOnWhenOneComes) {
  Watched sim(clinics(7));
  Federation& federation = sim.federation;
  federation.world().cut(federation.worker_id(0));
  federation.world().cut(federation.worker_id(1));
  const auto job = clinics_job(1);  // needs 4
  const JobId id = federation.submit(job.spec, job.evaluation);
  EXPECT_FALSE(federation.run(id, std::chrono::minutes(5)));
  EXPECT_EQ(federation.job(id).phase, JobPhase::waiting_for_workers);
  EXPECT_THAT(federation.job(id).reason, HasSubstr("3 of at least 4 workers"));
  federation.world().heal(federation.worker_id(1));
  ASSERT_TRUE(federation.run(id));
  EXPECT_EQ(federation.job(id).phase, JobPhase::finished);
}

TEST(FederationTest, TooFewWorkersEndTheJobWhereItSaysSo) {
  Watched sim(clinics(8, 2));
  auto job = clinics_job(1);
  job.spec.federation.on_too_few = protocol::TooFew::end;
  const JobId id = sim.federation.submit(job.spec, job.evaluation);
  ASSERT_TRUE(sim.federation.run(id));
  EXPECT_EQ(sim.federation.job(id).phase, JobPhase::failed);
  EXPECT_THAT(sim.federation.job(id).reason, HasSubstr("2 of at least 4 workers"));
}

TEST(FederationTest, AWorkerThatWasCutComesBackAndTakesPart) {
  Watched sim(clinics(9));
  Federation& federation = sim.federation;
  const auto job = clinics_job(4);
  const JobId id = federation.submit(job.spec, job.evaluation);
  const NodeId worker = federation.worker_id(0);
  ASSERT_TRUE(federation.world().run_until(
      [&] {
        const auto jobs = jobs_in(federation.chain().state());
        return !jobs.empty() && jobs.front().rounds_done == 1;
      },
      std::chrono::minutes(10)));
  const std::size_t before = rounds_with(federation, id, worker);
  federation.world().cut(worker);
  federation.world().after(std::chrono::seconds(25), [&] { federation.world().heal(worker); });
  ASSERT_TRUE(federation.run(id));
  EXPECT_EQ(federation.job(id).phase, JobPhase::finished) << federation.job(id).reason;
  const std::size_t all = federation.rounds(id).size();
  EXPECT_GT(rounds_with(federation, id, worker), before);
  EXPECT_LT(rounds_with(federation, id, worker), all);
}

// It hears of the end when it is back, and keeps nothing of the job.
TEST(FederationTest, AJobThatEndsWhileAWorkerIsCutLeavesNoOpeningBehind) {
  Watched sim(clinics(13));
  Federation& federation = sim.federation;
  const auto job = clinics_job(1);
  const JobId id = federation.submit(job.spec, job.evaluation);
  const NodeId worker = federation.worker_id(0);
  ASSERT_TRUE(federation.world().run_until(
      [&] {
        const auto round = open_round(federation, id);
        return round && round->slot.round.value == 1 && round->phase == RoundPhase::revealing;
      },
      std::chrono::minutes(10)));
  federation.world().cut(worker);
  ASSERT_TRUE(federation.run(id));
  const auto holds_opening = [&] {
    const auto disk = federation.items(0);
    return std::any_of(disk.begin(), disk.end(),
                       [](const auto& item) { return item.first.starts_with("opening"); });
  };
  EXPECT_TRUE(holds_opening());
  federation.world().heal(worker);
  EXPECT_TRUE(
      federation.world().run_until([&] { return !holds_opening(); }, std::chrono::seconds(10)));
}

TEST(FederationTest, AllLinksOfTheCoordinatorCutAndHealed) {
  Watched sim(clinics(10));
  Federation& federation = sim.federation;
  const auto job = clinics_job(3);
  const JobId id = federation.submit(job.spec, job.evaluation);
  ASSERT_TRUE(federation.world().run_until(
      [&] {
        const auto jobs = jobs_in(federation.chain().state());
        return !jobs.empty() && jobs.front().rounds_done == 1;
      },
      std::chrono::minutes(10)));
  std::vector<NodeId> nodes{federation.owner_id()};
  for (std::size_t i = 0; i < federation.workers(); ++i) nodes.push_back(federation.worker_id(i));
  for (const auto& node : nodes) federation.world().cut(node);
  federation.world().after(std::chrono::seconds(30), [&federation, nodes] {
    for (const auto& node : nodes) federation.world().heal(node);
  });
  ASSERT_TRUE(federation.run(id));
  EXPECT_EQ(federation.job(id).phase, JobPhase::finished) << federation.job(id).reason;
}

// Crashes of one worker when its job or round enters a phase, and some milliseconds later.
struct CrashPoint {
  const char* name;
  std::function<bool(const Federation&, const JobId&)> reached;
};

CrashPoint in_round(const char* name, RoundPhase phase) {
  return {name, [phase](const Federation& federation, const JobId& id) {
            const auto round = open_round(federation, id);
            return round && round->slot.round.value >= 1 && round->phase == phase;
          }};
}

std::vector<CrashPoint> crash_points() {
  std::vector<CrashPoint> out;
  out.push_back({"enrolling", [](const Federation& federation, const JobId& id) {
                   return federation.chain().state().contains(protocol::job_key(id));
                 }});
  out.push_back(in_round("committing", RoundPhase::committing));
  out.push_back(in_round("revealing", RoundPhase::revealing));
  out.push_back(in_round("checking", RoundPhase::checking));
  out.push_back(in_round("scoring", RoundPhase::scoring));
  out.push_back(in_round("unveiling", RoundPhase::unveiling));
  return out;
}

class CrashTest : public testing::TestWithParam<int> {};

// The crashed worker is the round's validator where there is one, so that every duty is hit.
TEST_P(CrashTest, AWorkerCrashesInEveryPhaseAndComesBack) {
  for (const auto& point : crash_points()) {
    SCOPED_TRACE(std::string(point.name) + " + " + std::to_string(GetParam()) + " ms");
    auto options = clinics(11);
    options.links.latency_min = Duration(5);  // so that records and openings come apart
    options.links.latency_max = Duration(60);
    options.links.loss_percent = 10;
    Watched sim(std::move(options));
    Federation& federation = sim.federation;
    const auto job = clinics_job(4);
    const JobId id = federation.submit(job.spec, job.evaluation);
    ASSERT_TRUE(federation.world().run_until([&] { return point.reached(federation, id); },
                                             std::chrono::minutes(10)));
    NodeId victim = federation.worker_id(0);
    if (const auto round = open_round(federation, id); round && !round->validators.empty())
      victim = round->validators.front().validator;
    World& world = federation.world();
    world.after(Duration(GetParam()), [&world, victim] { world.crash(victim); });
    world.after(Duration(GetParam() + 3000), [&world, victim] { world.restart(victim); });
    ASSERT_TRUE(federation.run(id));
    const auto state = federation.job(id);
    EXPECT_EQ(state.phase, JobPhase::finished) << state.reason;
    EXPECT_EQ(state.void_rounds, 0u);
    const auto rounds = federation.rounds(id);
    const auto& last = rounds.back().cohort;
    EXPECT_TRUE(std::any_of(last.begin(), last.end(), [&](const auto& slot) {
      return slot.worker == victim && slot.in_set;
    })) << "it takes part again";
  }
}
INSTANTIATE_TEST_SUITE_P(Milliseconds, CrashTest, testing::Values(0, 2, 20, 52, 70));

// A crash in the middle of one step: some of its effects were carried out, the rest never was. The
// rule that the opening is stored before the commitment leaves must survive every cut.
TEST(CrashInStepTest, EveryPrefixOfTheCommittingStepIsSafe) {
  for (std::size_t kept = 0; kept <= 4; ++kept) {
    SCOPED_TRACE("effects carried out: " + std::to_string(kept));
    bool crashed = false;
    Federation* world_of = nullptr;
    auto options = clinics(12);
    options.tamper = [&](std::size_t worker, worker::Effects& effects) {
      const bool commits =
          std::any_of(effects.begin(), effects.end(), [](const worker::Effect& effect) {
            const auto* persist = std::get_if<worker::Persist>(&effect);
            return persist != nullptr && persist->name.starts_with("opening");
          });
      if (worker != 0 || crashed || !commits) return;
      crashed = true;
      if (effects.size() > kept) effects.resize(kept);
      World& world = world_of->world();
      const NodeId id = world_of->worker_id(0);
      world.after(Duration(0), [&world, id] { world.crash(id); });
      world.after(Duration(2000), [&world, id] { world.restart(id); });
    };
    Watched sim(std::move(options));
    world_of = &sim.federation;
    const auto job = clinics_job(2);
    const JobId id = sim.federation.submit(job.spec, job.evaluation);
    ASSERT_TRUE(sim.federation.run(id));
    EXPECT_TRUE(crashed);
    EXPECT_EQ(sim.federation.job(id).phase, JobPhase::finished);
  }
}

TEST(NoiseTest, AHundredthOfTheBudgetRuinsTheModelAndTheWholeDoesNot) {
  const auto accuracy = [](std::uint64_t seed, std::int64_t divisor) {
    auto job = clinics_job(10);
    job.spec.privacy.epsilon_per_round_nano /= divisor;
    job.spec.privacy.total.epsilon_nano /= divisor;
    job.spec.preprocessing.epsilon_nano /= divisor;
    EXPECT_TRUE(job.spec.validate().ok());
    Watched sim(clinics(seed));
    const JobId id = sim.federation.submit(job.spec, job.evaluation);
    EXPECT_TRUE(sim.federation.run(id));
    return accuracy_of(sim.federation.job(id));
  };
  double whole = 0;
  double hundredth = 0;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    whole += accuracy(seed, 1) / 3;
    hundredth += accuracy(seed, 100) / 3;
  }
  RecordProperty("epsilon_1", std::to_string(whole));
  RecordProperty("epsilon_0_01", std::to_string(hundredth));
  EXPECT_GT(whole, 0.75);
  EXPECT_LT(hundredth, whole - 0.1) << "epsilon 1: " << whole;
}

}  // namespace
}  // namespace fedmesh::sim
