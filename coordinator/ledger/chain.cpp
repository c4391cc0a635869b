#include "coordinator/ledger/chain.h"

#include <algorithm>
#include <string>

#include "base/check.h"

namespace fedmesh::ledger {
namespace {

constexpr std::size_t kVerifiedRecords = 1u << 16;

}  // namespace

Chain::Chain(Genesis genesis, const StateMachine& machine, Store& store)
    : genesis_(std::move(genesis)),
      machine_(machine),
      store_(store),
      id_(chain_id(genesis_)),
      committee_hash_(ledger::committee_hash(genesis_.committee)),
      session_(session_id(id_, 0, Digest{}, committee_hash_)),
      tip_(genesis_tip(genesis_)) {}

Result<std::unique_ptr<Chain>> Chain::open(Genesis genesis, const StateMachine& machine,
                                           Store& store) {
  FM_TRY_VOID(ledger::validate(genesis));
  std::unique_ptr<Chain> chain(new Chain(std::move(genesis), machine, store));
  FM_TRY_VOID(machine.init(chain->genesis_, chain->state_));
  FM_TRY_VOID(chain->replay());
  return chain;
}

Result<void> Chain::replay() {
  const Height head = store_.head();
  while (tip_.height < head) {
    const Height next = tip_.height.next();
    auto block = store_.get(next);
    if (!block.ok()) return block.error().with_context("stored " + describe(next));
    if (auto done = commit(std::move(*block), Origin::stored); !done.ok())
      return corruption("stored " + done.error().detail);
  }
  return {};
}

const JobLog* Chain::job_log(const JobId& job) const {
  const auto found = jobs_.find(job);
  return found == jobs_.end() ? nullptr : &found->second;
}

const RecordLocation* Chain::find(const Digest& record_hash) const {
  const auto found = locations_.find(record_hash);
  return found == locations_.end() ? nullptr : &found->second;
}

Result<Record> Chain::record_at(const RecordLocation& location) const {
  FM_TRY(CertifiedBlock block, store_.get(location.height));
  if (location.index >= block.block.records.size())
    return not_found("record " + std::to_string(location.index) + " of " +
                     describe(location.height));
  return std::move(block.block.records[location.index]);
}

std::uint64_t Chain::next_author_seq(const NodeId& author, const JobId& job) const {
  const Bytes* last = state_.get(author_seq_key(author, job));
  return last ? *decode_author_seq(*last) + 1 : 1;
}

Result<void> Chain::check(const Record& record) {
  FM_TRY_VOID(check_hashed(record, record_hash(record)));
  return check_seq(record, record.author_id());
}

// Whatever does not depend on the state. Signatures are verified once: a record is checked when it
// is submitted, when it is proposed and when its block is validated.
Result<void> Chain::check_hashed(const Record& record, const Digest& hash) {
  if (const RecordLocation* there = find(hash))
    return stale("already in " + describe(there->height));
  return verify_hashed(record, hash);
}

Result<void> Chain::verify(const Record& record) {
  return verify_hashed(record, record_hash(record));
}

Result<void> Chain::verify_hashed(const Record& record, const Digest& hash) {
  if (verified_.contains(hash)) return {};
  FM_TRY_VOID(verify_record(record, id_));
  remember_verified(hash);
  return {};
}

void Chain::remember_verified(const Digest& record_hash) {
  if (verified_.size() >= kVerifiedRecords) verified_.clear();
  verified_.insert(record_hash);
}

Result<void> Chain::check_seq(const Record& record, const NodeId& author) const {
  const std::uint64_t next = next_author_seq(author, record.job);
  // After the largest number `next` is 0, and nothing follows it any more.
  if (next == 0 || record.author_seq < next)
    return stale("author_seq " + std::to_string(record.author_seq) + " of author " +
                 author.short_hex() + " is used; the last one is " + std::to_string(next - 1));
  return {};
}

Result<void> Chain::apply_record(const BlockContext& context, const Record& record) {
  const NodeId author = record.author_id();
  FM_TRY_VOID(check_seq(record, author));
  State::Savepoint savepoint(state_);
  FM_TRY_VOID(machine_.apply(context, record, state_));
  state_.put(author_seq_key(author, record.job), encode_author_seq(record.author_seq));
  savepoint.keep();
  return {};
}

void Chain::enter_job_logs(std::span<const Record> records, std::span<const Digest> hashes) {
  std::map<JobId, MerkleFrontier> logs;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const JobId& job = records[i].job;
    if (job.is_zero()) continue;
    auto [log, is_new] = logs.try_emplace(job);
    if (const JobLog* before = job_log(job); is_new && before) log->second = before->log.frontier();
    log->second.append(hashes[i]);
  }
  for (const auto& [job, log] : logs)
    state_.put(job_log_key(job), codec::encode(JobLogEntry{log.size(), log.root()}));
}

void Chain::finish(const BlockContext& context, const Block& block,
                   const State::Savepoint& savepoint, Execution& execution) {
  machine_.end_block(context, state_);
  enter_job_logs(block.records, execution.record_hashes);
  execution.state_root = state_.root();
  execution.changes = savepoint.changes();
}

// Fills the block with admissible candidates. The first that does not fit ends it: a later one of
// the same author would otherwise overtake it and make it stale.
void Chain::collect(const BlockContext& context, std::span<const Record> candidates,
                    const BlockLimits& limits, Proposal& proposal, Execution& execution) {
  const std::size_t most_records = std::min(limits.records, kMaxBlockRecords);
  std::size_t room = std::min(limits.bytes, kMaxBodyBytes);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (proposal.included.size() == most_records) return;
    const Record& record = candidates[i];
    const Bytes encoded = encode_record(record);
    const Digest hash = merkle_leaf(encoded);
    Result<void> good = check_hashed(record, hash);
    if (good.ok() && encoded.size() > room) return;
    if (good.ok()) good = apply_record(context, record);
    if (!good.ok()) {
      proposal.refused.push_back({i, good.error()});
      continue;
    }
    room -= encoded.size();
    proposal.included.push_back(i);
    proposal.block.records.push_back(record);
    execution.record_hashes.push_back(hash);
    execution.tip.log.append(hash);
  }
}

Result<Proposal> Chain::propose(Instant now, std::span<const Record> candidates,
                                const crypto::PublicKey& proposer, const BlockLimits& limits) {
  const auto& committee = genesis_.committee;
  if (std::find(committee.begin(), committee.end(), proposer) == committee.end())
    return invalid_argument("proposer " + proposer.short_hex() + " is not in the committee");
  Proposal proposal;
  Header& header = proposal.block.header;
  header.chain = id_;
  header.height = tip_.height.next();
  header.parent_hash = tip_.hash;
  header.timestamp_ms = std::max(now.ms, tip_.timestamp_ms + 1);
  header.committee_hash = committee_hash_;
  header.next_committee_hash = committee_hash_;
  header.proposer = proposer;
  if (header.timestamp_ms > kMaxTimestampMs)
    return exhausted("the clock is past the year 9999: " + std::to_string(header.timestamp_ms));

  executed_.reset();
  Execution execution;
  execution.tip.log = tip_.log;
  const BlockContext context{id_, header.height, {header.timestamp_ms}, proposer};
  {
    State::Savepoint savepoint(state_);
    FM_TRY_VOID(machine_.begin_block(context, state_));
    collect(context, candidates, limits, proposal, execution);
    finish(context, proposal.block, savepoint, execution);
  }
  header.body_root = merkle_root_of_hashes(execution.record_hashes);
  header.state_root = execution.state_root;
  header.log_size = execution.tip.log.size();
  header.log_root = execution.tip.log.root();
  execution.tip.height = header.height;
  execution.tip.timestamp_ms = header.timestamp_ms;
  execution.tip.hash = header_hash(header);
  executed_ = std::move(execution);
  return proposal;
}

Result<Chain::Execution> Chain::execute(const Block& block) {
  const Header& header = block.header;
  FM_TRY_VOID(check_header(genesis_, id_, tip_, header));
  FM_TRY(BodyResult body, check_body(tip_, block, [this](const Record& record, const Digest& hash) {
           return check_hashed(record, hash);
         }));
  Execution execution{std::move(body.tip), std::move(body.record_hashes), {}, {}};
  const BlockContext context{id_, header.height, {header.timestamp_ms}, header.proposer};
  State::Savepoint savepoint(state_);
  if (auto begun = machine_.begin_block(context, state_); !begun.ok())
    return begun.error().with_context(describe(header.height));
  for (std::size_t i = 0; i < block.records.size(); ++i)
    if (auto applied = apply_record(context, block.records[i]); !applied.ok())
      return applied.error().with_context(describe(header.height, i, block.records[i]));
  finish(context, block, savepoint, execution);
  if (execution.state_root != header.state_root)
    return invalid_argument(describe(header.height) + ": state_root " +
                            header.state_root.short_hex() + ", own execution gives " +
                            execution.state_root.short_hex());
  return execution;
}

Result<void> Chain::validate(const Block& block) {
  executed_.reset();
  FM_TRY(executed_, execute(block));
  return {};
}

Result<void> Chain::commit(CertifiedBlock block) {
  return commit(std::move(block), Origin::received);
}

Result<void> Chain::commit_own(CertifiedBlock block) {
  return commit(std::move(block), Origin::own);
}

Result<void> Chain::commit(CertifiedBlock block, Origin origin) {
  const Header& header = block.block.header;
  // The hash covers the header; that these are its records is checked by their root.
  const bool known = executed_ && executed_->tip.hash == header_hash(header) &&
                     body_root(block.block.records) == header.body_root;
  if (!known) FM_TRY_VOID(validate(block.block));
  if (origin != Origin::own)
    if (auto final = verify_certificate(block.certificate, header, genesis_.committee); !final.ok())
      return final.error().with_context(describe(header.height));
  if (origin != Origin::stored) FM_TRY_VOID(store_.add(block));

  state_.apply(executed_->changes);
  FM_CHECK(state_.root() == header.state_root, "a block has the effects it was executed with");
  enter_logs(block.block, *executed_);
  tip_ = std::move(executed_->tip);
  executed_.reset();
  head_.emplace(header, std::move(block.certificate));
  return {};
}

void Chain::enter_logs(const Block& block, const Execution& execution) {
  for (std::size_t i = 0; i < block.records.size(); ++i) {
    const Digest& hash = execution.record_hashes[i];
    RecordLocation location{block.header.height, i, log_.size(), 0};
    log_.append(hash);
    if (const JobId& job = block.records[i].job; !job.is_zero()) {
      JobLog& log = jobs_[job];
      location.job_index = log.log.size();
      log.log.append(hash);
      log.records.push_back(location);
    }
    locations_.emplace(hash, location);
    verified_.erase(hash);
  }
}

}  // namespace fedmesh::ledger
