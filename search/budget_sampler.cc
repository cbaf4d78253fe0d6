#include "search/budget_sampler.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace evopress::search {

absl::StatusOr<BudgetSampler> BudgetSampler::Make(const SearchSpace& space,
                                                  Options options,
                                                  int64_t limit) {
  absl::StatusOr<CostGrid> grid =
      MakeCostGrid(space, options, limit,
                   kMaxCells / static_cast<int64_t>(space.units.size()));
  if (!grid.ok()) return grid.status();
  return BudgetSampler(space, std::move(options), limit, *std::move(grid));
}

BudgetSampler::BudgetSampler(const SearchSpace& space, Options options,
                             int64_t limit, CostGrid grid)
    : space_(&space),
      options_(std::move(options)),
      limit_(limit),
      grid_(std::move(grid)),
      ways_(grid_.steps.size() * (grid_.capacity + 1)) {
  for (size_t u = grid_.steps.size(); u-- > 0;) {
    double largest = 0;
    for (int64_t amount = 0; amount <= grid_.capacity; ++amount) {
      double ways = 0;
      for (int64_t step : grid_.steps[u]) {
        if (step > amount) continue;
        if (u + 1 == grid_.steps.size()) {
          ways += step == amount ? 1.0 : 0.0;
        } else {
          ways += Ways(u + 1, amount - step);
        }
      }
      Ways(u, amount) = ways;
      largest = std::max(largest, ways);
    }
    // Only ratios within a row matter.
    if (largest > 0x1p500) {
      for (int64_t amount = 0; amount <= grid_.capacity; ++amount) {
        Ways(u, amount) *= 0x1p-500;
      }
    }
  }
  most_ = grid_.capacity;
  while (most_ > 0 && !(Ways(0, most_) > 0)) --most_;
}

Assignment BudgetSampler::Draw(Rng& rng) const {
  Assignment assignment;
  assignment.levels.resize(options_.size());
  int64_t left = most_;
  for (size_t u = 0; u < options_.size(); ++u) {
    const auto weight = [&](size_t i) {
      const int64_t after = left - grid_.steps[u][i];
      if (after < 0) return 0.0;
      if (u + 1 == options_.size()) return after == 0 ? 1.0 : 0.0;
      return Ways(u + 1, after);
    };
    double total = 0;
    for (size_t i = 0; i < options_[u].size(); ++i) total += weight(i);
    double ticket = rng.Uniform() * total;
    size_t chosen = 0;
    for (size_t i = 0; i < options_[u].size(); ++i) {
      if (!(weight(i) > 0)) continue;
      chosen = i;  // the last possible one, should rounding eat the ticket
      if (ticket < weight(i)) break;
      ticket -= weight(i);
    }
    assignment.levels[u] = options_[u][chosen];
    left -= grid_.steps[u][chosen];
  }
  if (!grid_.exact) TopUp(assignment, rng);
  return assignment;
}

// Spends what rounding to buckets has left, in random order.
void BudgetSampler::TopUp(Assignment& assignment, Rng& rng) const {
  const int kind = SteeringKind(*space_);
  int64_t slack = limit_ - Cost(*space_, assignment, kind);
  std::vector<size_t> order(options_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  bool raised = true;
  while (raised) {
    raised = false;
    rng.Shuffle(order);
    for (size_t u : order) {
      const auto& menu = space_->units[u].menu;
      const int64_t here = menu[assignment.levels[u]].costs[kind];
      for (uint16_t level : options_[u]) {
        const int64_t price = menu[level].costs[kind] - here;
        if (price <= 0) continue;
        if (price > slack) break;
        slack -= price;
        assignment.levels[u] = level;
        raised = true;
        break;
      }
    }
  }
}

}  // namespace evopress::search
