// The `weighted-dp` strategy: the knapsack on layer errors weighted by measured
// sensitivities (the linearity of HIGGS, arXiv 2411.17525).
//
// Round 1 measures the dearest assignment and every unit alone at its level
// nearest the target. A unit's weight is the fitness it adds per unit of
// relative error (0 if it adds none); a probe that cannot be measured counts
// kUnmeasurable times the greatest measured weight. Round 2 measures the
// result on the same samples.
#ifndef EVOPRESS_SEARCH_WEIGHTED_DP_H_
#define EVOPRESS_SEARCH_WEIGHTED_DP_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "search/stepwise_strategy.h"
#include "search/strategy_options.h"

namespace evopress::search {

inline constexpr double kUnmeasurable = 10;

absl::Status CheckOptions(const StrategyInput& input,
                          const WeightedDpOptions& options);
// (assignment, sample) pairs measured at most.
int64_t PlannedSamples(const StrategyInput& input,
                       const WeightedDpOptions& options);

// Of every unit the level, below the dearest, whose share of the dearest cost
// is nearest to the budget's share of the whole; the only one if it has one.
std::vector<uint16_t> ProbeLevels(const SearchSpace& space);

std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const WeightedDpOptions& options,
                                      StrategyIdentity identity);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_WEIGHTED_DP_H_
