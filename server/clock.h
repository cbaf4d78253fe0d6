// Time as an argument of the coordinator, so that a simulation can be its
// clock.
#ifndef EVOPRESS_SERVER_CLOCK_H_
#define EVOPRESS_SERVER_CLOCK_H_

#include <chrono>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace evopress::server {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Never jumps: leases and limits of jobs go by it.
  virtual absl::Time Now() = 0;

  // The time of day when the process began, going on as a steady clock does.
  static Clock& System();
};

class SystemClock : public Clock {
 public:
  absl::Time Now() override {
    return begin_ +
           absl::FromChrono(std::chrono::steady_clock::now() - steady_begin_);
  }

 private:
  const absl::Time begin_ = absl::Now();
  const std::chrono::steady_clock::time_point steady_begin_ =
      std::chrono::steady_clock::now();
};

inline Clock& Clock::System() {
  static SystemClock clock;
  return clock;
}

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_CLOCK_H_
