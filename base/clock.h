// Time as a value and as an interface. Step machines receive an Instant and never read a clock.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace fedmesh {

using Duration = std::chrono::milliseconds;

// Milliseconds since the Unix epoch.
struct Instant {
  std::int64_t ms = 0;

  friend auto operator<=>(const Instant&, const Instant&) = default;
  friend Instant operator+(Instant at, Duration d) { return {at.ms + d.count()}; }
  friend Duration operator-(Instant a, Instant b) { return Duration(a.ms - b.ms); }
};

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant now() const = 0;
};

// Wall time at construction plus the steady clock since: never runs backwards within a process,
// even when the wall clock is set. Thread-safe.
class SystemClock final : public Clock {
 public:
  SystemClock();
  Instant now() const override;

 private:
  Instant wall_start_;
  std::chrono::steady_clock::time_point steady_start_;
};

}  // namespace fedmesh
