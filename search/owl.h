// The `owl` strategy: Outlier Weighed Layerwise sparsity (arXiv 2310.05175).
// Measures nothing.
//
// Blocks whose activations have more outliers keep more weights. D is a block's
// outlier share (StrategyInput::scores); with the budget's mean density m, a
// unit of the block is to keep the share
//
//   m + 2 lambda (D - min D) / (max D - min D) - mean
//
// of its weights, where the mean of the second term over all weights makes the
// mean density m again: densities spread over a width of 2 lambda. Levels are
// discrete, so of all assignments that spend the budget in full, the one
// nearest to these shares is taken: the least sum over weights of the squared
// distance, by the programme of knapsack.h. Where groups bind (group_shares.h),
// each group keeps its own mean.
#ifndef EVOPRESS_SEARCH_OWL_H_
#define EVOPRESS_SEARCH_OWL_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "search/stepwise_strategy.h"
#include "search/strategy_options.h"

namespace evopress::search {

// The kind of cost that counts weights which are not pruned.
inline constexpr char kNonzerosKind[] = "nonzeros";

// FailedPrecondition unless the first budget is one of nonzeros, levels prune
// and there are no modules; InvalidArgument for a lambda outside (0, 0.5].
absl::Status CheckOptions(const StrategyInput& input,
                          const OwlOptions& options);
int64_t PlannedSamples(const StrategyInput& input, const OwlOptions& options);

// The share of its weights that each unit is to keep, as above, before levels
// are looked at. outliers[u] is D of the block of unit u. REQUIRES: a space
// that CheckOptions accepts.
std::vector<double> OwlDensities(const SearchSpace& space,
                                 const std::vector<double>& outliers,
                                 double lambda);

// Ends at Start() with fitness +infinity: not measured.
std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const OwlOptions& options,
                                      StrategyIdentity identity);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_OWL_H_
