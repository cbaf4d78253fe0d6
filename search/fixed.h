// The `fixed` strategy: measures given assignments on given samples.
#ifndef EVOPRESS_SEARCH_FIXED_H_
#define EVOPRESS_SEARCH_FIXED_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "search/stepwise_strategy.h"
#include "search/strategy_options.h"

namespace evopress::search {

absl::Status CheckOptions(const StrategyInput& input,
                          const FixedOptions& options);
// (assignment, sample) pairs measured at most.
int64_t PlannedSamples(const StrategyInput& input, const FixedOptions& options);

// One round; the winner is the best by (fitness, place in the list). Budgets
// are not looked at: what was given is measured.
std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const FixedOptions& options,
                                      StrategyIdentity identity);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_FIXED_H_
