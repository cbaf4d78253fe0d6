// How long something takes: counts by upper bound, as Prometheus has them.
#ifndef EVOPRESS_SERVER_DISTRIBUTION_H_
#define EVOPRESS_SERVER_DISTRIBUTION_H_

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace evopress::server {

// Of seconds. Thread-compatible.
class Distribution {
 public:
  static constexpr std::array<double, 12> kBounds = {
      0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300};

  // Ignores what is no duration.
  void Add(double seconds) {
    if (!std::isfinite(seconds) || seconds < 0) return;
    size_t bucket = 0;
    while (bucket < kBounds.size() && seconds > kBounds[bucket]) ++bucket;
    ++counts_[bucket];
    ++count_;
    sum_ += seconds;
  }

  // Of values of at most kBounds[i] and more than the bound before; the last
  // one of all greater values.
  const std::array<int64_t, kBounds.size() + 1>& counts() const {
    return counts_;
  }
  int64_t count() const { return count_; }
  double sum() const { return sum_; }

 private:
  std::array<int64_t, kBounds.size() + 1> counts_ = {};
  int64_t count_ = 0;
  double sum_ = 0;
};

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_DISTRIBUTION_H_
