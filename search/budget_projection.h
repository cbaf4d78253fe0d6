// Probabilities of levels whose expected cost is the budget.
#ifndef EVOPRESS_SEARCH_BUDGET_PROJECTION_H_
#define EVOPRESS_SEARCH_BUDGET_PROJECTION_H_

#include <vector>

#include "search/group_shares.h"
#include "search/space.h"

namespace evopress::search {

// [u][l]: probability that unit u takes level l.
using Probabilities = std::vector<std::vector<double>>;

// Probability that every unit keeps for all its levels alike: no level dies
// out, and every assignment stays possible.
inline constexpr double kLeastShare = 0.01;

// The probabilities nearest to `point` in the Euclidean sense: those of a unit
// sum to one, each is at least kLeastShare / levels, and the expected cost of
// every exchange group is its share (or as near as it can be).
//
// With a price v on cost, each unit alone is a projection of point - v cost
// onto its simplex, and the expected cost falls as v rises: v is found by
// bisection to the last bit (the projection of arXiv 2406.10576 for two levels
// of equal costs).
// REQUIRES: a valid space with a budget; shares = GroupShares(space); one
// finite value per unit and level.
Probabilities ProjectOntoShares(const SearchSpace& space,
                                const std::vector<GroupShare>& shares,
                                Probabilities point);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_BUDGET_PROJECTION_H_
