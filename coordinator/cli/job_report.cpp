#include "coordinator/cli/job_report.h"

#include <cstdio>

#include "coordinator/cli/command_support.h"
#include "coordinator/rounds/aggregate.h"
#include "privacy/accountant.h"

namespace fedmesh::cli {
namespace {

using protocol::RoundKind;
using protocol::RoundPhase;
using protocol::RoundState;

// What the budget had been charged when the round was over.
class SpentSoFar {
 public:
  explicit SpentSoFar(const protocol::JobSpec& spec) : spec_(spec) {
    if (!spec.is_private()) return;
    auto created = privacy::Accountant::create(spec.privacy.total);
    if (created.ok()) accountant_.emplace(std::move(created).value());
  }
  std::int64_t after(const RoundState& round) {
    if (!accountant_) return 0;
    const auto sensitivity =
        static_cast<std::uint64_t>(rounds::sensitivity_granules(spec_, round.kind));
    if (round.charged && accountant_->reserve(round.epsilon_nano, sensitivity).ok())
      (void)accountant_->charge_reserved(round.epsilon_nano, sensitivity).ok();
    return accountant_->epsilon_spent_nano();
  }

 private:
  const protocol::JobSpec& spec_;
  std::optional<privacy::Accountant> accountant_;
};

std::string note_of(const JobView& view, const RoundState& round) {
  std::string note = round.reason;
  for (const NodeId& silent : round.replaced)
    note += (note.empty() ? "" : "; ") + view.name_of(silent) + " was replaced";
  return note;
}

}  // namespace

std::string protection_sentence(const protocol::JobSpec& spec, std::size_t aggregators) {
  if (!spec.is_private())
    return "Not protected: this job adds no noise, so released models may reveal training "
           "examples; "
           "raw data never left its worker.";
  const std::string unit = spec.privacy.unit == protocol::PrivacyUnit::record
                               ? "Each single record"
                               : "Each worker's whole data set";
  const std::string members =
      aggregators == 1
          ? "the one aggregating coordinator sees the exact sum of every worker"
          : "the " + std::to_string(aggregators) + " aggregators see the exact sum of every worker";
  return unit + " is protected by " + (spec.privacy.total.delta_pico == 0 ? "pure " : "") +
         "differential privacy with epsilon " + nano_text(spec.privacy.total.epsilon_nano, 3) +
         " in total against everybody who sees released models and the ledger, but not against "
         "the aggregation itself: " +
         members + " before noise is added.";
}

JobReport build_report(const JobView& view, const std::map<std::string, RoundTraffic>& traffic) {
  JobReport report;
  report.name = view.job.name;
  report.job_id = view.job.id.hex();
  report.outcome = protocol::to_string(view.job.phase);
  report.reason = view.job.reason;
  report.model_sha256 = view.job.model_sha256.is_zero() ? "" : view.job.model_sha256.hex();
  report.epsilon_total_nano = view.spec.privacy.total.epsilon_nano;
  report.delta_pico = view.spec.privacy.total.delta_pico;
  SpentSoFar spent(view.spec);
  std::size_t aggregators = 1;
  for (const auto& [key, round] : view.rounds) {
    RoundRow row;
    row.round = round.slot.round.value;
    row.attempt = round.slot.attempt.value;
    row.kind = round.kind == RoundKind::training ? "training" : "standardisation";
    row.cohort = round.cohort.size();
    for (const auto& slot : round.cohort) row.workers += slot.in_set ? 1 : 0;
    if (round.validation) {
      row.loss_micro = round.validation->loss_micro;
      row.accuracy_micro = static_cast<std::int64_t>(round.validation->correct * 1'000'000 /
                                                     round.validation->count);
    }
    row.epsilon_spent_nano = report.epsilon_spent_nano = spent.after(round);
    if (const auto at = traffic.find(key); at != traffic.end()) {
      row.bytes_up = at->second.up;
      row.bytes_down = at->second.down;
    }
    row.duration_ms = round.closed_ms > 0 ? round.closed_ms - round.opened_ms : 0;
    row.aggregator = view.name_of(round.members.front().member);
    row.ledger_height = round.closed_height.value;
    row.note = note_of(view, round);
    aggregators = round.members.size();
    report.rounds.push_back(std::move(row));
  }
  report.protection = protection_sentence(view.spec, aggregators);
  return report;
}

void add_audit(JobReport& report, const audit::AuditReport& audit) {
  for (const auto& statement : audit.statements) {
    AuditStatement out;
    out.evidence = statement.strength == audit::Strength::proved     ? Evidence::proved
                   : statement.strength == audit::Strength::attested ? Evidence::attested
                                                                     : Evidence::claimed;
    out.signers = statement.k;
    out.members = statement.n;
    out.text = statement.text;
    report.audit.push_back(std::move(out));
  }
}

std::string round_line(const JobView& view, const RoundState& round) {
  std::string text = round.kind == RoundKind::standardisation
                         ? "round 0 (standardisation)"
                         : "round " + std::to_string(round.slot.round.value) + " of " +
                               std::to_string(view.spec.federation.rounds);
  if (round.phase == RoundPhase::voided) return text + ": void: " + round.reason;
  std::size_t in_set = 0;
  for (const auto& slot : round.cohort) in_set += slot.in_set ? 1 : 0;
  text += ": " + std::to_string(in_set) + " of " + std::to_string(round.cohort.size()) + " workers";
  if (round.validation) {
    char loss[40];
    std::snprintf(loss, sizeof(loss), ", validation loss %.4f",
                  static_cast<double>(round.validation->loss_micro) / 1e6);
    text += loss + std::string(", accuracy ") +
            percent_text(round.validation->correct, round.validation->count);
  }
  if (round.charged) text += ", epsilon " + nano_text(round.epsilon_nano, 3) + " charged";
  return text + ", " + nano_text((round.closed_ms - round.opened_ms) * 1'000'000, 2) + " s";
}

FollowHooks progress_hooks(ProgressLine& line, const Clock& clock) {
  FollowHooks hooks;
  hooks.on_change = [&line, &clock](const JobView& view) {
    line.show(describe_progress(view.job, view.spec, view.open_round(), clock.now()));
  };
  hooks.on_round_end = [&line](const JobView& view, const protocol::RoundState& round) {
    line.finish_line(round_line(view, round));
  };
  return hooks;
}

}  // namespace fedmesh::cli
