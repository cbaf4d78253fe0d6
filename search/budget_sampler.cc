#include "search/budget_sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace evopress::search {
namespace {

constexpr int kScale = 400;  // binary digits that a row is scaled by

// Keeps a row far from overflow and underflow, as only ratios within it matter:
// divides it by two to the power of what is returned.
int Rescale(double* row, int64_t width) {
  const double largest = *std::max_element(row, row + width);
  int digits = 0;
  if (largest > std::ldexp(1.0, kScale)) digits = kScale;
  if (largest > 0 && largest < std::ldexp(1.0, -kScale)) digits = -kScale;
  if (digits == 0) return 0;
  for (int64_t amount = 0; amount < width; ++amount) {
    row[amount] = std::ldexp(row[amount], -digits);
  }
  return digits;
}

Weights Ones(const Options& options) {
  Weights weights;
  for (const std::vector<uint16_t>& levels : options) {
    weights.emplace_back(levels.size(), 1.0);
  }
  return weights;
}

}  // namespace

absl::StatusOr<BudgetSampler> BudgetSampler::Make(const SearchSpace& space,
                                                  Options options,
                                                  int64_t limit,
                                                  Weights weights) {
  absl::StatusOr<CostGrid> grid =
      MakeCostGrid(space, options, limit,
                   kMaxCells / static_cast<int64_t>(space.units.size()));
  if (!grid.ok()) return grid.status();
  if (weights.empty()) weights = Ones(options);
  return BudgetSampler(space, std::move(options), limit, *std::move(grid),
                       std::move(weights));
}

BudgetSampler::BudgetSampler(const SearchSpace& space, Options options,
                             int64_t limit, CostGrid grid, Weights weights)
    : space_(&space),
      options_(std::move(options)),
      limit_(limit),
      grid_(std::move(grid)),
      weights_(std::move(weights)),
      ways_(grid_.steps.size() * (grid_.capacity + 1)),
      exponents_(grid_.steps.size() + 1) {
  for (size_t place = grid_.order.size(); place-- > 0;) {
    const size_t options = options_[grid_.order[place]].size();
    for (int64_t amount = 0; amount <= grid_.capacity; ++amount) {
      double ways = 0;
      for (size_t i = 0; i < options; ++i) ways += WaysAfter(place, i, amount);
      Ways(place, amount) = ways;
    }
    exponents_[place] =
        Scale(place) + Rescale(&Ways(place, 0), grid_.capacity + 1);
  }
  most_ = grid_.capacity;
  while (most_ > 0 && !(Ways(0, most_) > 0)) --most_;
}

size_t BudgetSampler::Next(size_t place, size_t i) const {
  const bool dropped = options_[grid_.order[place]][i] == kDropped;
  return dropped ? grid_.end[place] : place + 1;
}

int BudgetSampler::Scale(size_t place) const {
  return std::max(exponents_[place + 1], exponents_[grid_.end[place]]);
}

double BudgetSampler::WaysAfter(size_t place, size_t i, int64_t left) const {
  const size_t u = grid_.order[place];
  const int64_t after = left - grid_.steps[u][i];
  if (after < 0) return 0;
  const size_t next = Next(place, i);
  const double ways = next < grid_.order.size()
                          ? ways_[next * (grid_.capacity + 1) + after]
                      : after == 0 ? 1.0
                                   : 0.0;
  const int shift = exponents_[next] - Scale(place);
  return weights_[u][i] * (shift == 0 ? ways : std::ldexp(ways, shift));
}

Assignment BudgetSampler::Draw(Rng& rng) const {
  Assignment assignment;
  for (const std::vector<uint16_t>& options : options_) {
    assignment.levels.push_back(options.front());
  }
  int64_t left = most_;
  for (size_t place = 0; place < grid_.order.size();) {
    const size_t u = grid_.order[place];
    const auto weight = [&](size_t i) { return WaysAfter(place, i, left); };
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

Weights BudgetSampler::Marginals() const {
  // before[amount]: ways of the units before u to spend `amount`.
  const size_t width = static_cast<size_t>(most_) + 1;
  std::vector<double> before(width, 0.0), next(width);
  before[0] = 1;
  Weights marginals;
  for (size_t u = 0; u < options_.size(); ++u) {
    std::vector<double>& chosen =
        marginals.emplace_back(options_[u].size(), 0.0);
    std::fill(next.begin(), next.end(), 0.0);
    for (int64_t spent = 0; spent <= most_; ++spent) {
      if (!(before[spent] > 0)) continue;
      for (size_t i = 0; i < chosen.size(); ++i) {
        const int64_t after = spent + grid_.steps[u][i];
        if (after > most_) continue;
        chosen[i] += before[spent] * WaysAfter(u, i, most_ - spent);
        next[after] += before[spent] * weights_[u][i];
      }
    }
    double total = 0;
    for (double ways : chosen) total += ways;
    for (double& ways : chosen) ways /= total;
    Rescale(next.data(), static_cast<int64_t>(width));
    std::swap(before, next);
  }
  return marginals;
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
