#include "search/budget_sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace evopress::search {
namespace {

constexpr int kScale = 500;  // binary digits that a row is scaled down by

}  // namespace

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
      ways_(grid_.steps.size() * (grid_.capacity + 1)),
      exponents_(grid_.steps.size() + 1) {
  for (size_t place = grid_.order.size(); place-- > 0;) {
    const size_t u = grid_.order[place];
    // Members come first on the way down, so that their row has the greater
    // exponent of the two that a module may lead to.
    exponents_[place] = exponents_[place + 1];
    double largest = 0;
    for (int64_t amount = 0; amount <= grid_.capacity; ++amount) {
      double ways = 0;
      for (size_t i = 0; i < options_[u].size(); ++i) {
        ways += WaysAfter(Next(place, i), amount - grid_.steps[u][i],
                          exponents_[place]);
      }
      Ways(place, amount) = ways;
      largest = std::max(largest, ways);
    }
    // Only ratios within a row matter.
    if (largest > std::ldexp(1.0, kScale)) {
      exponents_[place] += kScale;
      for (int64_t amount = 0; amount <= grid_.capacity; ++amount) {
        Ways(place, amount) *= std::ldexp(1.0, -kScale);
      }
    }
  }
  most_ = grid_.capacity;
  while (most_ > 0 && !(Ways(0, most_) > 0)) --most_;
}

size_t BudgetSampler::Next(size_t place, size_t i) const {
  const bool dropped = options_[grid_.order[place]][i] == kDropped;
  return dropped ? grid_.end[place] : place + 1;
}

double BudgetSampler::WaysAfter(size_t place, int64_t after,
                                int exponent) const {
  if (after < 0) return 0;
  if (place == grid_.order.size()) {
    return after == 0 ? std::ldexp(1.0, -exponent) : 0.0;
  }
  const double ways = ways_[place * (grid_.capacity + 1) + after];
  const int shift = exponents_[place] - exponent;
  return shift == 0 ? ways : std::ldexp(ways, shift);
}

Assignment BudgetSampler::Draw(Rng& rng) const {
  Assignment assignment;
  for (const std::vector<uint16_t>& options : options_) {
    assignment.levels.push_back(options.front());
  }
  int64_t left = most_;
  for (size_t place = 0; place < grid_.order.size();) {
    const size_t u = grid_.order[place];
    const auto weight = [&](size_t i) {
      return WaysAfter(Next(place, i), left - grid_.steps[u][i],
                       exponents_[place + 1]);
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
    place = Next(place, chosen);
  }
  if (!grid_.exact) TopUp(assignment, rng);
  return assignment;
}

// Spends what rounding to buckets has left, in random order. What is dropped
// stays so.
void BudgetSampler::TopUp(Assignment& assignment, Rng& rng) const {
  const int kind = SteeringKind(*space_);
  int64_t slack = limit_ - Cost(*space_, assignment, kind);
  std::vector<size_t> order(options_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const std::vector<std::vector<size_t>> members = MembersOfModules(*space_);
  bool raised = true;
  while (raised) {
    raised = false;
    rng.Shuffle(order);
    for (size_t u : order) {
      if (!members[u].empty() || !IsActive(*space_, assignment, u)) continue;
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
