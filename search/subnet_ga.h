// The `subnet-ga` strategy: the genetic algorithm of "Search for Efficient
// Large Language Models" (arXiv 2409.17372), its genes being levels.
//
//   measure `population` assignments: the start points and mutants of them
//   for each generation:
//     parents = the best `parents` of all measured so far
//     children = `crossovers` by uniform crossover of two random parents,
//                the others by mutation of a random parent (recombination.h)
//     measure those children that are new, on the same samples as all before
//   the winner is the best of all
//
// Elitist: a parent is replaced only by a better child. Differences from the
// paper: children keep the budget by construction instead of being rejected
// outside a window of sizes; no fresh random members (there one in ten); the
// paper's second step, which reforms the weights, is none of the search's.
#ifndef EVOPRESS_SEARCH_SUBNET_GA_H_
#define EVOPRESS_SEARCH_SUBNET_GA_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "search/stepwise_strategy.h"
#include "search/strategy_options.h"

namespace evopress::search {

absl::Status CheckOptions(const StrategyInput& input,
                          const SubnetGaOptions& options);
// (assignment, sample) pairs measured at most.
int64_t PlannedSamples(const StrategyInput& input,
                       const SubnetGaOptions& options);

// Generations without a new child are skipped. Start() fails with
// FailedPrecondition if no start point meets all budgets (start_point.h).
std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const SubnetGaOptions& options,
                                      StrategyIdentity identity);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_SUBNET_GA_H_
