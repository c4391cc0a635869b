// Records that this worker has signed and that are not final yet: the same bytes are sent again
// until the ledger answers.
// Not thread-safe: owned by the worker.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/crypto/keys.h"
#include "base/ids.h"
#include "coordinator/ledger/record.h"
#include "coordinator/protocol/messages.h"

namespace fedmesh::worker {

class Outbox {
 public:
  static constexpr std::size_t kWaitingMax = 256;  // the oldest go
  static constexpr Duration kResend{5000};

  // `key` outlives it.
  Outbox(const ChainId& chain, const crypto::SigningKey& key) : chain_(chain), key_(key) {}

  struct Entry {
    Digest hash;
    JobId job;
    ledger::RecordKind kind = ledger::RecordKind::enrol;
    Bytes record;
    Instant next_send;
  };

  // Signs it with a sequence number that is above every earlier one, also of earlier processes as
  // long as the clock has moved on.
  void add(Instant now, ledger::RecordKind kind, const JobId& job, Bytes payload);
  std::vector<protocol::SubmitRecord> due(Instant now);
  void link_lost();  // everything is due again

  // The entry that was answered, if it was waiting; it no longer is.
  std::optional<Entry> answered(const Digest& record_hash);
  void drop(const JobId& job, ledger::RecordKind kind);  // the state shows it, or it is too late
  void drop(const JobId& job);
  bool holds(const JobId& job, ledger::RecordKind kind) const;
  std::uint64_t last_seq() const { return last_seq_; }
  void restore(std::uint64_t last_seq) { last_seq_ = last_seq; }  // of an earlier process
  std::size_t size() const { return waiting_.size(); }
  std::optional<Instant> next_wake() const;

 private:
  ChainId chain_;
  const crypto::SigningKey& key_;
  std::deque<Entry> waiting_;
  std::uint64_t last_seq_ = 0;
};

}  // namespace fedmesh::worker
