// From an assignment that is too dear to one within the budgets.
#ifndef EVOPRESS_SEARCH_DESCENT_H_
#define EVOPRESS_SEARCH_DESCENT_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "search/measured.h"
#include "search/space.h"
#include "search/surrogate.h"

namespace evopress::search {

// The best assignment, by `effects` around `from`, that saves at least a third
// of what `from` costs too much of every budget; within the budgets if `last`
// or if that is `from` itself. Canonical. Errors as SolveKnapsack().
// REQUIRES: a valid space with a budget; `from` in the space and canonical.
absl::StatusOr<Assignment> StepDown(const SearchSpace& space,
                                    const Effects& effects,
                                    const Assignment& from, bool last);

// What the strategy `greedy` returns where modules alone have a choice: those
// go that hurt least when they go alone. `samples` are those on which the
// dearest assignment and its ProbesOfModules() were measured.
// FailedPrecondition if that breaks a budget.
absl::StatusOr<Assignment> DropByScore(const SearchSpace& space,
                                       const Measured& measured,
                                       const std::vector<int32_t>& samples);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_DESCENT_H_
