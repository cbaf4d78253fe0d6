// The world that a simulation runs in: one clock, one queue of events, one
// source of randomness, one record of what happened. Equal seeds give equal
// worlds.
#ifndef EVOPRESS_TESTS_FAULT_WORLD_H_
#define EVOPRESS_TESTS_FAULT_WORLD_H_

#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "search/rng.h"

namespace evopress::fault {

class World {
 public:
  explicit World(uint64_t seed, bool keep_trace = false)
      : keep_trace_(keep_trace), rng_(seed, /*round=*/0x5177) {}

  // True time, which no clock of a node need show.
  absl::Time now() const { return now_; }
  absl::Duration age() const { return now_ - kBegin; }
  search::Rng& rng() { return rng_; }
  bool Chance(double probability) {
    return probability > 0 && rng_.Uniform() < probability;
  }
  absl::Duration Between(absl::Duration low, absl::Duration high) {
    return low + (high - low) * rng_.Uniform();
  }

  void After(absl::Duration delay, std::function<void()> event) {
    events_.push({now_ + std::max(delay, absl::ZeroDuration()), serial_++,
                  std::move(event)});
  }

  // Runs the next event; false if there is none.
  bool Step() {
    if (events_.empty()) return false;
    // The queue gives out constants only.
    Event event = std::move(const_cast<Event&>(events_.top()));
    events_.pop();
    now_ = event.time;
    event.run();
    return true;
  }

  template <typename... Parts>
  void Trace(const Parts&... parts) {
    if (!keep_trace_) return;
    trace_.push_back(absl::StrFormat("%10.3f  ", absl::ToDoubleSeconds(age())) +
                     absl::StrCat(parts...));
  }
  const std::vector<std::string>& trace() const { return trace_; }

  // A promise is broken; the first one ends the simulation.
  void Violate(const std::string& what) {
    Trace("VIOLATION: ", what);
    if (violation_.empty()) violation_ = what;
  }
  const std::string& violation() const { return violation_; }

 private:
  struct Event {
    absl::Time time;
    int64_t serial;
    std::function<void()> run;
    bool operator<(const Event& other) const {
      return time != other.time ? time > other.time : serial > other.serial;
    }
  };

  inline static const absl::Time kBegin = absl::FromUnixSeconds(1'800'000'000);

  const bool keep_trace_;
  absl::Time now_ = kBegin;
  search::Rng rng_;
  int64_t serial_ = 0;
  std::priority_queue<Event> events_;
  std::vector<std::string> trace_;
  std::string violation_;
};

}  // namespace evopress::fault

#endif  // EVOPRESS_TESTS_FAULT_WORLD_H_
