// The `policy-gradient` strategy: probabilities of levels, learned from forward
// passes alone ("Bypass back-propagation", arXiv 2406.10576), for any number of
// levels and any costs.
//
//   p = the start policy                                        (policy.h)
//   for each step:
//     a_1 … a_K ~ p, given that the budget is spent
//     L_k = fitness of a_k; all on the same freshly drawn samples
//     A_k = L_k - mean of the losses of the last `window` steps but L_k
//     g[u][l] = mean_k A_k (1[a_k[u] = l] - m[u][l]),  m: marginals of the
//     draws p = projection of p - rate g / rms(A)        (budget_projection.h)
//   measure the rounding of p, the best draw of the last step and the rounding
//   of the start policy; the best wins
//
// Every assignment that is measured meets all budgets. As draws are exactly
// those of p given that every group spends its share, g is an unbiased estimate
// for the expected loss of what is measured, whatever leftover of the shares
// raises at random afterwards. It is biased where draws are refused because of
// further budgets, and where the cost grid had to be rounded.
//
// Differences from the paper: draws are conditioned on the budget instead of
// meeting it on average; g is not divided by the standard deviations of the
// choices (this is the natural gradient, which keeps probabilities summing to
// one) but by the spread of the losses, so that `learning_rate` has no unit;
// the rate falls linearly, not as a cosine; the baseline is by default the
// other draws of the same step (the paper: window = 5), as losses of other
// steps are those of other samples.
#ifndef EVOPRESS_SEARCH_POLICY_GRADIENT_H_
#define EVOPRESS_SEARCH_POLICY_GRADIENT_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "search/stepwise_strategy.h"
#include "search/strategy_options.h"

namespace evopress::search {

absl::Status CheckOptions(const StrategyInput& input,
                          const PolicyGradientOptions& options);
// (assignment, sample) pairs measured at most.
int64_t PlannedSamples(const StrategyInput& input,
                       const PolicyGradientOptions& options);

// Start() fails with FailedPrecondition if no draw meets all budgets.
std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const PolicyGradientOptions& options,
                                      StrategyIdentity identity);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_POLICY_GRADIENT_H_
