// The trainer of one worker of five answers with what is no number, or none that fits. Its worker
// neither crashes nor passes it on, and the round is unharmed.
#include <cmath>
#include <limits>

#include "models/data/safetensors.h"
#include "tests/sim/sim_fixture.h"

namespace fedmesh::sim {
namespace {

using protocol::JobPhase;
using protocol::RoundPhase;
using testing::HasSubstr;
using Floats = std::numeric_limits<float>;

// Local training without LibTorch: the same small delta each time, with `spoil` done to it.
class CannedTrainer final : public trainer::KernelExecutor {
 public:
  using Spoil = std::function<void(std::vector<float>& delta)>;
  explicit CannedTrainer(Spoil spoil) : spoil_(std::move(spoil)) {}

 protected:
  Result<Bytes> execute(const trainer::Request& request, const OnProgress& on_progress) override {
    if (request.kind != trainer::TaskKind::train)
      return KernelExecutor::execute(request, on_progress);
    FM_TRY(const auto task, trainer::decode_task<trainer::TrainTask>(request.body));
    FM_TRY(const auto rows, data().load(task.data));
    std::vector<float> delta(models::elements(task.architecture.layout()), 0.01f);
    if (spoil_) spoil_(delta);
    return codec::encode(trainer::TrainResult{trainer::to_le_bytes(delta), rows->rows(), 1});
  }

 private:
  Spoil spoil_;
};

struct Crime {
  const char* name;
  CannedTrainer::Spoil spoil;
  const char* reason;  // why the worker sits the round out where nothing is private
  bool as_zero;        // what it contributes where everything is
};

class RogueTrainer : public testing::TestWithParam<Crime> {
 protected:
  static constexpr std::size_t kRogue = 2;

  FederationOptions options() const {
    auto out = clinics(81);
    auto made = std::make_shared<std::size_t>(0);
    out.make_executor = [made] {
      return std::make_unique<CannedTrainer>((*made)++ == kRogue ? GetParam().spoil : nullptr);
    };
    return out;
  }
  // Whole deltas of workers, with noise or without.
  static SimJob job_of_deltas(bool is_private) {
    SimJob job = plain_job(2);
    auto& privacy = job.spec.privacy;
    privacy.unit = protocol::PrivacyUnit::worker;
    job.spec.federation.min_updates = 4;
    if (is_private) {
      privacy.mechanism = protocol::Mechanism::laplace;
      privacy.epsilon_per_round_nano = 500'000'000;
      privacy.total = {1'000'000'000, 0};
    }
    EXPECT_TRUE(job.spec.validate().ok()) << job.spec.validate().error().detail;
    return job;
  }
  void run(bool is_private) {
    const SimJob job = job_of_deltas(is_private);
    id_ = sim_.federation.submit(job.spec, job.evaluation);
    ASSERT_TRUE(sim_.federation.run(id_));
    EXPECT_EQ(sim_.federation.job(id_).phase, JobPhase::finished)
        << sim_.federation.job(id_).reason;
  }
  // Of every round; the invariants compare each aggregate with the updates of its set.
  void expect_in_set(bool rogue_too) {
    const auto rounds = sim_.federation.rounds(id_);
    ASSERT_EQ(rounds.size(), 2u);
    for (const auto& round : rounds) {
      EXPECT_EQ(round.phase, RoundPhase::finished) << round.reason;
      for (const auto& slot : round.cohort)
        EXPECT_EQ(slot.in_set, rogue_too || slot.worker != sim_.federation.worker_id(kRogue));
    }
  }
  void expect_a_finite_model() {
    const auto model = sim_.federation.blob(sim_.federation.job(id_).model_root);
    ASSERT_TRUE(model.has_value());
    const auto tensors = models::decode_safetensors(*model);
    ASSERT_TRUE(tensors.ok());
    for (const auto& tensor : *tensors)
      for (const float value : tensor.floats()) EXPECT_TRUE(std::isfinite(value));
  }
  std::string log() const {
    std::string out;
    for (const auto& event : sim_.federation.events()) out += to_json_line(event) + "\n";
    return out;
  }

  Watched sim_{options()};
  JobId id_;
};

TEST_P(RogueTrainer, WithoutNoiseItsWorkerSitsTheRoundOutAndSaysWhy) {
  ASSERT_NO_FATAL_FAILURE(run(false));
  expect_in_set(false);
  expect_a_finite_model();
  EXPECT_THAT(log(), HasSubstr("sitting this round out"));
  EXPECT_THAT(log(), HasSubstr(GetParam().reason));
}

// Whether a worker commits must not depend on its data: it does, to nothing or to the clip.
TEST_P(RogueTrainer, WithNoiseItsWorkerContributesNothingBeyondTheClip) {
  ASSERT_NO_FATAL_FAILURE(run(true));
  expect_in_set(true);
  expect_a_finite_model();
  const std::int64_t clip = job_of_deltas(true).spec.privacy.clip_granules;
  std::size_t seen = 0;
  for (const auto& update : sim_.federation.sealed()) {
    if (update.worker != sim_.federation.worker_id(kRogue)) continue;
    ++seen;
    std::int64_t norm = 0;
    for (const std::int64_t value : update.values) norm += std::abs(value);
    EXPECT_LE(norm, GetParam().as_zero ? 0 : clip);
  }
  EXPECT_EQ(seen, 2u);
}

INSTANTIATE_TEST_SUITE_P(
    Answers, RogueTrainer,
    testing::Values(
        Crime{"OneNan", [](auto& d) { d[3] = Floats::quiet_NaN(); }, "not finite", true},
        Crime{"AllNan", [](auto& d) { d.assign(d.size(), Floats::signaling_NaN()); }, "not finite",
              true},
        Crime{"Infinity", [](auto& d) { d.back() = Floats::infinity(); }, "not finite", true},
        Crime{"MinusInfinity", [](auto& d) { d.assign(d.size(), -Floats::infinity()); },
              "not finite", true},
        Crime{"Largest", [](auto& d) { d.assign(d.size(), Floats::max()); }, "does not fit 32 bits",
              false}),
    [](const auto& crime) { return std::string(crime.param.name); });

}  // namespace
}  // namespace fedmesh::sim
