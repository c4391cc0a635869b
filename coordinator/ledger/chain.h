// The replica: genesis, state machine and store, and whatever follows from them. Blocks become
// final here and nowhere else.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "coordinator/ledger/block.h"
#include "coordinator/ledger/block_check.h"
#include "coordinator/ledger/entries.h"
#include "coordinator/ledger/genesis.h"
#include "coordinator/ledger/merkle.h"
#include "coordinator/ledger/state.h"
#include "coordinator/ledger/state_machine.h"
#include "coordinator/ledger/store.h"

namespace fedmesh::ledger {

struct RecordLocation {
  Height height;
  std::size_t index = 0;        // within the block
  std::uint64_t log_index = 0;  // in the global record log
  std::uint64_t job_index = 0;  // in its job's log; 0 where it names no job
};

struct JobLog {
  MerkleLog log;
  std::vector<RecordLocation> records;  // one per leaf
};

struct BlockLimits {
  std::size_t records = kMaxBlockRecords;
  std::size_t bytes = kMaxBodyBytes;
};

struct Proposal {
  struct Refusal {
    std::size_t candidate = 0;  // index into the candidates
    Error reason;
  };
  Block block;
  std::vector<std::size_t> included;  // indices into the candidates, in block order
  std::vector<Refusal> refused;       // inadmissible in this block
  // Candidates in neither list did not fit: they wait for the next block.
};

// Not thread-safe: owned by the node's loop thread. The state machine and the store must outlive
// it.
class Chain {
 public:
  // Replays what the store holds, executing every block again. corruption names the block that does
  // not verify.
  static Result<std::unique_ptr<Chain>> open(Genesis genesis, const StateMachine& machine,
                                             Store& store);
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  const Genesis& genesis() const { return genesis_; }
  const ChainId& id() const { return id_; }
  const Digest& session() const { return session_; }  // of epoch 0
  Height height() const { return tip_.height; }
  Instant timestamp() const {
    return {tip_.timestamp_ms};
  }  // of the head; the genesis' at height 0
  const Digest& head_hash() const { return tip_.hash; }
  // The newest block's header and certificate; nullptr at height 0.
  const Header* head_header() const { return head_ ? &head_->first : nullptr; }
  const Certificate* head_certificate() const { return head_ ? &head_->second : nullptr; }
  const State& state() const { return state_; }  // after the head
  const MerkleLog& log() const { return log_; }
  const JobLog* job_log(const JobId& job) const;  // nullptr: no record names the job
  const RecordLocation* find(const Digest& record_hash) const;
  Result<CertifiedBlock> get(Height height) const { return store_.get(height); }
  Result<Record> record_at(const RecordLocation& location) const;
  std::optional<Instant> next_deadline() const { return machine_.next_deadline(state_); }
  // One above the author's last final sequence number.
  std::uint64_t next_author_seq(const NodeId& author, const JobId& job) const;

  // What can be said of a record without executing it: envelope, signature, not in a block already
  // ("already in block 7"), author_seq above the last final one.
  Result<void> check(const Record& record);
  // Envelope and signature alone; what was verified lately is not verified again.
  Result<void> verify(const Record& record);
  // This process has just signed it for this chain: its signature is not verified.
  void trust(const Record& record) { remember_verified(record_hash(record)); }

  // A block on the head with the admissible candidates in their order, executed. Its timestamp is
  // max(now, parent + 1). It may be empty: whether to use it then is the caller's decision.
  // invalid_argument: the proposer is not in the committee; exhausted: the clock is past year 9999.
  Result<Proposal> propose(Instant now, std::span<const Record> candidates,
                           const crypto::PublicKey& proposer, const BlockLimits& limits = {});

  // The block extends the head and is valid by own execution. How far its timestamp may run ahead
  // of the local clock is the consensus' question, not asked here.
  Result<void> validate(const Block& block);

  // Verifies certificate and block (executing it unless it was the last one proposed or validated),
  // stores and applies it. On an error nothing has changed; an error of the store is passed on.
  // Durable after flush(): until then nobody may be told, and nothing be erased that it ended.
  Result<void> commit(CertifiedBlock block);
  // ... of which this process has just made the certificate: it is not verified.
  Result<void> commit_own(CertifiedBlock block);
  Result<void> flush() { return store_.flush(); }

 private:
  // The effects of a block that is not final yet.
  struct Execution {
    Tip tip;
    std::vector<Digest> record_hashes;
    State::Changes changes;
    Digest state_root;
  };

  Chain(Genesis genesis, const StateMachine& machine, Store& store);
  Result<void> replay();
  Result<void> check_hashed(const Record& record, const Digest& hash);
  Result<void> verify_hashed(const Record& record, const Digest& hash);
  Result<void> check_seq(const Record& record, const NodeId& author) const;
  Result<void> apply_record(const BlockContext& context, const Record& record);
  void enter_job_logs(std::span<const Record> records, std::span<const Digest> hashes);
  void collect(const BlockContext& context, std::span<const Record> candidates,
               const BlockLimits& limits, Proposal& proposal, Execution& execution);
  void finish(const BlockContext& context, const Block& block, const State::Savepoint& savepoint,
              Execution& execution);
  Result<Execution> execute(const Block& block);
  enum class Origin { stored, received, own };
  Result<void> commit(CertifiedBlock block, Origin origin);
  void remember_verified(const Digest& record_hash);
  void enter_logs(const Block& block, const Execution& execution);

  Genesis genesis_;
  const StateMachine& machine_;
  Store& store_;
  ChainId id_;
  Digest committee_hash_;
  Digest session_;
  State state_;
  Tip tip_;
  std::optional<std::pair<Header, Certificate>> head_;
  MerkleLog log_;
  std::map<JobId, JobLog> jobs_;
  std::unordered_map<Digest, RecordLocation> locations_;
  std::unordered_set<Digest> verified_;  // hashes of records whose signature was checked; bounded
  std::optional<Execution> executed_;    // the last one, so that commit() need not repeat it
};

}  // namespace fedmesh::ledger
