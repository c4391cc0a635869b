#include "coordinator/rounds/aggregator.h"

#include <algorithm>

#include "base/crypto/blob_hash.h"
#include "base/crypto/digest.h"
#include "coordinator/rounds/state_access.h"

namespace fedmesh::rounds {
namespace {

using ledger::RecordKind;
using protocol::RoundPhase;
using protocol::RoundState;

bool is_member(const RoundState& round, const NodeId& node) {
  return std::any_of(round.members.begin(), round.members.end(),
                     [&](const protocol::MemberSlot& member) { return member.member == node; });
}

// The job's open round, if there is one.
std::optional<RoundState> open_round_of(const ledger::State& state, const JobId& id) {
  const auto job = load<protocol::JobState>(state, protocol::job_key(id));
  if (!job || job->phase != protocol::JobPhase::running) return std::nullopt;
  return load<RoundState>(state, protocol::round_key(id, job->next));
}

template <class Payload>
SubmitPayload submit(RecordKind kind, const JobId& job, const Payload& payload) {
  return {kind, job, codec::encode(payload)};
}

Note note(Instant now, const char* kind, const RoundState& round, std::string detail) {
  return {{now,
           kind,
           {{"job", round.job.hex()},
            {"round", static_cast<std::int64_t>(round.slot.round.value)},
            {"attempt", static_cast<std::int64_t>(round.slot.attempt.value)},
            {"detail", std::move(detail)}}}};
}

}  // namespace

AggregatorEffects Aggregator::step(Instant now, const ledger::State& state) {
  AggregatorEffects effects;
  wake_.reset();
  const auto jobs = live_jobs(state);
  std::erase_if(duties_, [&](const auto& duty) {
    return !std::binary_search(jobs.begin(), jobs.end(), duty.first);
  });
  for (const JobId& job : jobs) serve(now, state, job, effects);
  return effects;
}

void Aggregator::serve(Instant now, const ledger::State& state, const JobId& job,
                       AggregatorEffects& effects) {
  const auto round = open_round_of(state, job);
  if (!round || !is_member(*round, self_)) {
    duties_.erase(job);
    return;
  }
  Duty& duty = duties_[job];
  if (duty.slot != round->slot) {
    duty = Duty{};
    duty.slot = round->slot;
  }
  if (duty.answered == round->phase) return;
  const auto spec = require<protocol::JobSpec>(state, protocol::spec_key(job));
  switch (round->phase) {
    case RoundPhase::accepting:
      // Without the base model there would be nothing to attest to, after epsilon was charged.
      if (blobs_.get(round->base_root) == nullptr) {
        effects.push_back(note(now, "aggregate.unable", *round, "the base model is not held here"));
        duty.answered = round->phase;
        break;
      }
      // Suite 0 needs no round key: openings arrive inside authenticated sessions.
      effects.push_back(submit(RecordKind::accept, job, protocol::Accept{round->slot, {}}));
      duty.answered = round->phase;
      break;
    case RoundPhase::checking:
      avail(now, *round, duty, effects);
      break;
    case RoundPhase::aggregating:
      attest(now, spec, *round, duty, effects);
      break;
    case RoundPhase::scoring:
    case RoundPhase::unveiling:
      duty.openings = Openings{};
      break;
    case RoundPhase::committing:
    case RoundPhase::revealing:
    case RoundPhase::finished:
    case RoundPhase::voided:
      break;
  }
}

// Answers as soon as every reveal is settled; half the phase is left to those that are still on
// their way.
void Aggregator::avail(Instant now, const RoundState& round, Duty& duty,
                       AggregatorEffects& effects) {
  const bool settled = std::all_of(round.cohort.begin(), round.cohort.end(), [&](const auto& slot) {
    return !slot.reveal || duty.openings.settled(slot.worker);
  });
  const Instant latest{round.phase_opened_ms + (round.deadline_ms - round.phase_opened_ms) / 2};
  if (!settled && now < latest) return wake_at(latest);
  Bytes bitmap((round.cohort.size() + 7) / 8);
  for (std::size_t i = 0; i < round.cohort.size(); ++i) {
    const auto& slot = round.cohort[i];
    if (slot.reveal && duty.openings.checked(slot.worker) != nullptr)
      bitmap[i / 8] = static_cast<std::uint8_t>(bitmap[i / 8] | (1u << (i % 8)));
  }
  effects.push_back(
      submit(RecordKind::avail, round.job, protocol::Avail{round.slot, std::move(bitmap)}));
  duty.answered = round.phase;
}

void Aggregator::attest(Instant now, const protocol::JobSpec& spec, const RoundState& round,
                        Duty& duty, AggregatorEffects& effects) {
  duty.answered = round.phase;
  std::vector<CheckedUpdate> updates;
  for (const auto& slot : round.cohort) {
    if (!slot.in_set) continue;
    const auto* update = duty.openings.checked(slot.worker);
    if (update == nullptr)
      return effects.push_back(
          note(now, "aggregate.failed", round,
               "an update of the frozen set is not held here: worker " + slot.worker.short_hex()));
    updates.push_back(*update);
  }
  const Bytes* base = blobs_.get(round.base_root);
  if (base == nullptr)
    return effects.push_back(
        note(now, "aggregate.failed", round, "the base model is not held here"));
  auto aggregate = compute_aggregate(chain_, spec, round, updates, *base);
  for (auto& update : updates) wipe(update);
  if (!aggregate.ok())
    return effects.push_back(note(now, "aggregate.failed", round, aggregate.error().to_string()));
  protocol::Attest attest;
  attest.slot = round.slot;
  attest.model_sha256 = crypto::sha256(aggregate->model);
  const auto base_root = blobs_.put(std::move(aggregate->base));
  const auto model_root = blobs_.put(std::move(aggregate->model));
  if (!base_root.ok() || !model_root.ok())
    return effects.push_back(
        note(now, "aggregate.failed", round, "the new model exceeds the blob cache"));
  attest.base_root = *base_root;
  attest.model_root = *model_root;
  attest.binding =
      protocol::attest_binding(round.config_hash, *round.reveal_set_root, attest.base_root,
                               attest.model_root, attest.model_sha256);
  effects.push_back(submit(RecordKind::attest, round.job, attest));
  duty.openings = Openings{};  // nothing is computed from them any more
}

AggregatorEffects Aggregator::receive(Instant now, const ledger::State& state, const NodeId& from,
                                      const protocol::OpeningFrame& frame) {
  AggregatorEffects effects;
  const auto round = open_round_of(state, frame.job);
  const auto duty = duties_.find(frame.job);
  const bool wanted =
      round && duty != duties_.end() && round->slot == frame.slot &&
      duty->second.slot == frame.slot &&
      (round->phase == RoundPhase::revealing || round->phase == RoundPhase::checking);
  if (!wanted) {
    effects.push_back(Reply{from, protocol::OpeningStatus{frame.job, frame.slot, 0,
                                                          "this round takes no openings now"}});
    return effects;
  }
  const auto spec = require<protocol::JobSpec>(state, protocol::spec_key(frame.job));
  auto status = duty->second.openings.add(chain_, spec, *round, from, frame);
  if (!status.error.empty())
    effects.push_back(note(now, "update.refused", *round, from.short_hex() + ": " + status.error));
  effects.push_back(Reply{from, std::move(status)});
  if (round->phase == RoundPhase::checking && duty->second.answered != round->phase)
    avail(now, *round, duty->second, effects);
  return effects;
}

}  // namespace fedmesh::rounds
