#include "worker/opening_transfer.h"

#include <algorithm>

namespace fedmesh::worker {

std::vector<protocol::OpeningFrame> OpeningTransfer::frames(Instant now, ByteView opening) {
  std::vector<protocol::OpeningFrame> out;
  if (done_ || given_up()) return out;
  if (now >= retry_at_) {  // the first time, after a refusal, or when no answer came
    sent_ = received_;
    paused_ = false;
    rewound_to_.reset();
  }
  if (paused_) return out;
  const std::uint64_t until = std::min<std::uint64_t>(opening.size(), received_ + kWindowBytes);
  while (sent_ < until) {
    const auto size = std::min<std::uint64_t>(protocol::kFrameBytes, opening.size() - sent_);
    out.push_back({job_, slot_, opening.size(), sent_, to_bytes(opening.subspan(sent_, size))});
    sent_ += size;
    retry_at_ = now + kRetry;
  }
  return out;
}

void OpeningTransfer::receive(Instant now, const protocol::OpeningStatus& status,
                              std::uint64_t total) {
  if (done_ || given_up() || status.received > total) return;
  if (!status.error.empty()) {
    ++refusals_;
    refusal_ = status.error;
    paused_ = true;
    retry_at_ = now + kRetry;
    return;
  }
  if (status.received == total) {
    done_ = true;
    return;
  }
  if (status.received > received_) {
    received_ = status.received;
    sent_ = std::max(sent_, received_);
    rewound_to_.reset();
    retry_at_ = now + kRetry;
  } else if (rewound_to_ != status.received) {
    // The member stands elsewhere than we thought: a frame was lost, or it began anew. Every frame
    // that is still under way brings the same answer; one of them is enough.
    rewound_to_ = status.received;
    received_ = sent_ = status.received;
  }
}

void OpeningTransfer::link_lost() {
  sent_ = received_;
  paused_ = false;
  rewound_to_.reset();
  retry_at_ = {};
}

std::optional<Instant> OpeningTransfer::next_wake() const {
  if (done_ || given_up()) return std::nullopt;
  return retry_at_;
}

}  // namespace fedmesh::worker
