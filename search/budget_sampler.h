// Draws assignments among those that spend as much of the steering budget as
// can be spent at all: uniformly, or each with a probability proportional to
// the product of its choices' weights (independent choices, given the budget).
//
// A dynamic programme counts, for every suffix of units and every remaining
// amount, the ways to spend exactly that amount, each way counted by its
// weight; drawing unit by unit with these counts gives every assignment its
// probability. Counts are doubles scaled by powers of two: IEEE additions and
// products only, hence the same on every machine.
#ifndef EVOPRESS_SEARCH_BUDGET_SAMPLER_H_
#define EVOPRESS_SEARCH_BUDGET_SAMPLER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "search/cost_grid.h"
#include "search/rng.h"
#include "search/space.h"

namespace evopress::search {

// weights[u][i] of options[u][i]: positive and finite.
using Weights = std::vector<std::vector<double>>;

// Thread-safe once made. `space` must outlive it.
class BudgetSampler {
 public:
  static constexpr int64_t kMaxCells = int64_t{1} << 24;  // 128 MiB

  // All options weigh the same without `weights`. Errors as MakeCostGrid().
  static absl::StatusOr<BudgetSampler> Make(const SearchSpace& space,
                                            Options options, int64_t limit,
                                            Weights weights = {});

  // Never costs more than `limit` of the steering kind; other budgets are the
  // caller's. If the grid is exact, spends as much as any choice can.
  Assignment Draw(Rng& rng) const;

  // [u][i]: the probability that Draw() takes options[u][i], before it tops up
  // what an inexact grid has left.
  Weights Marginals() const;

  bool exact() const { return grid_.exact; }

 private:
  BudgetSampler(const SearchSpace& space, Options options, int64_t limit,
                CostGrid grid, Weights weights);

  double& Ways(size_t unit, int64_t amount) {
    return ways_[unit * (grid_.capacity + 1) + amount];
  }
  double Ways(size_t unit, int64_t amount) const {
    return ways_[unit * (grid_.capacity + 1) + amount];
  }
  // Of units unit + 1… when `unit` takes option `i` and `left` was left.
  double WaysAfter(size_t unit, size_t i, int64_t left) const;
  void TopUp(Assignment& assignment, Rng& rng) const;

  const SearchSpace* space_;
  Options options_;
  int64_t limit_;
  CostGrid grid_;
  Weights weights_;
  std::vector<double> ways_;  // [unit][amount]: units unit… spend `amount`
  int64_t most_ = 0;          // the largest amount that can be spent
};

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_BUDGET_SAMPLER_H_
