// What each exchange group may spend of the steering budget.
//
// A level switch cannot move budget between groups (mutation.h), so whatever a
// group spends at the start of a search it spends for good. Strategies that
// fill a budget instead of trading within it keep to the same shares, as the
// dynamic programme of EvoPress's own code does (one per group): otherwise a
// job's group rule would bind one strategy and not the other. A job that may
// move budget everywhere says so: group rule "none".
#ifndef EVOPRESS_SEARCH_GROUP_SHARES_H_
#define EVOPRESS_SEARCH_GROUP_SHARES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "search/cost_grid.h"
#include "search/space.h"
#include "search/uniform.h"

namespace evopress::search {

// The two uniform assignments around the steering budget: the dearest one
// within it and the next dearer one.
struct UniformBracket {
  UniformAssignment floor;
  UniformAssignment ceiling;
};

// None if the budget is below or above all uniform assignments.
std::optional<UniformBracket> FindBracket(const SearchSpace& space);

struct GroupShare {
  std::vector<size_t> units;  // in rising order
  int64_t limit = 0;          // steering cost of these units together
};

// Every unit is in one share. All groups go the same part of the way from the
// floor of the bracket to its ceiling, rounded down. Without a bracket, or if
// members of modules have a choice, there is one share of all.
// REQUIRES: a valid space with a budget.
std::vector<GroupShare> GroupShares(const SearchSpace& space);

// Steering cost of a share's active units. REQUIRES: valid arguments.
int64_t Spent(const SearchSpace& space, const GroupShare& share,
              const Assignment& assignment);

// A budget for the units of one share alone: all others have one choice left,
// the first of their options.
struct ShareProblem {
  Options options;
  int64_t limit = 0;  // steering cost of the whole assignment
};
ShareProblem Isolate(const SearchSpace& space, const Options& options,
                     const GroupShare& share);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_GROUP_SHARES_H_
