// Where EvoPress begins.
//
// If a uniform level spends the budget exactly, the search starts there.
// Otherwise units are rounded at random down to the dearest uniform level
// within the budget or up to the next one, group by group (a later level
// switch cannot move budget between groups), so that the budget is spent as
// fully as possible; the best of several such candidates is the start.
//
// Where a later budget is the modules' alone ("a quarter must go, and the rest
// at 3 bits on average"), a candidate's modules are drawn first, under that
// budget, and what they leave is rounded as above.
#ifndef EVOPRESS_SEARCH_START_POINT_H_
#define EVOPRESS_SEARCH_START_POINT_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "search/space.h"

namespace evopress::search {

// Draws of one candidate until it meets all budgets and is new.
inline constexpr int kMaxTriesPerStart = 64;

// True if the search starts from several random candidates.
bool StartIsFractional(const SearchSpace& space);

// One uniform assignment, or 1…count distinct random ones within all budgets;
// candidate i draws from Rng(seed, 0, i). If random ones break another budget,
// the one that spends the most of the steering budget beside it (by pricing,
// knapsack.h). FailedPrecondition if none is found.
absl::StatusOr<std::vector<Assignment>> StartCandidates(
    const SearchSpace& space, int count, uint64_t seed);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_START_POINT_H_
