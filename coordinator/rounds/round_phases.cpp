#include "coordinator/rounds/round_phases.h"

#include <algorithm>
#include <map>

#include "base/check.h"
#include "coordinator/ledger/merkle.h"
#include "coordinator/rounds/aggregate.h"
#include "coordinator/rounds/conduct.h"
#include "coordinator/rounds/election.h"
#include "coordinator/rounds/job_transitions.h"
#include "coordinator/rounds/state_access.h"
#include "privacy/accountant.h"

namespace fedmesh::rounds {
namespace {

using ledger::BlockContext;
using ledger::State;
using protocol::CohortSlot;
using protocol::JobPhase;
using protocol::JobSpec;
using protocol::JobState;
using protocol::MemberSlot;
using protocol::RoundKind;
using protocol::RoundPhase;
using protocol::RoundState;
using protocol::ValidatorSlot;

void enter(const BlockContext& context, RoundState& round, RoundPhase phase,
           std::int64_t duration_ms) {
  round.phase = phase;
  round.phase_opened_ms = context.timestamp.ms;
  round.deadline_ms = context.timestamp.ms + duration_ms;
}

privacy::Accountant accountant_of(const JobState& job) {
  auto accountant = privacy::Accountant::from_state(job.privacy);
  FM_CHECK(accountant.ok(), "the state holds what an accountant gave");
  return std::move(accountant).value();
}

// The Renyi costs of integer noise depend on it where delta > 0.
std::uint64_t sensitivity_of(const JobSpec& spec, const RoundState& round) {
  return static_cast<std::uint64_t>(sensitivity_granules(spec, round.kind));
}

// "missing a1b2c3d4 e5f60718"
std::string missing_text(const std::vector<CohortSlot>& cohort,
                         std::optional<Digest> CohortSlot::*answer) {
  std::string text;
  for (const auto& slot : cohort)
    if (!(slot.*answer)) text += " " + slot.worker.short_hex();
  return text.empty() ? "" : "; missing" + text;
}

std::size_t count_of(const std::vector<CohortSlot>& cohort,
                     std::optional<Digest> CohortSlot::*answer) {
  return static_cast<std::size_t>(std::count_if(
      cohort.begin(), cohort.end(), [&](const CohortSlot& slot) { return (slot.*answer); }));
}

std::string too_few_text(std::size_t got, std::size_t cohort, const char* verb,
                         const JobSpec& spec) {
  return std::to_string(got) + " of " + std::to_string(cohort) + " workers " + verb + ", " +
         std::to_string(spec.federation.min_updates) + " needed";
}

// The next attempt of a round that was voided, or the end of the job after too many.
void retry(State& state, JobState& job, const JobSpec& spec, const std::string& reason) {
  ++job.void_rounds;
  if (job.void_rounds >= spec.federation.max_void_rounds)
    return end_job(
        state, job, JobPhase::failed,
        std::to_string(job.void_rounds) + " rounds in a row were void, the last: " + reason);
  job.next.attempt = job.next.attempt.next();
  job.phase = JobPhase::drawing;
  job.phase_deadline_ms = 0;
  job.reason = "round " + std::to_string(job.next.round.value) + " was void (" + reason +
               "); waiting for the beacon of attempt " + std::to_string(job.next.attempt.value);
}

void finish_or_continue(State& state, JobState& job, const JobSpec& spec, const RoundState& round) {
  job.void_rounds = 0;
  job.next = {round.slot.round.next(), Attempt{0}};
  if (round.kind == RoundKind::training) {
    ++job.rounds_done;
    const auto& target = spec.federation.target_accuracy_micro;
    const auto& score = round.validation;
    if (target && score &&
        static_cast<unsigned __int128>(score->correct) * 1'000'000 >=
            static_cast<unsigned __int128>(*target) * score->count)
      return end_job(state, job, JobPhase::finished, "target accuracy reached");
    if (job.rounds_done >= spec.federation.rounds)
      return end_job(state, job, JobPhase::finished, "all rounds done");
  }
  job.phase = JobPhase::drawing;
  job.phase_deadline_ms = 0;
  job.reason = "waiting for the beacon of round " + std::to_string(job.next.round.value);
}

void record_contributions(State& state, const RoundState& round) {
  for (const auto& slot : round.cohort) {
    if (!slot.commitment) continue;
    protocol::Contribution entry;
    entry.job = round.job;
    entry.slot = round.slot;
    entry.worker = slot.worker;
    entry.commitment = *slot.commitment;
    entry.revealed = slot.reveal.has_value();
    entry.in_set = slot.in_set;
    entry.record_count = slot.record_count;
    store(state, protocol::contribution_key(round.job, round.slot.round, slot.worker), entry);
  }
}

void count_terms(State& state, const RoundState& round) {
  const NodeId& leader = round.members.front().member;
  for (const NodeId& id : nodes_with_role(state, protocol::kRoleAggregator)) {
    auto node = require<protocol::NodeState>(state, protocol::node_key(id));
    const std::uint32_t terms = id == leader ? node.consecutive_terms + 1 : 0;
    if (terms == node.consecutive_terms) continue;
    node.consecutive_terms = terms;
    store(state, protocol::node_key(id), node);
  }
}

void finish(const BlockContext& context, State& state, JobState& job, const JobSpec& spec,
            RoundState& round) {
  round.phase = RoundPhase::finished;
  round.closed_ms = context.timestamp.ms;
  round.closed_height = context.height;
  round.deadline_ms = 0;
  std::vector<protocol::Score> scores;
  for (const auto& validator : round.validators)
    if (validator.score) scores.push_back(*validator.score);
  if (!scores.empty()) round.validation = median(std::move(scores));
  if (round.kind == RoundKind::training) job.validation = round.validation;
  record_contributions(state, round);
  settle_conduct(state, round);
  count_terms(state, round);
  finish_or_continue(state, job, spec, round);
}

// The reservation is released unless S had frozen.
void mark_void(const BlockContext& context, JobState& job, const JobSpec& spec, RoundState& round,
               const std::string& reason) {
  if (round.epsilon_nano > 0 && !round.charged) {
    auto accountant = accountant_of(job);
    const auto released = accountant.release(round.epsilon_nano, sensitivity_of(spec, round));
    FM_CHECK(released.ok(), "an open round has its reservation");
    job.privacy = accountant.state();
  }
  round.phase = RoundPhase::voided;
  round.reason = reason;
  round.closed_ms = context.timestamp.ms;
  round.closed_height = context.height;
  round.deadline_ms = 0;
}

void close_void(const BlockContext& context, State& state, JobState& job, const JobSpec& spec,
                RoundState& round, const std::string& reason) {
  const RoundPhase failed_in = round.phase;
  mark_void(context, job, spec, round, reason);
  settle_conduct(state, round, failed_in);
  retry(state, job, spec, reason);
}

// What one step of a phase did.
enum class Moved { no, yes, ended };

struct Stepper {
  const BlockContext& context;
  State& state;
  JobState& job;
  const JobSpec& spec;
  RoundState& round;

  bool due() const { return context.timestamp.ms >= round.deadline_ms; }
  Moved fail(const std::string& reason) {
    close_void(context, state, job, spec, round, reason);
    return Moved::ended;
  }
  Moved move_to(RoundPhase phase, std::int64_t duration_ms) {
    enter(context, round, phase, duration_ms);
    return Moved::yes;
  }

  Moved accepting();
  Moved committing();
  Moved revealing();
  Moved checking();
  Moved aggregating();
  Moved scoring();
  Moved unveiling();
  Moved step();
};

Moved Stepper::accepting() {
  const bool all = std::all_of(round.members.begin(), round.members.end(),
                               [](const MemberSlot& member) { return member.round_key; });
  if (all) return move_to(RoundPhase::committing, spec.federation.commit_ms);
  if (!due()) return Moved::no;
  for (auto& member : round.members) {
    if (member.round_key) continue;
    if (round.replacements.empty())
      return fail("aggregator " + member.member.short_hex() +
                  " did not accept in time and there is no replacement");
    round.replaced.push_back(member.member);
    member.member = round.replacements.front();
    round.replacements.erase(round.replacements.begin());
  }
  return move_to(RoundPhase::accepting, spec.federation.committee_ms);
}

Moved Stepper::committing() {
  const std::size_t committed = count_of(round.cohort, &CohortSlot::commitment);
  if (committed < round.cohort.size() && !due()) return Moved::no;
  if (committed < spec.federation.min_updates)
    return fail(too_few_text(committed, round.cohort.size(), "committed", spec) +
                missing_text(round.cohort, &CohortSlot::commitment));
  return move_to(RoundPhase::revealing, spec.federation.reveal_ms);
}

Moved Stepper::revealing() {
  const std::size_t committed = count_of(round.cohort, &CohortSlot::commitment);
  const std::size_t revealed = count_of(round.cohort, &CohortSlot::reveal);
  if (revealed < committed && !due()) return Moved::no;
  if (revealed < spec.federation.min_updates)
    return fail(too_few_text(revealed, round.cohort.size(), "revealed", spec) +
                missing_text(round.cohort, &CohortSlot::reveal));
  return move_to(RoundPhase::checking, spec.federation.committee_ms);
}

// Freezes S: the reveals that at least one honest member can serve. Epsilon is charged here,
// whatever follows.
Moved Stepper::checking() {
  const auto availed = static_cast<std::size_t>(std::count_if(
      round.members.begin(), round.members.end(), [](const MemberSlot& m) { return m.availed; }));
  const bool enough = availed == round.members.size() || (due() && availed >= round.quorum());
  if (!enough && !due()) return Moved::no;
  if (!enough)
    return fail(std::to_string(availed) + " of " + std::to_string(round.members.size()) +
                " aggregators checked the updates in time, " + std::to_string(round.quorum()) +
                " needed");
  std::vector<Digest> leaves;
  for (auto& slot : round.cohort) {
    slot.in_set = slot.reveal && slot.yes >= round.faults() + 1;
    if (slot.in_set) leaves.push_back(*slot.reveal);
  }
  if (leaves.size() < spec.federation.min_updates) {
    for (auto& slot : round.cohort) slot.in_set = false;
    return fail(too_few_text(leaves.size(), round.cohort.size(), "sent a valid update", spec));
  }
  round.reveal_set_root = ledger::merkle_root_of_hashes(leaves);
  if (round.epsilon_nano > 0) {
    auto accountant = accountant_of(job);
    const auto charged =
        accountant.charge_reserved(round.epsilon_nano, sensitivity_of(spec, round));
    FM_CHECK(charged.ok(), "an open round has its reservation");
    job.privacy = accountant.state();
    round.charged = true;
  }
  return move_to(RoundPhase::aggregating, spec.federation.committee_ms);
}

Moved Stepper::aggregating() {
  std::uint32_t best = 0;
  const MemberSlot* chosen = nullptr;
  for (const auto& member : round.members) {
    if (!member.attested) continue;
    const auto equal = static_cast<std::uint32_t>(
        std::count_if(round.members.begin(), round.members.end(),
                      [&](const MemberSlot& m) { return m.attested == member.attested; }));
    if (equal > best) {
      best = equal;
      chosen = &member;
    }
  }
  if (best < round.quorum()) {
    if (!due()) return Moved::no;
    return fail(
        "no " + std::to_string(round.quorum()) +
        " equal attestations in time (an aggregator is down, or the model does not stay finite: "
        "lower training.learning_rate); the round's epsilon stays spent");
  }
  const auto attest =
      require<protocol::Attest>(state, attest_key(round.job, round.slot, chosen->member));
  round.aggregate = attest;
  round.attestations = best;
  if (round.kind == RoundKind::standardisation) {
    job.standardisation_root = attest.model_root;
    finish(context, state, job, spec, round);
    return Moved::ended;
  }
  job.base_root = attest.base_root;
  job.model_root = attest.model_root;
  job.model_sha256 = attest.model_sha256;
  if (spec.evaluation.enabled)
    for (const NodeId& id : draw_validators(state, job, spec, round.beacon))
      round.validators.push_back({id, std::nullopt, std::nullopt});
  if (!round.validators.empty()) return move_to(RoundPhase::scoring, spec.federation.evaluation_ms);
  finish(context, state, job, spec, round);
  return Moved::ended;
}

Moved Stepper::scoring() {
  const auto committed = std::count_if(round.validators.begin(), round.validators.end(),
                                       [](const ValidatorSlot& slot) { return slot.commitment; });
  if (committed < static_cast<std::ptrdiff_t>(round.validators.size()) && !due()) return Moved::no;
  if (committed > 0) return move_to(RoundPhase::unveiling, spec.federation.evaluation_ms);
  finish(context, state, job, spec, round);
  return Moved::ended;
}

Moved Stepper::unveiling() {
  const bool all =
      std::all_of(round.validators.begin(), round.validators.end(),
                  [](const ValidatorSlot& slot) { return !slot.commitment || slot.score; });
  if (!all && !due()) return Moved::no;
  finish(context, state, job, spec, round);
  return Moved::ended;
}

Moved Stepper::step() {
  switch (round.phase) {
    case RoundPhase::accepting:
      return accepting();
    case RoundPhase::committing:
      return committing();
    case RoundPhase::revealing:
      return revealing();
    case RoundPhase::checking:
      return checking();
    case RoundPhase::aggregating:
      return aggregating();
    case RoundPhase::scoring:
      return scoring();
    case RoundPhase::unveiling:
      return unveiling();
    case RoundPhase::finished:
    case RoundPhase::voided:
      return Moved::ended;
  }
  return Moved::ended;
}

}  // namespace

protocol::Score median(std::vector<protocol::Score> scores) {
  // Validators score one public data set: whoever counts other rows than most do is not heard.
  std::map<std::uint64_t, std::size_t> votes;
  for (const auto& score : scores) ++votes[score.count];
  const auto most = std::max_element(
      votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  std::erase_if(scores, [&](const auto& score) { return score.count != most->first; });
  const auto middle = [&](auto field) {
    using Value = std::remove_cvref_t<decltype(scores.front().*field)>;
    std::vector<Value> values;
    for (const auto& score : scores) values.push_back(score.*field);
    std::sort(values.begin(), values.end());
    return values[(values.size() - 1) / 2];
  };
  using protocol::Score;
  return {middle(&Score::loss_micro), middle(&Score::correct), middle(&Score::count)};
}

void open_round(const BlockContext& context, State& state, JobState& job, const JobSpec& spec) {
  RoundState round;
  round.job = job.id;
  round.slot = job.next;
  round.kind = job.next.round.value == 0 ? RoundKind::standardisation : RoundKind::training;
  round.opened_ms = context.timestamp.ms;
  round.beacon = job.beacon;
  round.base_root = job.base_root;
  round.config_hash = job.config_hash;
  round.cohort = draw_cohort(state, job, spec, job.beacon);
  if (round.cohort.size() < spec.federation.min_updates) {
    if (spec.federation.on_too_few == protocol::TooFew::end)
      return end_job(state, job, JobPhase::failed,
                     "too few workers: " + std::to_string(round.cohort.size()) + " of at least " +
                         std::to_string(spec.federation.min_updates) + " can take part");
    job.phase = JobPhase::waiting_for_workers;
    job.reason = std::to_string(round.cohort.size()) + " of at least " +
                 std::to_string(spec.federation.min_updates) + " workers can take part";
    return;
  }
  auto committee = elect_committee(state, job, spec, job.beacon);
  if (!committee) {
    job.phase = JobPhase::waiting_for_aggregators;
    job.reason = "no admitted node with the role aggregator may serve this job";
    return;
  }
  if (spec.is_private()) {
    round.epsilon_nano = round.kind == RoundKind::standardisation
                             ? spec.preprocessing.epsilon_nano
                             : spec.privacy.epsilon_per_round_nano;
    auto accountant = accountant_of(job);
    if (auto reserved = accountant.reserve(round.epsilon_nano, sensitivity_of(spec, round));
        !reserved.ok())
      return end_job(state, job, job.rounds_done > 0 ? JobPhase::finished : JobPhase::failed,
                     "privacy budget spent: " + reserved.error().detail);
    job.privacy = accountant.state();
  }
  round.committee_tier = committee->tier;
  for (const NodeId& member : committee->members)
    round.members.push_back({member, std::nullopt, false, std::nullopt});
  round.replacements = committee->replacements;
  enter(context, round, RoundPhase::accepting, spec.federation.committee_ms);
  job.phase = JobPhase::running;
  job.reason = "round " + std::to_string(round.slot.round.value) + " is open";
  job.phase_deadline_ms = round.deadline_ms;
  store(state, protocol::round_key(job.id, round.slot), round);
}

void advance_round(const BlockContext& context, State& state, JobState& job, const JobSpec& spec) {
  const std::string key = protocol::round_key(job.id, job.next);
  auto round = require<RoundState>(state, key);
  Stepper stepper{context, state, job, spec, round};
  Moved moved = stepper.step();
  while (moved == Moved::yes) moved = stepper.step();
  if (moved == Moved::no) job.phase_deadline_ms = round.deadline_ms;
  Bytes after = codec::encode(round);
  if (after != *state.get(key)) state.put(key, std::move(after));
}

void void_round(const BlockContext& context, State& state, JobState& job,
                const std::string& reason) {
  const std::string key = protocol::round_key(job.id, job.next);
  auto round = require<RoundState>(state, key);
  mark_void(context, job, require<JobSpec>(state, protocol::spec_key(job.id)), round, reason);
  store(state, key, round);
}

}  // namespace fedmesh::rounds
