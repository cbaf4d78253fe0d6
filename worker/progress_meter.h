// worker/progress_meter.h
// Turns finished steps into the share done that an Evaluator reports.
#ifndef EVOPRESS_WORKER_PROGRESS_METER_H_
#define EVOPRESS_WORKER_PROGRESS_METER_H_

#include <algorithm>
#include <cstdint>

#include "worker/evaluator.h"

namespace evopress::worker {

// Thread-compatible. `progress` may be empty and must outlive this.
class ProgressMeter {
 public:
  ProgressMeter(const Progress& progress, int64_t steps)
      : progress_(progress), steps_(std::max<int64_t>(steps, 1)) {}

  // Counts a step that begins; false if the caller wants to stop.
  bool Step() {
    const double share = std::min(1.0, static_cast<double>(done_++) / steps_);
    return !progress_ || progress_(share);
  }

  // Counts steps that turned out to be unnecessary.
  void Skip(int64_t steps) { done_ += steps; }

 private:
  const Progress& progress_;
  const int64_t steps_;
  int64_t done_ = 0;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_PROGRESS_METER_H_
