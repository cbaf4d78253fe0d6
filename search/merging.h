// Good changes of several candidates in one.
#ifndef EVOPRESS_SEARCH_MERGING_H_
#define EVOPRESS_SEARCH_MERGING_H_

#include <vector>

#include "absl/status/statusor.h"
#include "search/space.h"
#include "search/surrogate.h"

namespace evopress::search {

// `base` with what each winner changes of it; where winners disagree the first
// one is right. If that breaks a budget, as few further units as possible
// change, those that `belief` says hurt least. Canonical, within the budgets.
// Errors as SolveKnapsack().
// REQUIRES: all within a valid space with a budget; `base` has a level that is
// meant for every unit, active or not.
absl::StatusOr<Assignment> Merge(const SearchSpace& space,
                                 const Assignment& base,
                                 const std::vector<Assignment>& winners,
                                 const Belief& belief);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_MERGING_H_
