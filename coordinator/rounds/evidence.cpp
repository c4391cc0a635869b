#include "coordinator/rounds/evidence.h"

#include "coordinator/rounds/state_access.h"

namespace fedmesh::rounds {
namespace {

using ledger::Record;
using ledger::RecordKind;
using protocol::Commit;

struct SignedCommit {
  Record record;
  Commit commit;
};

Result<SignedCommit> signed_commit(ByteView bytes, const ChainId& chain) {
  FM_TRY(auto record, ledger::decode_record(bytes));
  if (record.kind != RecordKind::commit)
    return invalid_argument("evidence consists of two commit records");
  FM_TRY_VOID(ledger::verify_record(record, chain));
  FM_TRY(const auto commit, protocol::decode_payload<Commit>(record.payload));
  return SignedCommit{std::move(record), commit};
}

std::string evidence_key(const JobId& job, const protocol::Slot& slot, const NodeId& offender) {
  return "evidence/" + protocol::round_key(job, slot) + "/" + offender.hex();
}

// The commit record of this worker and slot that is final, if there is one.
std::optional<Record> final_commit(const ledger::Chain& chain, const JobId& job,
                                   const NodeId& worker, const protocol::Slot& slot) {
  const auto round = load<protocol::RoundState>(chain.state(), protocol::round_key(job, slot));
  const ledger::JobLog* log = chain.job_log(job);
  if (!round || log == nullptr) return std::nullopt;
  for (auto at = log->records.rbegin(); at != log->records.rend(); ++at) {
    auto record = chain.record_at(*at);
    if (!record.ok()) return std::nullopt;
    if (record->kind == RecordKind::beacon) {  // the one that opened this round, or a later one
      const auto beacon = protocol::decode_payload<protocol::Beacon>(record->payload);
      if (beacon.ok() && beacon->slot == slot) return std::nullopt;
    }
    if (record->kind != RecordKind::commit || record->author_id() != worker) continue;
    const auto commit = protocol::decode_payload<Commit>(record->payload);
    if (commit.ok() && commit->slot == slot) return std::move(*record);
  }
  return std::nullopt;
}

bool has_commitment(const ledger::State& state, const JobId& job, const NodeId& worker,
                    const protocol::Slot& slot) {
  const auto round = load<protocol::RoundState>(state, protocol::round_key(job, slot));
  if (!round) return false;
  for (const auto& place : round->cohort)
    if (place.worker == worker) return place.commitment.has_value();
  return false;
}

}  // namespace

Result<void> apply_evidence(const ledger::BlockContext& context, const Record& record,
                            ledger::State& state) {
  const auto author = node_state(state, record.author_id());
  if ((!author || author->roles == 0) && !state.contains(operator_key(record.author_id())))
    return unauthenticated("evidence comes from an admitted node");
  FM_TRY(const auto evidence, protocol::decode_payload<protocol::Evidence>(record.payload));
  if (!BytesLess()(evidence.first, evidence.second))
    return invalid_argument("the two records stand in the order of their bytes");
  FM_TRY(const auto a, signed_commit(evidence.first, context.chain));
  FM_TRY(const auto b, signed_commit(evidence.second, context.chain));
  if (a.record.author != b.record.author || a.record.job != b.record.job ||
      a.record.job != record.job || a.commit.slot != b.commit.slot)
    return invalid_argument("evidence is about one worker, job and round");
  if (a.commit.commitment == b.commit.commitment)
    return invalid_argument("the two commitments are the same");
  if (!state.contains(protocol::job_key(record.job)))
    return not_found("no job " + record.job.short_hex());
  const NodeId offender = a.record.author_id();
  auto node = node_state(state, offender);
  if (!node) return not_found("no node " + offender.short_hex());
  const std::string key = evidence_key(record.job, a.commit.slot, offender);
  if (state.contains(key)) return stale("this has been recorded already");
  state.put(key, Bytes{1});
  node->roles = 0;
  node->conduct_micro = 0;
  node->banned = true;
  store(state, protocol::node_key(offender), *node);
  return {};
}

std::optional<protocol::Evidence> EvidenceCollector::observe(ledger::Chain& chain,
                                                             const Record& record) {
  if (record.kind != RecordKind::commit) return std::nullopt;
  const auto commit = protocol::decode_payload<Commit>(record.payload);
  if (!commit.ok()) return std::nullopt;
  const auto job = load<protocol::JobState>(chain.state(), protocol::job_key(record.job));
  if (!job || job->next != commit->slot) return std::nullopt;  // only what may matter
  if (cleaned_ != chain.height()) {
    cleaned_ = chain.height();
    std::erase_if(seen_, [&](const auto& entry) {
      const auto of = load<protocol::JobState>(chain.state(), protocol::job_key(entry.first.job));
      return !of || of->next != entry.first.slot || is_terminal(of->phase);
    });
  }
  const NodeId worker = record.author_id();
  const Key key{worker, record.job, commit->slot};
  auto known = seen_.find(key);
  std::optional<Record> other;
  if (known != seen_.end()) {
    other = known->second;
  } else if (has_commitment(chain.state(), record.job, worker, commit->slot)) {
    other = final_commit(chain, record.job, worker, commit->slot);
  }
  if (!other) {
    // Only what is signed is kept: anybody could name a worker.
    if (seen_.size() < kCommitsMax && chain.verify(record).ok()) seen_.emplace(key, record);
    return std::nullopt;
  }
  const auto before = protocol::decode_payload<Commit>(other->payload);
  if (!before.ok() || before->commitment == commit->commitment) return std::nullopt;
  if (!chain.verify(record).ok()) return std::nullopt;
  Bytes a = ledger::encode_record(*other), b = ledger::encode_record(record);
  if (BytesLess()(b, a)) std::swap(a, b);
  return protocol::Evidence{std::move(a), std::move(b)};
}

}  // namespace fedmesh::rounds
