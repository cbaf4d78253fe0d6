// The `brute-force` strategy: measures every assignment of a small space, so
// that what other strategies find can be compared with the true best.
//
//   for each assignment, in lexicographic order, kRoundAssignments a round:
//     measure it on the same samples if budgets and group shares allow it
//   the winner is the best of all; ties go to the first
//
// A group may spend, beyond the most that it can spend within its share
// (group_shares.h), what all shares together cannot.
#ifndef EVOPRESS_SEARCH_BRUTE_FORCE_H_
#define EVOPRESS_SEARCH_BRUTE_FORCE_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "search/stepwise_strategy.h"
#include "search/strategy_options.h"

namespace evopress::search {

// Assignments of the space, allowed or not, that are looked at: at most.
inline constexpr int64_t kMaxBruteForce = int64_t{1} << 20;
// Measured in one round at most.
inline constexpr size_t kRoundAssignments = 256;

// InvalidArgument with count and limit if the space has more than
// kMaxBruteForce assignments.
absl::Status CheckOptions(const StrategyInput& input,
                          const BruteForceOptions& options);
// (assignment, sample) pairs measured; INT64_MAX of spaces that are refused.
int64_t PlannedSamples(const StrategyInput& input,
                       const BruteForceOptions& options);

// Start() fails with FailedPrecondition if no assignment meets all budgets.
std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const BruteForceOptions& options,
                                      StrategyIdentity identity);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_BRUTE_FORCE_H_
