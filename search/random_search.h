// The `random` strategy: the best of random assignments that spend the budget
// as fully as possible, group by group (groupwise_sampler.h), all measured on
// the same samples.
#ifndef EVOPRESS_SEARCH_RANDOM_SEARCH_H_
#define EVOPRESS_SEARCH_RANDOM_SEARCH_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "search/stepwise_strategy.h"
#include "search/strategy_options.h"

namespace evopress::search {

absl::Status CheckOptions(const StrategyInput& input,
                          const RandomOptions& options);
// (assignment, sample) pairs measured at most.
int64_t PlannedSamples(const StrategyInput& input,
                       const RandomOptions& options);

// One round of up to `candidates` distinct assignments within all budgets.
// Start() fails with FailedPrecondition if none is found.
std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const RandomOptions& options,
                                      StrategyIdentity identity);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_RANDOM_SEARCH_H_
