// What the worker does and what it waits for, in one line.
#include <algorithm>

#include "worker/worker.h"

namespace fedmesh::worker {

std::string Worker::status(Instant now) const {
  const std::string link = peer_ && welcomed_ ? "" : "waiting for the coordinator";
  std::string best;
  int best_urgency = -1;
  for (const auto& [id, job] : jobs_) {
    if (!job.state) continue;
    int urgency = 0;
    std::string text = status_of(job, urgency);
    if (urgency <= best_urgency) continue;
    best_urgency = urgency;
    best = std::move(text);
    const bool counting = urgency >= 3 && job.round && job.round->deadline_ms != 0;
    const std::int64_t left =
        counting ? (job.round->deadline_ms - now.ms - clock_lead_ms_.value_or(0) + 999) / 1000 : 0;
    if (left > 0) best += " (" + std::to_string(left) + " s left)";
  }
  if (!link.empty()) return best_urgency >= 3 ? best + "; " + link : link;
  if (best.empty()) return "connected, no job is open";
  if (jobs_.size() > 1) best += " and " + std::to_string(jobs_.size() - 1) + " more jobs";
  return best;
}

// Urgency: 0 no part in it, 1 declined or ended for us, 2 waits for others, 3 works.
std::string Worker::status_of(const JobView& job, int& urgency) const {
  const std::string name = job.state->name.empty() ? "job " + job.id.short_hex() : job.state->name;
  const bool in_round = job.round && !protocol::is_over(job.round->phase);
  const std::string round =
      in_round ? name + " round " + std::to_string(job.round->slot.round.value) + ": " : "";
  if (in_round && job.scoring) {
    using Stage = ScoringDuty::Stage;
    urgency = job.scoring->stage < Stage::committing ? 3 : 2;
    switch (job.scoring->stage) {
      case Stage::fetching:
        return round + "fetching the model to score";
      case Stage::computing:
        return round + "scoring";
      case Stage::committing:
      case Stage::unveiling:
        return round + "score committed, waiting for the other validators";
      case Stage::done:
        return round + "scored, waiting for the round's end";
      case Stage::abandoned:
        return round + "not scored";
    }
  }
  if (in_round && job.training) {
    using Stage = TrainingDuty::Stage;
    urgency = 3;
    switch (job.training->stage) {
      case Stage::fetching:
        return round + "fetching the model";
      case Stage::computing:
        return round + "training";
      case Stage::committing:
        return round + "committing";
      case Stage::committed:
        urgency = 2;
        return round + "committed, waiting for the other workers";
      case Stage::revealing:
        return round + "revealing";
      case Stage::delivered:
        urgency = 2;
        return round + "update sealed and revealed, waiting for the aggregate";
      case Stage::abandoned:
        urgency = 1;
        return round + "sitting it out";
    }
  }
  if (job.enrolment.stage == Enrolment::Stage::describing) {
    urgency = 2;
    return name + ": reading the data";
  }
  const bool enrolled =
      std::binary_search(job.state->enrolled.begin(), job.state->enrolled.end(), id_);
  if (enrolled) {
    urgency = 2;
    return name + ": enrolled, " + protocol::to_string(job.state->phase) +
           (job.state->reason.empty() ? "" : " (" + job.state->reason + ")");
  }
  if (outbox_.holds(job.id, ledger::RecordKind::enrol)) {
    urgency = 2;
    return name + ": enrolling";
  }
  urgency = job.enrolment.stage == Enrolment::Stage::answered ? 1 : 0;
  return name + (urgency == 1 ? ": not taking part" : ": looking at it");
}

}  // namespace fedmesh::worker
