// The `greedy` strategy: from the dearest assignment, repeatedly lower the unit
// whose step costs the least measured fitness per unit of cost.
//
// Round 1 measures the dearest assignment and every unit alone at each of its
// other levels; the descent then uses these numbers (as if damage simply added
// up), in every exchange group down to its share (group_shares.h) and on until
// all budgets hold. Round 2 measures the result on the same samples. Where only
// modules are searched this is the one-shot score of depth pruning: drop those
// that hurt least alone (Shortened LLaMA, arXiv 2402.02834, with perplexity).
#ifndef EVOPRESS_SEARCH_GREEDY_H_
#define EVOPRESS_SEARCH_GREEDY_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "search/stepwise_strategy.h"
#include "search/strategy_options.h"

namespace evopress::search {

absl::Status CheckOptions(const StrategyInput& input,
                          const GreedyOptions& options);
// (assignment, sample) pairs measured at most.
int64_t PlannedSamples(const StrategyInput& input,
                       const GreedyOptions& options);

// The descent: damage[u][l] is the fitness with unit u alone at level l. Ties
// go to the first unit. Canonical. FailedPrecondition if no step is left and a
// budget is still broken.
absl::StatusOr<Assignment> Descend(
    const SearchSpace& space, const std::vector<std::vector<double>>& damage);

std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const GreedyOptions& options,
                                      StrategyIdentity identity);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_GREEDY_H_
