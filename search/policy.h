// A policy for the policy gradient: every unit chooses its level at random and
// alone, given that the budget is spent (groupwise_sampler.h).
#ifndef EVOPRESS_SEARCH_POLICY_H_
#define EVOPRESS_SEARCH_POLICY_H_

#include <deque>
#include <vector>

#include "absl/status/statusor.h"
#include "search/budget_projection.h"
#include "search/group_shares.h"
#include "search/space.h"

namespace evopress::search {

// Of every unit the level nearest to the budget's share of the whole half of
// the time, else one of its neighbours in the menu; projected onto the shares.
// REQUIRES: a valid space with a budget; shares = GroupShares(space).
Probabilities StartPolicy(const SearchSpace& space,
                          const std::vector<GroupShare>& shares);

// How much worse each draw of the last step is than the mean of all other
// draws of all `steps`: losses[t][k] of draw k, at least two in the last step.
// Leaving the draw itself out keeps the estimate below unbiased.
std::vector<double> Advantages(const std::deque<std::vector<double>>& losses);

// An estimate of the gradient of the expected loss in the logarithms of the
// policy's probabilities: the mean over draws k of
//   advantages[k] (1[draws[k] takes l for u] - marginals[u][l]),
// unbiased if `draws` come from the policy given the budget and `marginals`
// are its own. In the probabilities themselves it is the natural gradient.
Probabilities EstimateGradient(const std::vector<Assignment>& draws,
                               const std::vector<double>& advantages,
                               const Probabilities& marginals);

// The assignment within the budget that covers most of what the policy expects
// to spend: a unit's step from one level to the next is worth its cost times
// the probability that the policy goes beyond that level. With two levels
// these are the greatest scores. Errors as SolveKnapsack().
absl::StatusOr<Assignment> RoundPolicy(const SearchSpace& space,
                                       const Probabilities& policy);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_POLICY_H_
