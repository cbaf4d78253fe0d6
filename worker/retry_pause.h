// Pauses between tries.
#ifndef EVOPRESS_WORKER_RETRY_PAUSE_H_
#define EVOPRESS_WORKER_RETRY_PAUSE_H_

#include <algorithm>

#include "absl/time/time.h"

namespace evopress::worker {

// The pause before try number `attempt` (0, 1, …): 0.1 s doubling to 5 s, the
// second half of it drawn from `jitter` in [0, 1).
inline absl::Duration RetryPause(int attempt, double jitter) {
  const absl::Duration full = std::min(
      absl::Milliseconds(100) * (1 << std::min(attempt, 10)), absl::Seconds(5));
  return full * (0.5 + 0.5 * jitter);
}

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_RETRY_PAUSE_H_
