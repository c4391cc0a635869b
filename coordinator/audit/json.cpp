#include <nlohmann/json.hpp>

#include "coordinator/audit/report.h"

namespace fedmesh::audit {
namespace {

using Json = nlohmann::ordered_json;

const char* strength_name(Strength strength) {
  switch (strength) {
    case Strength::proved:
      return "proved";
    case Strength::attested:
      return "attested";
    case Strength::claimed:
      return "claimed";
  }
  return "claimed";
}

Json model_json(const AuditReport& report) {
  return {{"name", report.model_name},
          {"bytes", report.model_bytes},
          {"sha256", report.model_sha256.hex()},
          {"blob_root", report.model_root.hex()},
          {"round", report.slot.round.value},
          {"attempt", report.slot.attempt.value},
          {"newest", report.newest}};
}

Json ledger_json(const AuditReport& report) {
  return {{"network", report.network},     {"chain_id", report.chain.hex()},
          {"pinned", report.chain_pinned}, {"genesis_ms", report.genesis_ms},
          {"committee", report.committee}, {"blocks", report.blocks},
          {"records", report.records},     {"head_ms", report.head_ms}};
}

Json job_json(const AuditReport& report) {
  const auto& spec = report.spec;
  const bool record = spec.privacy.unit == protocol::PrivacyUnit::record;
  return {{"id", report.job.hex()},
          {"name", spec.name},
          {"owner", report.state.owner.hex()},
          {"owner_name", report.owner_name},
          {"config_hash", report.state.config_hash.hex()},
          {"submitted_ms", report.state.submitted_ms},
          {"phase", to_string(report.state.phase)},
          {"reason", printable(report.state.reason)},
          {"records", report.job_records},
          {"architecture", models::to_string(spec.architecture.kind)},
          {"input_shape", spec.architecture.input_shape},
          {"classes", spec.architecture.classes},
          {"rounds", spec.federation.rounds},
          {"min_updates", spec.federation.min_updates},
          {"max_participants", spec.federation.max_participants},
          {"rule", spec.aggregation.rule},
          {"learning_rate_nano", spec.training.options.learning_rate_nano},
          {"privacy",
           {{"unit", record ? "record" : "worker"},
            {"mechanism", spec.is_private() ? "laplace" : "none"},
            {"epsilon_per_round_nano", spec.privacy.epsilon_per_round_nano},
            {"epsilon_total_nano", spec.privacy.total.epsilon_nano},
            {"delta_pico", spec.privacy.total.delta_pico},
            {"clip_granules", spec.privacy.clip_granules},
            {"fraction_bits", spec.privacy.fraction_bits},
            {"epsilon_spent_nano", report.epsilon_spent_nano},
            {"epsilon_charged_to_model_nano", report.epsilon_charged_nano}}}};
}

Json cohort_json(const RoundEntry& round) {
  Json out = Json::array();
  for (const CohortEntry& entry : round.cohort)
    out.push_back({{"worker", entry.worker.hex()},
                   {"name", entry.name},
                   {"data_root", entry.data_root.hex()},
                   {"record_count", entry.record_count},
                   {"committed", entry.committed},
                   {"revealed", entry.revealed},
                   {"in_set", entry.in_set}});
  return out;
}

Json round_json(const RoundEntry& round) {
  Json aggregators = Json::array();
  for (const AggregatorEntry& entry : round.aggregators)
    aggregators.push_back(
        {{"node", entry.member.hex()}, {"name", entry.name}, {"attested", entry.attested}});
  Json out = {{"round", round.slot.round.value},
              {"attempt", round.slot.attempt.value},
              {"kind", round.kind == protocol::RoundKind::training ? "training" : "query"},
              {"phase", to_string(round.phase)},
              {"reason", round.reason},
              {"opened_height", round.opened_height.value},
              {"closed_height", nullptr},
              {"opened_ms", round.opened_ms},
              {"closed_ms", round.closed_ms},
              {"cohort", cohort_json(round)},
              {"aggregators", std::move(aggregators)},
              {"replaced", round.replaced},
              {"committee_tier", round.committee_tier},
              {"attestations", round.attestations},
              {"model", nullptr},
              {"validation", nullptr},
              {"epsilon_nano", round.epsilon_nano},
              {"charged", round.charged}};
  if (round.closed_height) out["closed_height"] = round.closed_height->value;
  if (round.model)
    out["model"] = {{"sha256", round.model->model_sha256.hex()},
                    {"blob_root", round.model->model_root.hex()}};
  if (round.validation)
    out["validation"] = {{"correct", round.validation->correct},
                         {"count", round.validation->count},
                         {"loss_micro", round.validation->loss_micro},
                         {"scores", round.scores},
                         {"validators", round.validators}};
  return out;
}

}  // namespace

std::string to_json(const AuditReport& report) {
  Json rounds = Json::array();
  for (const RoundEntry& round : report.rounds) rounds.push_back(round_json(round));
  Json statements = Json::array();
  for (const Statement& statement : report.statements) {
    Json item = {{"strength", strength_name(statement.strength)},
                 {"label", statement.label()},
                 {"text", statement.text}};
    if (statement.strength == Strength::attested) {
      item["k"] = statement.k;
      item["n"] = statement.n;
    }
    statements.push_back(std::move(item));
  }
  const Json out = {{"format", "fedmesh audit v1"},  {"model", model_json(report)},
                    {"ledger", ledger_json(report)}, {"job", job_json(report)},
                    {"rounds", std::move(rounds)},   {"statements", std::move(statements)}};
  return out.dump(2) + "\n";
}

}  // namespace fedmesh::audit
