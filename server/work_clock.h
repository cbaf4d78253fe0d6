// How long a job has been worked on: neither pauses, nor the time before its
// first worker, nor that of a coordinator that was down. Pure: time is an
// argument.
#ifndef EVOPRESS_SERVER_WORK_CLOCK_H_
#define EVOPRESS_SERVER_WORK_CLOCK_H_

#include <algorithm>

#include "absl/time/time.h"

namespace evopress::server {

// Thread-compatible.
class WorkClock {
 public:
  enum class Work { kNone, kBuild, kMeasure };

  WorkClock() = default;
  // Goes on from what an earlier life has counted.
  WorkClock(absl::Duration build, absl::Duration measure)
      : build_(build), measure_(measure) {}

  // The time since the last call counts as what that call said; from now on
  // `work` is done. A clock that jumps back counts nothing.
  void Tick(absl::Time now, Work work) {
    const absl::Duration spent = std::max(absl::ZeroDuration(), now - last_);
    if (work_ == Work::kBuild) build_ += spent;
    if (work_ == Work::kMeasure) measure_ += spent;
    last_ = now;
    work_ = work;
  }

  Work work() const { return work_; }
  absl::Duration build() const { return build_; }
  absl::Duration measure() const { return measure_; }

 private:
  absl::Duration build_ = absl::ZeroDuration();
  absl::Duration measure_ = absl::ZeroDuration();
  absl::Time last_ = absl::UnixEpoch();
  Work work_ = Work::kNone;
};

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_WORK_CLOCK_H_
