// Proven state entries become what the worker acts on. Everything here has passed the light
// client's check; what cannot be decoded comes from a newer protocol and is left alone.
#include <algorithm>

#include "coordinator/ledger/proof.h"
#include "worker/worker.h"

namespace fedmesh::worker {
namespace {

constexpr std::string_view kRoundPrefix = "round/";
constexpr std::string_view kContributionPrefix = "contribution/";

// "<prefix><64 hex digits>[/rest]"
std::optional<JobId> job_in_key(std::string_view key, std::string_view prefix) {
  if (!key.starts_with(prefix)) return std::nullopt;
  const auto id = JobId::from_hex(key.substr(prefix.size(), 64));
  if (!id.ok()) return std::nullopt;
  return *id;
}

bool holds(const std::vector<NodeId>& nodes, const NodeId& node) {
  return std::binary_search(nodes.begin(), nodes.end(), node);
}

}  // namespace

// Nothing of an update is used unless all of it holds.
bool Worker::proven(const protocol::StateUpdate& update) {
  const auto advanced = client_.advance(update.header, update.certificate);
  if (!advanced.ok()) {
    // A coordinator restored from a backup lags behind for a while; that is no crime.
    if (advanced.error().code == ErrorCode::stale) {
      note("ledger.stale", nullptr, advanced.error().detail, false);
    } else {
      give_up_link("its header: " + advanced.error().to_string());
    }
    return false;
  }
  for (const ledger::StateEntry& entry : update.entries) {
    const auto value = client_.check(entry, update.header.height);
    if (value.ok()) continue;
    give_up_link("the proof of '" + entry.key.substr(0, 120) +
                 "' does not hold: " + value.error().to_string());
    return false;
  }
  return true;
}

// One block can end a round, open the next and end the job. What happened in a round that is known
// comes first and in round order, so that no end is missed; rounds of new jobs come last.
void Worker::take_entries(const protocol::StateUpdate& update) {
  std::vector<const ledger::StateEntry*> rounds, others, new_rounds;
  for (const ledger::StateEntry& entry : update.entries) {
    const auto job = job_in_key(entry.key, kRoundPrefix);
    (!job ? others : jobs_.contains(*job) ? rounds : new_rounds).push_back(&entry);
  }
  const auto by_key = [](const auto* a, const auto* b) { return a->key < b->key; };
  std::sort(rounds.begin(), rounds.end(), by_key);
  std::sort(new_rounds.begin(), new_rounds.end(), by_key);
  for (const auto* group : {&rounds, &others, &new_rounds})
    for (const ledger::StateEntry* entry : *group) take_entry(update, *entry);
}

void Worker::take_entry(const protocol::StateUpdate& update, const ledger::StateEntry& entry) {
  if (!entry.value) {  // proven absent
    const auto job = job_in_key(entry.key, kContributionPrefix);
    if (job && !jobs_.contains(*job) && receipts_wanted_.contains(entry.key))
      forget_receipt(entry.key);
    return;
  }
  if (const auto job = job_in_key(entry.key, protocol::kJobPrefix);
      job && entry.key == protocol::job_key(*job))
    return take_job(update, *job, *entry.value);
  if (const auto job = job_in_key(entry.key, "spec/"); job && entry.key == protocol::spec_key(*job))
    return take_spec(*job, *entry.value);
  if (const auto job = job_in_key(entry.key, kRoundPrefix))
    return take_round(update, *job, *entry.value);
  take_contribution(update, entry);
}

// What a job has to stay for: nothing: it stays; otherwise the least goes first. Jobs that this
// worker has enrolled in, or is about to, are never displaced.
std::optional<int> Worker::claim_of(const JobView& job) const {
  const bool taking_part = job.training || job.scoring ||
                           (job.state && holds(job.state->enrolled, id_)) ||
                           outbox_.holds(job.id, ledger::RecordKind::enrol);
  if (taking_part) return std::nullopt;
  if (job.spec_refused || job.enrolment.declined || job.enrolment.refused) return 0;
  // The other half of it, state or specification, has not come.
  const bool half = job.enrolment.stage == Enrolment::Stage::undecided && !(job.state && job.spec);
  if (half && now_ - job.heard_at >= kUndecidedFor) return 1;
  return std::nullopt;
}

// A new job finds room if one in which this worker has no part can go. So a flood of jobs costs a
// bounded amount of memory and never displaces work; who finds no room is asked for later.
JobView* Worker::room_for(const JobId& id) {
  if (const auto found = jobs_.find(id); found != jobs_.end()) return &found->second;
  if (jobs_.size() >= kJobsMax) {
    auto least = jobs_.end();
    for (auto at = jobs_.begin(); at != jobs_.end(); ++at) {
      const auto claim = claim_of(at->second);
      if (claim && (least == jobs_.end() || *claim < *claim_of(least->second))) least = at;
    }
    if (least == jobs_.end()) {
      if (!jobs_full_noted_)
        note("jobs.full", nullptr,
             "this worker takes part in " + std::to_string(kJobsMax) +
                 " live jobs: others wait until one ends");
      jobs_full_noted_ = true;
      if (turned_away_.size() < kJobsMax) turned_away_.insert(id);
      return nullptr;
    }
    jobs_.erase(least);
  }
  turned_away_.erase(id);
  JobView& job = jobs_[id];
  job.id = id;
  job.heard_at = now_;
  return &job;
}

// The coordinator announces a job only when it changes.
void Worker::ask_for_turned_away() {
  if (turned_away_.empty() || jobs_.size() >= kJobsMax || !peer_ || !welcomed_) return;
  const JobId id = *turned_away_.begin();
  turned_away_.erase(turned_away_.begin());
  send(protocol::StateQuery{0, protocol::job_key(id), "", 1});
  send(protocol::StateQuery{0, protocol::spec_key(id), "", 1});
}

void Worker::take_job(const protocol::StateUpdate& update, const JobId& id, const Bytes& value) {
  auto state = protocol::decode_state<protocol::JobState>(value);
  if (!state.ok() || state->id != id) {
    return note("state.unknown", nullptr,
                "the state of job " + id.short_hex() + " is not understood; update this worker");
  }
  const auto known = jobs_.find(id);
  if (protocol::is_terminal(state->phase)) {
    if (known != jobs_.end()) {
      known->second.state = std::move(state).value();
      end_job(known->second);
      jobs_.erase(known);
      jobs_full_noted_ = false;
    } else if (granted_.contains(id)) {
      JobView ended;
      ended.id = id;
      ended.state = std::move(state).value();
      settle_grant(ended);
    }
    erase_restored(id, [](const auto&) { return true; });
    turned_away_.erase(id);
    return ask_for_turned_away();
  }
  JobView* job = room_for(id);
  if (job == nullptr || (job->state && update.header.height < job->state_height)) return;
  job->state_height = update.header.height;
  if (job->spec && job->spec->config_hash() != state->config_hash) job->spec.reset();
  job->state = std::move(state).value();
  // Rounds that ended while this worker was away.
  const protocol::Slot next = job->state->next;
  erase_restored(id, [&](const protocol::Slot& slot) { return slot < next; });
  // How its round ended went unheard, for example while the link was down.
  if (job->round && !protocol::is_over(job->round->phase) && job->round->slot < next)
    send(protocol::StateQuery{0, protocol::round_key(id, job->round->slot), "", 1});
  job->enrolment.declined |= holds(job->state->declined, id_);
  if (holds(job->state->enrolled, id_) || holds(job->state->declined, id_)) {
    job->enrolment.stage = Enrolment::Stage::answered;
    outbox_.drop(id, ledger::RecordKind::enrol);
    outbox_.drop(id, ledger::RecordKind::decline);
  }
}

void Worker::take_spec(const JobId& id, const Bytes& value) {
  JobView* job = room_for(id);
  if (job == nullptr || job->spec || job->spec_refused) return;
  auto spec = protocol::decode_state<protocol::JobSpec>(value);
  const Result<void> valid = spec.ok() ? spec->validate() : Result<void>(spec.error());
  if (!valid.ok()) {
    job->spec_refused = true;
    return note("spec.refused", job,
                "its specification is not one this worker understands: " + valid.error().detail);
  }
  job->spec = std::move(spec).value();
  // The state may come before or after its specification.
  if (job->state && job->spec->config_hash() != job->state->config_hash) {
    job->spec.reset();
    job->spec_refused = true;
    note("spec.refused", job, "its specification is not the one that was hashed into its state");
  }
}

void Worker::take_round(const protocol::StateUpdate& update, const JobId& id, const Bytes& value) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;  // ended, or beyond the bound
  JobView& job = found->second;
  auto round = protocol::decode_state<protocol::RoundState>(value);
  if (!round.ok() || round->job != id)
    return note("state.unknown", &job, "a round of it is not understood; update this worker");
  if (job.round) {
    if (round->slot < job.round->slot) return;
    if (round->slot == job.round->slot && update.header.height < job.round_height) return;
    if (round->slot > job.round->slot) end_round(job);
  }
  job.round_height = update.header.height;
  job.round = std::move(round).value();
  if (protocol::is_over(job.round->phase)) end_round(job);
}

// Openings are erased when their round is over; whatever is still under way for it stops.
void Worker::end_round(JobView& job) {
  release_opening(job);
  using Phase = protocol::RoundPhase;
  if (job.training) {
    if (job.training->stage == TrainingDuty::Stage::computing)
      effects_.push_back(CancelTask{job.training->task});
    outbox_.drop(job.id, ledger::RecordKind::commit);
    outbox_.drop(job.id, ledger::RecordKind::reveal);
    if (job.training->stage == TrainingDuty::Stage::delivered &&
        job.round->phase != Phase::voided) {
      // A later round or the job's end may be all that is heard of it after a lost link.
      if (job.round->phase == Phase::finished) note("round.finished", &job, "finished");
      want_receipt(job);
    } else if (job.training->stage == TrainingDuty::Stage::revealing &&
               job.round->phase != Phase::voided) {
      hope_for_receipt(job.id, job.round->slot.round);
    }
    if (job.round->phase == Phase::voided) {
      note("round.voided", &job, "void: " + job.round->reason);
      effects_.push_back(Erase{receipt_wanted_item(job.id, job.round->slot.round)});
    }
    job.training.reset();
  }
  if (job.scoring) {
    if (job.scoring->stage == ScoringDuty::Stage::computing)
      effects_.push_back(CancelTask{job.scoring->task});
    outbox_.drop(job.id, ledger::RecordKind::score_commit);
    outbox_.drop(job.id, ledger::RecordKind::score_reveal);
    job.scoring.reset();
  }
  job.initial_made = false;
  // Those of an earlier process that this one never came to use, and its own.
  erase_restored(job.id, [&](const protocol::Slot& slot) { return slot <= job.round->slot; });
  if (my_slot(job) != nullptr) effects_.push_back(Erase{opening_item(job.id, job.round->slot)});
  if (my_validator_slot(job) != nullptr)
    effects_.push_back(Erase{score_item(job.id, job.round->slot)});
}

void Worker::end_job(JobView& job) {
  if (job.round) end_round(job);
  if (job.enrolment.stage == Enrolment::Stage::describing)
    effects_.push_back(CancelTask{job.enrolment.task});
  outbox_.drop(job.id);
  settle_grant(job);
  if (holds(job.state->enrolled, id_))
    note("job.ended", &job,
         std::string(protocol::to_string(job.state->phase)) +
             (job.state->reason.empty() ? "" : ": " + job.state->reason));
}

// A contribution of this worker's own, with its proof: the receipt.
void Worker::take_contribution(const protocol::StateUpdate& update,
                               const ledger::StateEntry& entry) {
  if (!receipts_wanted_.contains(entry.key) && !receipts_hoped_for_.contains(entry.key)) return;
  const auto contribution = protocol::decode_state<protocol::Contribution>(*entry.value);
  const bool mine =
      contribution.ok() && contribution->worker == id_ &&
      entry.key == protocol::contribution_key(contribution->job, contribution->slot.round, id_);
  receipts_hoped_for_.erase(entry.key);
  if (!mine) {
    receipts_wanted_.erase(entry.key);
    return;
  }
  // Of an earlier attempt, while the one that counts is still open: asked for again.
  const auto job = jobs_.find(contribution->job);
  if (job != jobs_.end() && job->second.round && !protocol::is_over(job->second.round->phase) &&
      job->second.round->slot.round == contribution->slot.round)
    return;
  receipts_wanted_.erase(entry.key);
  persist(
      "receipt-" + contribution->job.hex() + "-" + std::to_string(contribution->slot.round.value),
      ledger::encode_proof(ledger::StateEntryProof{update.header, update.certificate, entry}));
  effects_.push_back(Erase{receipt_wanted_item(contribution->job, contribution->slot.round)});
}

}  // namespace fedmesh::worker
