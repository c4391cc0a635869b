// What somebody may still take of something dear. It grows at a steady rate up to a burst, which is
// also what there is at first.
// Not thread-safe: owned by whoever counts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace fedmesh {

class Allowance {
 public:
  constexpr Allowance(std::int64_t burst, std::int64_t per_second)
      : burst_(burst * 1000), per_second_(per_second), left_(burst_) {}

  // 0 or less: nothing for now.
  std::int64_t left(Instant now) {
    grow(now);
    return left_ / 1000;
  }
  // Until something is left.
  Duration wait(Instant now) {
    grow(now);
    const std::int64_t missing = 1000 - left_;
    return Duration(missing <= 0 ? 0 : (missing + per_second_ - 1) / per_second_);
  }
  // May take more than is left: what an answer costs is known once it is made.
  void spend(std::uint64_t amount) { left_ -= static_cast<std::int64_t>(amount) * 1000; }

 private:
  void grow(Instant now) {
    if (grown_until_ && *grown_until_ < now) {
      // More would only overflow: after this time it is full.
      const std::int64_t filled_ms = (burst_ - left_) / per_second_ + 1;
      left_ = std::min(burst_,
                       left_ + per_second_ * std::min((now - *grown_until_).count(), filled_ms));
    }
    grown_until_ = now;
  }

  std::int64_t burst_;  // in thousandths, so that nothing is lost between two looks
  std::int64_t per_second_;
  std::int64_t left_;  // in thousandths
  std::optional<Instant> grown_until_;
};

}  // namespace fedmesh
