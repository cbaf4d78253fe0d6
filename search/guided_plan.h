// How much the guided strategy measures: sizes of its races, bounds, checks of
// its options.
#ifndef EVOPRESS_SEARCH_GUIDED_PLAN_H_
#define EVOPRESS_SEARCH_GUIDED_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "search/strategy.h"
#include "search/strategy_options.h"

namespace evopress::search {

// Races in a row without a better incumbent that end the search.
inline constexpr int kPatience = 3;

// Solutions that go part of the way, measured beside the plain ones.
inline constexpr int kShyStarts = 2;

// How many of a race's contestants go on to its next stage: a quarter, and at
// least two.
size_t GoOn(size_t contestants);

// The stage of a race whose samples tell where to start.
size_t StartStage(const GuidedOptions& options);

// Samples that one race asks for at most.
int64_t SamplesOfRace(const SearchSpace& space, const GuidedOptions& options);

// Samples that the decision asks for at most.
int64_t SamplesOfDecision(const GuidedOptions& options);

// Samples that the scan of single units asks for, and that a search without
// races asks for in all, at most. REQUIRES: options that CheckOptions() accepts
// but for their max_samples, if input has an archive.
int64_t ScanSamples(const StrategyInput& input, const GuidedOptions& options);
int64_t LeastSamples(const StrategyInput& input, const GuidedOptions& options);

// How anchor i of the options is called.
std::string AnchorName(const GuidedOptions& options, size_t i);

absl::Status CheckOptions(const StrategyInput& input,
                          const GuidedOptions& options);
int64_t PlannedSamples(const StrategyInput& input,
                       const GuidedOptions& options);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_GUIDED_PLAN_H_
