// The `evopress` strategy: EvoPress as published (arXiv 2410.14649, Alg. 1).
//
//   parent = start point                               (start_point.h)
//   for each generation:
//     candidates = distinct offspring of the parent    (mutation.h)
//     for each selection stage:
//       the parent joins the candidates of the last stage
//       measure all on the same freshly drawn samples
//       candidates = the `survivors` best
//     parent = the only candidate left
//
// Elitist: the parent is replaced only by a child that is at least as good on
// the same samples (it holds the last slot, so that a tie lets the search
// drift). Stages that would select nothing are left out.
#ifndef EVOPRESS_SEARCH_EVOPRESS_H_
#define EVOPRESS_SEARCH_EVOPRESS_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "search/stepwise_strategy.h"
#include "search/strategy_options.h"

namespace evopress::search {

absl::Status CheckOptions(const StrategyInput& input,
                          const EvoPressOptions& options);
// (assignment, sample) pairs measured at most.
int64_t PlannedSamples(const StrategyInput& input,
                       const EvoPressOptions& options);

// If the start point has no legal switch, it is measured once and wins.
std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const EvoPressOptions& options,
                                      StrategyIdentity identity);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_EVOPRESS_H_
