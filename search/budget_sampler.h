// Draws assignments among those that spend as much of the steering budget as
// can be spent at all: uniformly, or each with a probability proportional to
// the product of its choices' weights (independent choices, given the budget).
//
// A dynamic programme counts, for every suffix of units and every remaining
// amount, the ways to spend exactly that amount, each way counted by its
// weight; drawing unit by unit with these counts gives every assignment its
// probability. A dropped module counts as one way, whatever its members. Counts
// are doubles scaled by powers of two: IEEE additions and products only, hence
// the same on every machine.
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
  // caller's. If the grid is exact, spends as much as any choice can. Inactive
  // units take their first option.
  Assignment Draw(Rng& rng) const;

  // [u][i]: the probability that Draw() takes options[u][i], before it tops up
  // what an inexact grid has left. REQUIRES: a space without modules.
  Weights Marginals() const;

  bool exact() const { return grid_.exact; }

 private:
  BudgetSampler(const SearchSpace& space, Options options, int64_t limit,
                CostGrid grid, Weights weights);

  double& Ways(size_t place, int64_t amount) {
    return ways_[place * (grid_.capacity + 1) + amount];
  }
  // Where option i of the unit at `place` leads to: past a dropped module.
  size_t Next(size_t place, size_t i) const;
  // The scale in which ways from `place` on are added up: the greater of those
  // of the rows that it leads to, so that neither overflows.
  int Scale(size_t place) const;
  // Ways to spend `left` if the unit at `place` takes option i, in Scale().
  double WaysAfter(size_t place, size_t i, int64_t left) const;
  void TopUp(Assignment& assignment, Rng& rng) const;

  const SearchSpace* space_;
  Options options_;
  int64_t limit_;
  CostGrid grid_;
  Weights weights_;
  // [place][amount]: units from the grid's `place` on spend `amount`, divided
  // by two to the power of exponents_[place].
  std::vector<double> ways_;
  std::vector<int> exponents_;
  int64_t most_ = 0;  // the largest amount that can be spent
};

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_BUDGET_SAMPLER_H_
