// One search, several budgets: a winner for each limit of the steering budget.
//
// Any strategy runs under one limit after another, from the middle one down and
// then up, so that each has neighbours before it. Nothing is asked twice: what
// earlier limits measured answers later ones, and strategies that learn from an
// archive (StrategyInput::archive) are given it. `guided` so pays for its scan
// once, and races less where it has learnt: the first limit is searched as it
// would be alone, and each later one for three tenths of its tokens at most, or
// for what a search without races needs.
#ifndef EVOPRESS_SEARCH_PARETO_H_
#define EVOPRESS_SEARCH_PARETO_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "search/stepwise_strategy.h"
#include "search/strategy_options.h"

namespace evopress::search {

// Limits of one search at most.
inline constexpr size_t kMaxTargets = 64;

// InvalidArgument unless there are two targets or more, of different names and
// limits, the greatest of which is the space's, and tokens for all;
// FailedPrecondition if a limit is out of reach.
// REQUIRES: a valid space with a budget.
absl::Status CheckTargets(const StrategyInput& input,
                          const StrategyOptions& options);

// Samples that all searches together ask for at most.
int64_t PlannedParetoSamples(const StrategyInput& input,
                             const StrategyOptions& options);

// REQUIRES: what CheckTargets() accepts.
std::unique_ptr<Strategy> NewPareto(StrategyInput input,
                                    const StrategyOptions& options,
                                    StrategyIdentity identity);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_PARETO_H_
