// Planted bugs: whoever breaks a rule must be reported by the invariants, or the green runs of the
// other tests mean nothing.
#include "tests/sim/invariants.h"

#include <cmath>

#include "base/crypto/blob_hash.h"
#include "models/data/safetensors.h"
#include "privacy/accountant.h"
#include "tests/coordinator/audit/world.h"
#include "tests/sim/sim_fixture.h"

namespace fedmesh::sim {
namespace {

using ledger::RecordKind;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

// The record in a message, if it is of that kind.
std::optional<ledger::Record> record_in(const worker::Effect& effect, RecordKind kind) {
  const auto* send = std::get_if<worker::Send>(&effect);
  if (send == nullptr) return std::nullopt;
  const auto message = protocol::decode_message(send->message);
  const auto* submit = std::get_if<protocol::SubmitRecord>(&*message);
  if (submit == nullptr) return std::nullopt;
  auto record = ledger::decode_record(submit->record);
  if (!record.ok() || record->kind != kind) return std::nullopt;
  return std::move(record).value();
}

worker::Send resend(const NodeId& to, const ledger::Record& record) {
  return {to, protocol::encode_message(protocol::SubmitRecord{ledger::encode_record(record)})};
}

using Tamper = std::function<void(Federation&, std::size_t worker, worker::Effects&)>;

// Runs a job among workers that `tamper` corrupts; what the invariants saw.
std::vector<std::string> violations_with(const Tamper& tamper) {
  Federation* self = nullptr;
  auto options = clinics(21);
  options.tamper = [&](std::size_t worker, worker::Effects& effects) {
    if (self != nullptr) tamper(*self, worker, effects);
  };
  Federation federation(std::move(options));
  self = &federation;
  Invariants invariants(federation.chain().id());
  watch(federation, invariants);
  const auto job = clinics_job(1);
  EXPECT_TRUE(federation.run(federation.submit(job.spec, job.evaluation)));
  return invariants.violations();
}

TEST(PlantedBugTest, HonestWorkersBreakNothing) {
  EXPECT_THAT(violations_with([](Federation&, std::size_t, worker::Effects&) {}), IsEmpty());
}

TEST(PlantedBugTest, AWorkerThatCommitsTwiceDifferently) {
  const auto twice = [](Federation& federation, std::size_t worker, worker::Effects& effects) {
    if (worker != 0) return;
    worker::Effects more;
    for (const auto& effect : effects) {
      const auto record = record_in(effect, RecordKind::commit);
      if (!record) continue;
      auto commit = protocol::decode_payload<protocol::Commit>(record->payload);
      commit->commitment.bytes[0] ^= 1;
      more.push_back(resend(
          federation.coordinator_id(),
          ledger::sign_record(federation.worker_key(worker), RecordKind::commit, record->chain,
                              record->job, record->author_seq + 1, codec::encode(*commit))));
    }
    for (auto& effect : more) effects.push_back(std::move(effect));
  };
  EXPECT_THAT(violations_with(twice), Contains(HasSubstr("two commitments")));
}

TEST(PlantedBugTest, AWorkerThatCopiesACommitment) {
  std::optional<Digest> seen;
  const auto copy = [&](Federation& federation, std::size_t worker, worker::Effects& effects) {
    for (auto& effect : effects) {
      const auto record = record_in(effect, RecordKind::commit);
      if (!record) continue;
      auto commit = protocol::decode_payload<protocol::Commit>(record->payload);
      if (!seen) seen = commit->commitment;
      if (worker != 4) continue;
      commit->commitment = *seen;
      effect = resend(
          federation.coordinator_id(),
          ledger::sign_record(federation.worker_key(worker), RecordKind::commit, record->chain,
                              record->job, record->author_seq, codec::encode(*commit)));
    }
  };
  EXPECT_THAT(violations_with(copy), Contains(HasSubstr("copied commitment")));
}

TEST(PlantedBugTest, AWorkerThatRevealsBeforeItsCommitmentIsFinal) {
  const auto early = [](Federation& federation, std::size_t worker, worker::Effects& effects) {
    if (worker != 0) return;
    std::optional<ledger::Record> commit;
    for (const auto& effect : effects)
      if (auto record = record_in(effect, RecordKind::commit)) commit = std::move(record);
    if (!commit) return;
    protocol::Reveal reveal;
    reveal.slot = protocol::decode_payload<protocol::Commit>(commit->payload)->slot;
    effects.push_back(
        resend(federation.coordinator_id(),
               ledger::sign_record(federation.worker_key(worker), RecordKind::reveal, commit->chain,
                                   commit->job, commit->author_seq + 1, codec::encode(reveal))));
  };
  EXPECT_THAT(violations_with(early), Contains(HasSubstr("a reveal before its commitment")));
}

TEST(PlantedBugTest, AWorkerThatSendsItsContentKeyInClear) {
  const auto careless = [](Federation& federation, std::size_t worker, worker::Effects& effects) {
    if (worker != 0) return;
    for (std::size_t i = 0; i < effects.size(); ++i) {
      const auto* persist = std::get_if<worker::Persist>(&effects[i]);
      if (persist == nullptr || !persist->name.starts_with("opening")) continue;
      worker::Send leak{federation.coordinator_id(), persist->bytes};
      effects.push_back(std::move(leak));
      return;
    }
  };
  EXPECT_THAT(violations_with(careless), Contains(HasSubstr("a content key in clear")));
}

// A coordinator whose state machine gives the charge of a frozen round back.
TEST(PlantedBugTest, AStateMachineThatForgetsToChargeEpsilon) {
  audit::CrookedMachine machine;
  machine.after_end = [](ledger::State& state) {
    for (auto job : jobs_in(state)) {
      if (job.privacy.charged.empty()) continue;
      job.privacy.charged.clear();
      state.put(protocol::job_key(job.id), codec::encode(job));
    }
  };
  audit::World crooked(audit::small_job(), 1, &machine);
  crooked.start();
  crooked.play_round();
  Invariants invariants(crooked.chain().id());
  invariants.observe(crooked.chain().height(), crooked.chain().state());
  EXPECT_THAT(invariants.violations(), Contains(HasSubstr("a frozen round is not charged")));
}

// Of a finished job: copies of its ledger state to doctor, and everything that crossed its links.
class DoctoredState : public testing::Test {
 protected:
  DoctoredState() : federation_(clinics(22)) {
    federation_.world().set_tap(
        [this](const NodeId& from, const NodeId&, const Bytes& message, Channel channel) {
          traffic_.push_back({from, message, channel});
        });
    const auto job = plain_job(2);
    spec_ = job.spec;
    id_ = federation_.submit(job.spec, job.evaluation);
    EXPECT_TRUE(federation_.run(id_));
    for (const auto& [key, value] : federation_.chain().state().prefix("")) state_.put(key, value);
  }

  // What a fresh observer says who has heard all traffic.
  std::vector<std::string> violations() {
    Invariants invariants(federation_.chain().id());
    hear(invariants);
    invariants.observe(federation_.chain().height(), state_);
    return invariants.violations();
  }
  // What an observer says who saw the honest state before.
  std::vector<std::string> violations_after_honest() {
    Invariants invariants(federation_.chain().id());
    hear(invariants);
    invariants.observe(federation_.chain().height(), federation_.chain().state());
    EXPECT_THAT(invariants.violations(), IsEmpty());
    invariants.observe(federation_.chain().height().next(), state_);
    return invariants.violations();
  }
  template <class T>
  void put(const std::string& key, const T& value) {
    state_.put(key, codec::encode(value));
  }
  void put(const protocol::RoundState& round) {
    put(protocol::round_key(round.job, round.slot), round);
  }
  void hear(Invariants& invariants) {
    invariants.know([this]() -> const std::vector<SealedPlain>& { return federation_.sealed(); });
    for (const auto& [from, message, channel] : traffic_)
      invariants.message(from, message, channel, federation_.chain().state());
  }

  struct Heard {
    NodeId from;
    Bytes message;
    Channel channel;
  };
  Federation federation_;
  std::vector<Heard> traffic_;
  protocol::JobSpec spec_;
  JobId id_;
  ledger::State state_;
};

TEST_F(DoctoredState, UntouchedItIsSound) { EXPECT_THAT(violations(), IsEmpty()); }

// The same aggregate as a coordinator computes that loses the last update of the set.
TEST_F(DoctoredState, AnAggregateWithAnUpdateDropped) {
  auto round = federation_.rounds(id_).front();
  std::vector<std::int64_t> sum;
  std::uint64_t records = 0;
  const NodeId dropped =
      std::find_if(round.cohort.rbegin(), round.cohort.rend(), [](const auto& s) {
        return s.in_set;
      })->worker;
  for (const auto& plain : federation_.sealed()) {
    if (plain.slot != round.slot || plain.worker == dropped) continue;
    sum.resize(plain.values.size());
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += plain.values[i];
    records += plain.header.examples;
  }
  const auto layout = spec_.architecture.layout();
  auto model =
      *models::flatten(models::initial_parameters(spec_.architecture, spec_.initial_seed), layout);
  const double step = static_cast<double>(spec_.training.options.learning_rate_nano) / 1e9;
  for (std::size_t i = 0; i < model.size(); ++i)
    model[i] = static_cast<float>(
        static_cast<double>(model[i]) +
        step * std::ldexp(static_cast<double>(sum[i]) / static_cast<double>(records),
                          -static_cast<int>(spec_.privacy.fraction_bits)));
  round.aggregate->model_root =
      crypto::blob_root(models::encode_safetensors(models::unflatten(model, layout)));
  put(round);
  EXPECT_THAT(violations(), Contains(HasSubstr("the aggregate is not that of its reveal set")));
}

TEST_F(DoctoredState, AnUpdateOutsideTheFrozenSetThatIsCounted) {
  auto round = federation_.rounds(id_).front();
  round.cohort.front().in_set = false;
  put(round);
  EXPECT_THAT(violations(), Contains(HasSubstr("the aggregate is not that of its reveal set")));
  EXPECT_THAT(violations_after_honest(), Contains(HasSubstr("a frozen reveal set changed")));
}

TEST_F(DoctoredState, AFinalCommitmentThatChanges) {
  auto round = federation_.rounds(id_).front();
  round.cohort.front().commitment->bytes[0] ^= 1;
  put(round);
  EXPECT_THAT(violations_after_honest(), Contains(HasSubstr("a final commitment changed")));
}

TEST_F(DoctoredState, TwoWorkersWithOneCommitment) {
  auto round = federation_.rounds(id_).front();
  round.cohort[0].commitment = round.cohort[1].commitment;
  put(round);
  EXPECT_THAT(violations(), Contains(HasSubstr("copied commitment")));
}

TEST_F(DoctoredState, AnEndedJobThatGoesOn) {
  auto job = federation_.job(id_);
  job.phase = protocol::JobPhase::drawing;
  put(protocol::job_key(id_), job);
  EXPECT_THAT(violations_after_honest(), Contains(HasSubstr("job left its end")));
}

TEST_F(DoctoredState, AHeightThatFalls) {
  Invariants invariants(federation_.chain().id());
  hear(invariants);
  invariants.observe(Height{9}, state_);
  invariants.observe(Height{8}, state_);
  EXPECT_THAT(invariants.violations(), Contains(HasSubstr("the height fell from 9 to 8")));
}

TEST(PlantedBugTest, EpsilonThatFallsOrExceedsItsTotal) {
  audit::World world;
  world.start();
  world.play_round();
  ledger::State state;
  for (const auto& [key, value] : world.chain().state().prefix("")) state.put(key, value);
  auto job = world.job_state();
  auto round = world.round_state(1);
  round.aggregate.reset();  // nobody knows its updates here
  state.put(protocol::round_key(job.id, round.slot), codec::encode(round));
  const auto with_count = [&](std::uint64_t count) {
    auto changed = job;
    changed.privacy.charged.front().count = count;
    state.put(protocol::job_key(job.id), codec::encode(changed));
  };
  Invariants invariants(world.chain().id());
  with_count(2);
  invariants.observe(Height{1}, state);
  EXPECT_THAT(invariants.violations(), IsEmpty());
  with_count(1);
  invariants.observe(Height{2}, state);
  EXPECT_THAT(invariants.violations(), Contains(HasSubstr("spent epsilon fell")));
  with_count(3);
  invariants.observe(Height{3}, state);
  EXPECT_EQ(invariants.violations().size(), 2u) << "more than the total";
}

}  // namespace
}  // namespace fedmesh::sim
