#include "coordinator/rounds/openings.h"

#include <algorithm>

#include "base/crypto/keys.h"

namespace fedmesh::rounds {
namespace {

const protocol::CohortSlot* slot_of(const protocol::RoundState& round, const NodeId& worker) {
  for (const auto& slot : round.cohort)
    if (slot.worker == worker) return &slot;
  return nullptr;
}

}  // namespace

Openings& Openings::operator=(Openings&& other) noexcept {
  wipe();
  transfers_ = std::move(other.transfers_);
  other.transfers_.clear();
  return *this;
}

Openings::~Openings() { wipe(); }

void Openings::wipe() {
  for (auto& [worker, transfer] : transfers_) {
    crypto::wipe(transfer.bytes);
    rounds::wipe(transfer.update);
  }
  transfers_.clear();
}

protocol::OpeningStatus Openings::add(const ChainId& chain, const protocol::JobSpec& spec,
                                      const protocol::RoundState& round, const NodeId& worker,
                                      const protocol::OpeningFrame& frame) {
  protocol::OpeningStatus status{round.job, round.slot, 0, ""};
  const auto* slot = slot_of(round, worker);
  if (slot == nullptr || !slot->commitment) {
    status.error = "no final commitment of yours in this round";
    return status;
  }
  Transfer& transfer = transfers_[worker];
  if (transfer.complete || !transfer.refused.empty()) {
    status.received = transfer.total;
    status.error = transfer.refused;
    return status;
  }
  if (transfer.total == 0) {
    if (frame.total == 0 || frame.total > opening_bytes_max(spec, round.kind)) {
      status.error = transfer.refused = "an opening of this round has at most " +
                                        std::to_string(opening_bytes_max(spec, round.kind)) +
                                        " bytes";
      return status;
    }
    transfer.total = frame.total;
    transfer.bytes.reserve(frame.total);  // growing would leave copies behind
  }
  const bool next = frame.total == transfer.total && frame.offset == transfer.bytes.size() &&
                    !frame.bytes.empty() && frame.bytes.size() <= protocol::kFrameBytes &&
                    frame.offset + frame.bytes.size() <= transfer.total;
  if (next) append(transfer.bytes, frame.bytes);
  status.received = transfer.bytes.size();
  if (transfer.bytes.size() < transfer.total) return status;
  auto checked = check_opening(chain, spec, round, *slot, transfer.bytes);
  if (checked.ok()) {
    transfer.update = std::move(checked).value();
    transfer.complete = true;
  } else {
    status.error = transfer.refused = checked.error().to_string();
  }
  crypto::wipe(transfer.bytes);
  transfer.bytes = Bytes();
  return status;
}

const CheckedUpdate* Openings::checked(const NodeId& worker) const {
  const auto at = transfers_.find(worker);
  return at != transfers_.end() && at->second.complete ? &at->second.update : nullptr;
}

bool Openings::settled(const NodeId& worker) const {
  const auto at = transfers_.find(worker);
  return at != transfers_.end() && (at->second.complete || !at->second.refused.empty());
}

}  // namespace fedmesh::rounds
