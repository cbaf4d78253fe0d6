// How much the guided strategy measures: sizes of its races, bounds, checks of
// its options.
#ifndef EVOPRESS_SEARCH_GUIDED_PLAN_H_
#define EVOPRESS_SEARCH_GUIDED_PLAN_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "search/strategy.h"
#include "search/strategy_options.h"

namespace evopress::search {

// Races in a row without a better incumbent that end the search.
inline constexpr int kPatience = 3;

// How many of a race's contestants go on to its next stage: a quarter, and at
// least two.
size_t GoOn(size_t contestants);

// Samples that one race asks for at most.
int64_t SamplesOfRace(const SearchSpace& space, const GuidedOptions& options);

// Samples that the decision asks for at most.
int64_t SamplesOfDecision(const GuidedOptions& options);

absl::Status CheckOptions(const StrategyInput& input,
                          const GuidedOptions& options);
int64_t PlannedSamples(const StrategyInput& input,
                       const GuidedOptions& options);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_GUIDED_PLAN_H_
