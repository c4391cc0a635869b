#include "coordinator/audit/lineage.h"

#include <algorithm>
#include <map>

#include "base/crypto/blob_hash.h"
#include "base/crypto/digest.h"
#include "models/data/safetensors.h"

namespace fedmesh::audit {
namespace {

using protocol::RoundKind;
using protocol::RoundState;

constexpr std::size_t kListedRounds = 20;  // in the error for a model of no round

// Executed by the state machine that wrote them, so they decode.
template <class T>
T load(const ledger::State& state, const std::string& key) {
  const Bytes* value = state.get(key);
  FM_CHECK(value != nullptr, "a verified state holds what it refers to");
  auto decoded = protocol::decode_state<T>(*value);
  FM_CHECK(decoded.ok(), "a verified state holds what the state machine wrote");
  return std::move(decoded).value();
}

std::vector<RoundState> attested_rounds(const ledger::State& state) {
  std::vector<RoundState> out;
  for (const auto& [key, value] : state.prefix("round/")) {
    auto round = load<RoundState>(state, key);
    if (round.aggregate) out.push_back(std::move(round));
  }
  return out;
}

std::string list_rounds(const ledger::State& state, const std::vector<RoundState>& rounds) {
  std::string text;
  std::size_t listed = 0;
  JobId job;
  for (auto round = rounds.rbegin(); round != rounds.rend(); ++round) {
    if (round->kind != RoundKind::training) continue;
    if (listed++ == kListedRounds) return text + ", and earlier ones";
    if (round->job != job) {
      job = round->job;
      text += (text.empty() ? "" : "; ") + std::string("job \"") +
              printable(load<protocol::JobState>(state, protocol::job_key(job)).name) + "\" " +
              job.short_hex() + ": ";
    } else {
      text += ", ";
    }
    text += "round " + std::to_string(round->slot.round.value) + " " +
            round->aggregate->model_sha256.short_hex();
  }
  return text;
}

Error no_match(const Digest& sha256, const ledger::State& state,
               const std::vector<RoundState>& rounds) {
  const std::string is = "its SHA-256 is " + sha256.hex();
  const auto query = std::find_if(rounds.begin(), rounds.end(), [&](const RoundState& round) {
    return round.aggregate->model_sha256 == sha256;
  });
  if (query != rounds.end())
    return not_found(is + ": the standardisation of job " + query->job.short_hex() +
                     ", not a model");
  const std::string list = list_rounds(state, rounds);
  if (list.empty()) return not_found(is + ", and no round of this ledger is attested");
  return not_found(is + ", which no attested round has (" + list +
                   "); no byte of the model may differ");
}

Result<void> check_file(ByteView model, const RoundState& round, const protocol::JobSpec& spec) {
  const std::string named = "the model attested in round " + std::to_string(round.slot.round.value);
  if (crypto::blob_root(model) != round.aggregate->model_root)
    return corruption(named + " has this SHA-256, but another blob root");
  auto tensors = models::decode_safetensors(model);
  if (!tensors.ok())
    return corruption(named + " is no safetensors file: " + tensors.error().detail);
  const Bytes canonical = models::encode_safetensors(*tensors);
  if (!std::equal(canonical.begin(), canonical.end(), model.begin(), model.end()))
    return corruption(named + " is not a canonical safetensors file");
  const models::Layout layout = spec.architecture.layout();
  const bool same =
      std::equal(tensors->begin(), tensors->end(), layout.begin(), layout.end(),
                 [](const models::Tensor& tensor, const models::ParameterShape& shape) {
                   return tensor.name == shape.name && tensor.shape == shape.shape &&
                          tensor.dtype == models::DType::f32;
                 });
  if (!same) return corruption(named + " has other parameters than the job's architecture");
  return {};
}

std::string name_of(const ledger::State& state, const NodeId& node) {
  const Bytes* value = state.get(protocol::node_key(node));
  if (value == nullptr) return "";
  auto known = protocol::decode_state<protocol::NodeState>(*value);
  return known.ok() ? printable(known->name) : "";
}

RoundEntry describe_round(const ledger::State& state, const RoundState& round,
                          const Recount& recount, const std::map<std::int64_t, Height>& heights) {
  RoundEntry out;
  out.slot = round.slot;
  out.kind = round.kind;
  out.phase = round.phase;
  out.reason = printable(round.reason);
  out.opened_height = recount.opened.at(round.slot);
  if (const auto closed = heights.find(round.closed_ms); closed != heights.end())
    out.closed_height = closed->second;
  out.opened_ms = round.opened_ms;
  out.closed_ms = round.closed_ms;
  for (const auto& slot : round.cohort)
    out.cohort.push_back({slot.worker, name_of(state, slot.worker), slot.data_root,
                          slot.record_count, slot.commitment.has_value(), slot.reveal.has_value(),
                          slot.in_set});
  for (const auto& slot : round.members)
    out.aggregators.push_back({slot.member, name_of(state, slot.member),
                               round.aggregate && slot.attested == round.aggregate->binding});
  out.replaced = static_cast<std::uint32_t>(round.replaced.size());
  out.committee_tier = round.committee_tier;
  out.attestations = recount.attested.at(round.slot);
  out.model = round.aggregate;
  out.validation = round.validation;
  out.validators = static_cast<std::uint32_t>(round.validators.size());
  out.scores = static_cast<std::uint32_t>(
      std::count_if(round.validators.begin(), round.validators.end(),
                    [](const auto& slot) { return slot.score.has_value(); }));
  out.epsilon_nano = round.epsilon_nano;
  out.charged = round.charged;
  return out;
}

void trace_ledger(const ledger::Export& ledger, AuditReport& report) {
  report.network = printable(ledger.genesis.network_name);
  report.chain = ledger::chain_id(ledger.genesis);
  report.genesis_ms = ledger.genesis.created_ms;
  report.committee = static_cast<std::uint32_t>(ledger.genesis.committee.size());
  report.blocks = ledger.blocks.size();
  if (ledger.blocks.empty()) return;
  const ledger::Header& head = ledger.blocks.back().block.header;
  report.records = head.log_size;
  report.head_ms = head.timestamp_ms;
}

}  // namespace

Result<RoundState> match_model(const AuditInput& input, const ledger::State& state) {
  const std::string place = printable(input.model_name);
  const Digest sha256 = crypto::sha256(input.model);
  const std::vector<RoundState> rounds = attested_rounds(state);
  const auto match = std::find_if(rounds.rbegin(), rounds.rend(), [&](const RoundState& round) {
    return round.kind == RoundKind::training && round.aggregate->model_sha256 == sha256;
  });
  if (match == rounds.rend()) return no_match(sha256, state, rounds).with_context(place);
  const auto spec = load<protocol::JobSpec>(state, protocol::spec_key(match->job));
  if (auto good = check_file(input.model, *match, spec); !good.ok())
    return good.error().with_context(place);
  return *match;
}

AuditReport trace(const AuditInput& input, const ledger::Export& ledger, const ledger::State& state,
                  const RoundState& match, const Recount& recount) {
  AuditReport report;
  report.model_name = printable(input.model_name);
  report.model_bytes = input.model.size();
  report.model_sha256 = match.aggregate->model_sha256;
  report.model_root = match.aggregate->model_root;
  report.slot = match.slot;
  report.chain_pinned = input.pinned_chain.has_value();
  trace_ledger(ledger, report);
  report.job = match.job;
  report.spec = recount.spec;
  report.state = load<protocol::JobState>(state, protocol::job_key(match.job));
  report.owner_name = name_of(state, crypto::node_id_of(report.state.owner.view()));
  report.job_records = recount.records;
  report.newest = report.state.model_root == match.aggregate->model_root;
  report.epsilon_spent_nano = recount.epsilon_spent_nano;
  report.epsilon_charged_nano = recount.spent_so_far.at(match.slot);
  std::map<std::int64_t, Height> heights;  // timestamps strictly increase
  for (const auto& certified : ledger.blocks)
    heights[certified.block.header.timestamp_ms] = certified.block.header.height;
  for (const RoundState& round : recount.rounds)
    report.rounds.push_back(describe_round(state, round, recount, heights));
  return report;
}

}  // namespace fedmesh::audit
