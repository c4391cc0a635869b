#include <algorithm>
#include <string>

#include "coordinator/audit/job_story.h"
#include "coordinator/audit/lineage.h"
#include "coordinator/ledger/block.h"
#include "coordinator/protocol/decimal.h"
#include "coordinator/rounds/aggregate.h"

namespace fedmesh::audit {
namespace {

using protocol::RoundKind;

Statement proved(std::string text) { return {Strength::proved, 0, 0, std::move(text)}; }
Statement claimed(std::string text) { return {Strength::claimed, 0, 0, std::move(text)}; }
Statement attested(std::size_t k, std::size_t n, std::string text) {
  return {Strength::attested, static_cast<std::uint32_t>(k), static_cast<std::uint32_t>(n),
          std::move(text)};
}

std::string nano(std::int64_t value) {
  return protocol::decimal_text(value, protocol::kNanoDecimals);
}

const RoundEntry& round_of_model(const AuditReport& report) {
  return *std::find_if(report.rounds.begin(), report.rounds.end(),
                       [&](const RoundEntry& round) { return round.slot == report.slot; });
}

std::string noise_text(const AuditReport& report) {
  const auto& privacy = report.spec.privacy;
  if (!report.spec.is_private()) return "without noise";
  const std::string unit = privacy.unit == protocol::PrivacyUnit::record ? "record" : "worker";
  return "with discrete Laplace noise of scale " +
         std::to_string(rounds::sensitivity_granules(report.spec, RoundKind::training)) + " / " +
         nano(privacy.epsilon_per_round_nano) + " granules of 2^-" +
         std::to_string(privacy.fraction_bits) + " (what one " + unit +
         " can change / epsilon of the round)";
}

void add_proved(const AuditReport& report, std::vector<Statement>& out) {
  const RoundEntry& round = round_of_model(report);
  const auto in_set = std::count_if(round.cohort.begin(), round.cohort.end(),
                                    [](const CohortEntry& entry) { return entry.in_set; });
  out.push_back(proved("Every byte of this file is the model of " + slot_text(report.slot) +
                       " of job \"" + report.spec.name +
                       "\": its SHA-256 and its blob root are those in the ledger, and it has the "
                       "parameters of the job's architecture."));
  if (report.chain_pinned) out.push_back(proved("The ledger is of the chain that you named."));
  out.push_back(proved("All " + std::to_string(report.blocks) + " blocks and " +
                       std::to_string(report.records) +
                       " records: hashes, signatures of the authors, certificates of the consensus "
                       "committee back to the genesis, and execution with equal state roots."));
  out.push_back(proved("The job's log is complete: it has these " +
                       std::to_string(report.job_records) + " records and no others."));
  out.push_back(proved("The job ran under the configuration that its owner signed, config hash " +
                       report.state.config_hash.short_hex() + "."));
  out.push_back(
      proved("Cohorts, aggregators and validators of all rounds are those that the "
             "election rules give for the state and the beacon."));
  out.push_back(proved(std::to_string(in_set) + " of " + std::to_string(round.cohort.size()) +
                       " workers of the model's round are in its aggregate; each had committed to "
                       "its update before any was revealed, and nobody else is in it."));
  if (report.spec.is_private())
    out.push_back(proved("Budget arithmetic: up to this model the job was charged an epsilon of " +
                         nano(report.epsilon_charged_nano) + ", up to the end of the ledger " +
                         nano(report.epsilon_spent_nano) + " of " +
                         nano(report.spec.privacy.total.epsilon_nano) + "."));
}

void add_attested(const AuditReport& report, std::vector<Statement>& out) {
  const RoundEntry& round = round_of_model(report);
  out.push_back(attested(round.attestations, round.aggregators.size(),
                         "The model is what the rule \"" + report.spec.aggregation.rule +
                             "\" gives for the updates in the aggregate, " + noise_text(report) +
                             "."));
  const RoundEntry* weakest = nullptr;
  for (const RoundEntry& before : report.rounds) {
    if (!before.model || !(before.slot < report.slot)) continue;
    if (weakest == nullptr || before.attestations * weakest->aggregators.size() <
                                  weakest->attestations * before.aggregators.size())
      weakest = &before;
  }
  if (weakest != nullptr)
    out.push_back(attested(weakest->attestations, weakest->aggregators.size(),
                           "So are the results of the rounds before it, on which it builds (the "
                           "weakest of them counts here)."));
  out.push_back(attested(ledger::quorum(report.committee), report.committee,
                         "The order of the records, and that the committee has made no other "
                         "history of this chain final."));
  if (round.validation)
    out.push_back(attested(round.scores, round.validators,
                           "The validation score is the median of what these validators measured "
                           "on the public data set; whoever has that data set can repeat it."));
}

void add_claimed(const AuditReport& report, std::vector<Statement>& out) {
  if (!report.chain_pinned)
    out.push_back(
        claimed("The chain id is claimed by the file: compare with what the network's "
                "operator publishes: " +
                report.chain.hex()));
  out.push_back(
      claimed("The beacons, from which cohorts and committees are drawn: each is the "
              "randomness of the block's proposer (consensus committee of " +
              std::to_string(report.committee) + ")."));
  out.push_back(
      claimed("Each data root stands for real data of the size that the worker says, and "
              "the worker trained on it. Record counts are the workers' word."));
  if (report.spec.is_private())
    out.push_back(
        claimed("The aggregators have kept single updates and the noise's seeds to "
                "themselves: the noise protects only while they do."));
  out.push_back(
      claimed("The times of the blocks, within their order: they are the proposers' "
              "clocks."));
}

}  // namespace

std::string Statement::label() const {
  switch (strength) {
    case Strength::proved:
      return "proved";
    case Strength::attested:
      return "attested " + std::to_string(k) + " of " + std::to_string(n);
    case Strength::claimed:
      return "claimed";
  }
  return "claimed";
}

std::vector<Statement> statements_of(const AuditReport& report) {
  std::vector<Statement> out;
  add_proved(report, out);
  add_attested(report, out);
  add_claimed(report, out);
  return out;
}

}  // namespace fedmesh::audit
