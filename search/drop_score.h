// The `drop-score` strategy: drops modules by what they do to the hidden states
// of the uncompressed model. Measures nothing.
//
// kCosine is the block influence of ShortGPT (arXiv 2403.03853), 1 - cosine of
// the states before and after; kMagnitude the relative magnitude ||f(x)|| /
// ||x + f(x)|| that it is compared with there. The modules of the least sum of
// scores go. kWindows drops one run of blocks, the one whose states before and
// after have the least angle between them ("The Unreasonable Ineffectiveness of
// the Deeper Layers", arXiv 2403.17887), as short as the budgets let it be.
#ifndef EVOPRESS_SEARCH_DROP_SCORE_H_
#define EVOPRESS_SEARCH_DROP_SCORE_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "search/stepwise_strategy.h"
#include "search/strategy_options.h"

namespace evopress::search {

// FailedPrecondition unless modules are all that can be chosen, and for
// kWindows unless they are whole blocks; InvalidArgument for a score that is
// not one of modules, or windows that are not scored.
absl::Status CheckOptions(const StrategyInput& input,
                          const DropScoreOptions& options);
int64_t PlannedSamples(const StrategyInput& input,
                       const DropScoreOptions& options);

// Ends at Start() with fitness +infinity: not measured.
std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const DropScoreOptions& options,
                                      StrategyIdentity identity);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_DROP_SCORE_H_
