#include "search/trust_region.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "search/knapsack.h"

namespace evopress::search {
namespace {

constexpr int kBisections = 16;

absl::StatusOr<Assignment> SolveAtPrice(const SearchSpace& space,
                                        const Effects& effects,
                                        const Assignment& center,
                                        double price) {
  Effects priced = effects;
  for (size_t u = 0; u < priced.size(); ++u) {
    for (size_t l = 0; l < priced[u].size(); ++l) {
      if (l != center.levels[u]) priced[u][l] += price;
    }
  }
  return SolveKnapsack(space, priced);
}

// More than any change can be worth.
double HighestPrice(const Effects& effects) {
  double total = 0;
  for (const std::vector<double>& levels : effects) {
    const auto [least, most] =
        std::minmax_element(levels.begin(), levels.end());
    total += *most - *least;
  }
  return total;
}

}  // namespace

int Changes(const SearchSpace& space, const Assignment& a,
            const Assignment& b) {
  int changes = 0;
  for (size_t u = 0; u < a.levels.size(); ++u) {
    if (a.levels[u] == b.levels[u]) continue;
    if (IsActive(space, a, u) && IsActive(space, b, u)) ++changes;
  }
  return changes;
}

absl::StatusOr<Assignment> SolveWithinReach(const SearchSpace& space,
                                            const Effects& effects,
                                            const Assignment& center,
                                            double reach) {
  absl::StatusOr<Assignment> farthest = SolveAtPrice(space, effects, center, 0);
  if (!farthest.ok() || reach >= 1) return farthest;
  double dear = HighestPrice(effects);
  absl::StatusOr<Assignment> best = SolveAtPrice(space, effects, center, dear);
  if (!best.ok()) return best;
  const int fewest = Changes(space, center, *best);
  const int most = Changes(space, center, *farthest);
  const int allowed = fewest + static_cast<int>(reach * (most - fewest));
  double cheap = 0;
  for (int i = 0; i < kBisections; ++i) {
    const double price = (cheap + dear) / 2;
    absl::StatusOr<Assignment> found =
        SolveAtPrice(space, effects, center, price);
    if (!found.ok()) return found;
    if (Changes(space, center, *found) > allowed) {
      cheap = price;
    } else {
      dear = price;
      best = std::move(found);
    }
  }
  return best;
}

}  // namespace evopress::search
