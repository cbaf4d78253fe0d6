// The best assignment that does not stray far: linear predictions hold near
// where they were made.
#ifndef EVOPRESS_SEARCH_TRUST_REGION_H_
#define EVOPRESS_SEARCH_TRUST_REGION_H_

#include "absl/status/statusor.h"
#include "search/effect_model.h"
#include "search/space.h"

namespace evopress::search {

// Units that are active in both and whose levels differ.
int Changes(const SearchSpace& space, const Assignment& a, const Assignment& b);

// Of the assignments within the budgets, one of least predicted effects among
// those with few enough changes from `center`: `reach` (0…1) of the way from
// the fewest that the budget allows to those of the unrestricted optimum. The
// number of changes is steered by a price per change, found by bisection, so
// it may stay below what was asked. Errors as SolveKnapsack().
// REQUIRES: a valid space with a budget; `center` in the space, within the
// budget or not, with a level that is meant for every unit, active or not.
absl::StatusOr<Assignment> SolveWithinReach(const SearchSpace& space,
                                            const Effects& effects,
                                            const Assignment& center,
                                            double reach);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_TRUST_REGION_H_
