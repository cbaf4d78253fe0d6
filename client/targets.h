// Lists of budgets on the command line: one search, a winner for each.
#ifndef EVOPRESS_CLIENT_TARGETS_H_
#define EVOPRESS_CLIENT_TARGETS_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/space_builder.h"
#include "search/space.h"
#include "search/strategy.h"

namespace evopress::client {

// SetBudgets() for options of which one may be a list, "2.5,3". The space gets
// the greatest limit; the targets, named as they were typed, are returned.
// Without a list there are none. InvalidArgument for texts that do not parse,
// for two lists, and for a list of a budget that does not steer.
absl::StatusOr<std::vector<search::Target>> SetTargets(
    const BudgetOptions& options, search::SearchSpace& space);

// The space under each target, or the space itself if there are none.
std::vector<search::SearchSpace> SpacesOf(
    const search::SearchSpace& space,
    const std::vector<search::Target>& targets);

// CheckBudgets() for each.
absl::Status CheckTargets(const search::SearchSpace& space,
                          const std::vector<search::Target>& targets);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_TARGETS_H_
