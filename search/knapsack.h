// Exact multiple-choice knapsack by dynamic programming: one level per unit,
// total penalty minimal, cost within the steering budget (the programme of
// SPDY, arXiv 2201.13096). One programme per exchange group over its share of
// the budget (group_shares.h), then one over what the shares have left. A
// module is the better of dropping it at its own penalty and of keeping it with
// the best choice of its members.
//
// Exact in integers on a CostGrid; if that had to be rounded to buckets, the
// result still never exceeds the budget but may be slightly worse than the
// optimum. Ties go to cheaper levels of later units: the result is the same on
// every machine.
#ifndef EVOPRESS_SEARCH_KNAPSACK_H_
#define EVOPRESS_SEARCH_KNAPSACK_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "search/space.h"

namespace evopress::search {

// Cells of two bytes: one per unit and amount, and eight more per amount.
inline constexpr int64_t kMaxKnapsackCells = int64_t{1} << 26;  // 128 MiB

// penalties[u][l] for every unit and level, finite. The solution is canonical.
// FailedPrecondition if
// nothing meets the steering budget, or if the optimum breaks another budget
// (this programme knows only one); ResourceExhausted if the units alone exceed
// `max_cells`.
// REQUIRES: a valid space with a budget.
absl::StatusOr<Assignment> SolveKnapsack(
    const SearchSpace& space, const std::vector<std::vector<double>>& penalties,
    int64_t max_cells = kMaxKnapsackCells);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_KNAPSACK_H_
