// One opening on its way to one member of the committee: a window of frames, resumed wherever the
// member says it stands.
// Not thread-safe: owned by the worker.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "coordinator/protocol/messages.h"

namespace fedmesh::worker {

class OpeningTransfer {
 public:
  static constexpr std::uint64_t kWindowBytes = 4 * protocol::kFrameBytes;
  static constexpr Duration kRetry{2000};
  static constexpr int kRefusalsMax = 5;

  OpeningTransfer(const JobId& job, const protocol::Slot& slot) : job_(job), slot_(slot) {}

  std::vector<protocol::OpeningFrame> frames(Instant now, ByteView opening);
  // A member that answers with an error is tried again a few times: it may be a block behind.
  void receive(Instant now, const protocol::OpeningStatus& status, std::uint64_t total);
  void link_lost();

  bool done() const { return done_; }
  bool given_up() const { return refusals_ > kRefusalsMax; }
  const std::string& refusal() const { return refusal_; }
  std::uint64_t received() const { return received_; }
  std::optional<Instant> next_wake() const;

 private:
  JobId job_;
  protocol::Slot slot_;
  std::uint64_t received_ = 0;  // by the member
  std::uint64_t sent_ = 0;
  std::optional<std::uint64_t> rewound_to_;
  Instant retry_at_;
  bool paused_ = false;  // until retry_at_
  bool done_ = false;
  int refusals_ = 0;
  std::string refusal_;
};

}  // namespace fedmesh::worker
