// Draws assignments uniformly among those that spend as much of the steering
// budget as can be spent at all.
//
// A dynamic programme counts, for every suffix of units and every remaining
// amount, the ways to spend exactly that amount; drawing unit by unit with
// these weights is uniform. A dropped module counts as one way, whatever its
// members. Counts are doubles scaled by powers of two: IEEE additions only,
// hence the same on every machine.
#ifndef EVOPRESS_SEARCH_BUDGET_SAMPLER_H_
#define EVOPRESS_SEARCH_BUDGET_SAMPLER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "search/cost_grid.h"
#include "search/rng.h"
#include "search/space.h"

namespace evopress::search {

// Thread-safe once made. `space` must outlive it.
class BudgetSampler {
 public:
  static constexpr int64_t kMaxCells = int64_t{1} << 24;  // 128 MiB

  // Errors as MakeCostGrid().
  static absl::StatusOr<BudgetSampler> Make(const SearchSpace& space,
                                            Options options, int64_t limit);

  // Never costs more than `limit` of the steering kind; other budgets are the
  // caller's. If the grid is exact, spends as much as any choice can. Inactive
  // units take their first option.
  Assignment Draw(Rng& rng) const;

  bool exact() const { return grid_.exact; }

 private:
  BudgetSampler(const SearchSpace& space, Options options, int64_t limit,
                CostGrid grid);

  double& Ways(size_t place, int64_t amount) {
    return ways_[place * (grid_.capacity + 1) + amount];
  }
  // Ways to spend `after` from `place` on, in the scale of the row before it.
  double WaysAfter(size_t place, int64_t after, int exponent) const;
  // Where option i of the unit at `place` leads to: past a dropped module.
  size_t Next(size_t place, size_t i) const;
  void TopUp(Assignment& assignment, Rng& rng) const;

  const SearchSpace* space_;
  Options options_;
  int64_t limit_;
  CostGrid grid_;
  // [place][amount]: units from the grid's `place` on spend `amount`, divided
  // by two to the power of exponents_[place].
  std::vector<double> ways_;
  std::vector<int> exponents_;
  int64_t most_ = 0;  // the largest amount that can be spent
};

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_BUDGET_SAMPLER_H_
