#include "worker/outbox.h"

#include <algorithm>

namespace fedmesh::worker {

void Outbox::add(Instant now, ledger::RecordKind kind, const JobId& job, Bytes payload) {
  last_seq_ =
      std::max(last_seq_ + 1, static_cast<std::uint64_t>(std::max<std::int64_t>(now.ms, 0)));
  const auto record = ledger::sign_record(key_, kind, chain_, job, last_seq_, std::move(payload));
  if (waiting_.size() == kWaitingMax) waiting_.pop_front();
  waiting_.push_back({ledger::record_hash(record), job, kind, ledger::encode_record(record), now});
}

std::vector<protocol::SubmitRecord> Outbox::due(Instant now) {
  std::vector<protocol::SubmitRecord> out;
  for (Entry& entry : waiting_) {
    if (now < entry.next_send) continue;
    entry.next_send = now + kResend;
    out.push_back({entry.record});
  }
  return out;
}

void Outbox::link_lost() {
  for (Entry& entry : waiting_) entry.next_send = {};
}

std::optional<Outbox::Entry> Outbox::answered(const Digest& record_hash) {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                  [&](const Entry& entry) { return entry.hash == record_hash; });
  if (found == waiting_.end()) return std::nullopt;
  Entry entry = std::move(*found);
  waiting_.erase(found);
  return entry;
}

void Outbox::drop(const JobId& job, ledger::RecordKind kind) {
  std::erase_if(waiting_,
                [&](const Entry& entry) { return entry.job == job && entry.kind == kind; });
}

void Outbox::drop(const JobId& job) {
  std::erase_if(waiting_, [&](const Entry& entry) { return entry.job == job; });
}

bool Outbox::holds(const JobId& job, ledger::RecordKind kind) const {
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [&](const Entry& entry) { return entry.job == job && entry.kind == kind; });
}

std::optional<Instant> Outbox::next_wake() const {
  std::optional<Instant> at;
  for (const Entry& entry : waiting_)
    if (!at || entry.next_send < *at) at = entry.next_send;
  return at;
}

}  // namespace fedmesh::worker
