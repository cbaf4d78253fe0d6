// The `guided` strategy: measure what every layer's choice does, solve for the
// whole assignment, race the solutions, learn, repeat.
//
//   anchors   what others would return: uniform, dp, weighted dp
//   scan      every unit alone lowered from the dearest assignment, where its
//             effect is clear: 1 measurement a unit, none where an archive has
//             it (inheritance.h); then some units of each
//             type together one level down and up around the best anchor: how
//             such effects add up under the budget
//   race      candidates are optima of the effect model (effect_model.h) and of
//             draws from it, near the incumbent (trust_region.h); nested sets
//             of samples, fresh in every race, drop most of them early; the
//             last set decides between what is left and the incumbent
//   decision  the incumbent against all anchors on samples that nothing before
//             has seen; an anchor wins unless the incumbent is significantly
//             better
//
// All measurements of a race teach the model before the next one. Rounds are
// logical barriers, so the number of workers cannot matter.
//
// Sources: linearity of HIGGS (arXiv 2411.17525), random restarts in the space
// of sensitivities of SPDY (arXiv 2201.13096), successive halving.
#ifndef EVOPRESS_SEARCH_GUIDED_H_
#define EVOPRESS_SEARCH_GUIDED_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "search/stepwise_strategy.h"
#include "search/strategy_options.h"

namespace evopress::search {

// Races in a row without a better incumbent that end the search.
inline constexpr int kPatience = 3;

// Samples that the scan of single units asks for, and that a search without
// races asks for in all, at most. REQUIRES: options that CheckOptions() accepts
// but for their max_samples.
int64_t ScanSamples(const StrategyInput& input, const GuidedOptions& options);
int64_t LeastSamples(const StrategyInput& input, const GuidedOptions& options);

absl::Status CheckOptions(const StrategyInput& input,
                          const GuidedOptions& options);
int64_t PlannedSamples(const StrategyInput& input,
                       const GuidedOptions& options);
std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const GuidedOptions& options,
                                      StrategyIdentity identity);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_GUIDED_H_
