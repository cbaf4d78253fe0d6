// Exact multiple-choice knapsack by dynamic programming: one level per unit,
// total penalty minimal, cost within the steering budget (the programme of
// SPDY, arXiv 2201.13096). One programme per exchange group over its share of
// the budget (group_shares.h), then one over what the shares have left. A
// module is the better of dropping it at its own penalty and of keeping it with
// the best choice of its members.
//
// Exact in integers on a CostGrid; if that had to be rounded to buckets, the
// result still never exceeds the budget but may be slightly worse than the
// optimum; single units then take up what rounding has left. Ties go to cheaper
// levels of later units: the result is the same on every machine.
//
// Further budgets get prices (Lagrange multipliers, by bisection, one budget at
// a time) that are added to the penalties until the programme's optimum meets
// them; single units again take up what is left. The result meets all budgets
// exactly; it may miss the optimum by about what one unit's choice is worth.
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
// FailedPrecondition if nothing meets the steering budget, or if nothing is
// found that meets the others beside it; ResourceExhausted if the units alone
// exceed `max_cells`.
// REQUIRES: a valid space with a budget.
absl::StatusOr<Assignment> SolveKnapsack(
    const SearchSpace& space, const std::vector<std::vector<double>>& penalties,
    int64_t max_cells = kMaxKnapsackCells);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_KNAPSACK_H_
