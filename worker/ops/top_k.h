// worker/ops/top_k.h
// The k largest of a stream of logits, found without sorting them all.
#ifndef EVOPRESS_WORKER_OPS_TOP_K_H_
#define EVOPRESS_WORKER_OPS_TOP_K_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "worker/ops/vector_math.h"

namespace evopress::worker {

// Of equal logits the lower id wins. A plain value; thread-compatible.
class TopK {
 public:
  using Entry = std::pair<float, int32_t>;  // logit, id

  explicit TopK(int64_t k) : k_(k) { entries_.reserve(Room()); }

  // Logits of the ids first_id, first_id + 1, …; calls bring rising ids.
  void Add(const float* logits, int64_t n, int32_t first_id) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
      const __m256 v = _mm256_loadu_ps(logits + i);
      if (_mm256_movemask_ps(
              _mm256_cmp_ps(v, _mm256_set1_ps(threshold_), _CMP_GT_OQ)) == 0) {
        continue;
      }
      for (int64_t j = i; j < i + 8; ++j) AddOne(logits[j], first_id + j);
    }
    for (; i < n; ++i) AddOne(logits[i], first_id + i);
  }

  // By rising id. Leaves this empty.
  std::vector<Entry> Take() {
    Shrink();
    std::sort(
        entries_.begin(), entries_.end(),
        [](const Entry& a, const Entry& b) { return a.second < b.second; });
    return std::move(entries_);
  }

 private:
  size_t Room() const { return 4 * k_ + 8; }

  void AddOne(float logit, int32_t id) {
    if (!(logit > threshold_)) return;
    entries_.emplace_back(logit, id);
    if (entries_.size() >= Room()) Shrink();
  }

  void Shrink() {
    if (entries_.size() <= static_cast<size_t>(k_)) return;
    std::nth_element(entries_.begin(), entries_.begin() + (k_ - 1),
                     entries_.end(), [](const Entry& a, const Entry& b) {
                       return a.first != b.first ? a.first > b.first
                                                 : a.second < b.second;
                     });
    entries_.resize(k_);
    threshold_ = entries_[k_ - 1].first;
  }

  int64_t k_;
  float threshold_ = -std::numeric_limits<float>::infinity();
  std::vector<Entry> entries_;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_OPS_TOP_K_H_
