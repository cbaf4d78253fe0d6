// Time as an argument of the coordinator, so that a simulation can be its
// clock.
#ifndef EVOPRESS_SERVER_CLOCK_H_
#define EVOPRESS_SERVER_CLOCK_H_

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace evopress::server {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() = 0;

  // The machine's clock.
  static Clock& System();
};

class SystemClock : public Clock {
 public:
  absl::Time Now() override { return absl::Now(); }
};

inline Clock& Clock::System() {
  static SystemClock clock;
  return clock;
}

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_CLOCK_H_
