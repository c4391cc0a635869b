#include "base/clock.h"

namespace fedmesh {

SystemClock::SystemClock()
    : wall_start_{std::chrono::duration_cast<Duration>(
                      std::chrono::system_clock::now().time_since_epoch())
                      .count()},
      steady_start_(std::chrono::steady_clock::now()) {}

Instant SystemClock::now() const {
  return wall_start_ +
         std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - steady_start_);
}

}  // namespace fedmesh
