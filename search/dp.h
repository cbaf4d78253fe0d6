// The `dp` strategy: the knapsack on relative layer errors. Measures nothing.
#ifndef EVOPRESS_SEARCH_DP_H_
#define EVOPRESS_SEARCH_DP_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "search/stepwise_strategy.h"
#include "search/strategy_options.h"

namespace evopress::search {

absl::Status CheckOptions(const StrategyInput& input, const DpOptions& options);
int64_t PlannedSamples(const StrategyInput& input, const DpOptions& options);

// Ends at Start() with fitness +infinity: not measured.
std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const DpOptions& options,
                                      StrategyIdentity identity);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_DP_H_
