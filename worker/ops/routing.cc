#include "worker/ops/routing.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace evopress::worker {

void ChooseExperts(const float* logits, int64_t rows, int experts, int chosen,
                   bool normalize, int32_t* expert, float* share) {
  std::vector<int32_t> order(experts);
  for (int64_t r = 0; r < rows; ++r) {
    const float* const row = logits + r * experts;
    std::iota(order.begin(), order.end(), 0);
    // What is not a number counts as the smallest: the order stays an order.
    const auto value = [row](int32_t e) {
      return std::isnan(row[e]) ? -INFINITY : row[e];
    };
    std::partial_sort(order.begin(), order.begin() + chosen, order.end(),
                      [&](int32_t a, int32_t b) {
                        return value(a) != value(b) ? value(a) > value(b)
                                                    : a < b;
                      });
    float total = 0;
    for (int e = 0; e < experts; ++e) total += std::exp(row[e] - row[order[0]]);
    float kept = 0;
    for (int k = 0; k < chosen; ++k) {
      expert[r * chosen + k] = order[k];
      share[r * chosen + k] = std::exp(row[order[k]] - row[order[0]]) / total;
      kept += share[r * chosen + k];
    }
    if (!normalize) continue;
    for (int k = 0; k < chosen; ++k) share[r * chosen + k] /= kept;
  }
}

}  // namespace evopress::worker
