// Costs as small integers, so that dynamic programmes over a budget fit into
// memory.
//
// Of every unit the cheapest option is free; what the others cost more is
// divided by the greatest common divisor of all these differences. That is
// exact. Only if the table would exceed a named bound, costs are rounded up to
// coarser buckets: a solution on the grid then never exceeds the real budget,
// but may leave up to one bucket per unit of it unspent.
//
// A module that is kept pays for the cheapest options of its members with its
// own step, so that a dropped one takes a step of 0 and its members none.
#ifndef EVOPRESS_SEARCH_COST_GRID_H_
#define EVOPRESS_SEARCH_COST_GRID_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "search/space.h"

namespace evopress::search {

// options[u]: level indices that unit u may take here, in rising cost.
using Options = std::vector<std::vector<uint16_t>>;

// Every level of every unit.
Options AllOptions(const SearchSpace& space);

struct CostGrid {
  std::vector<std::vector<int64_t>> steps;  // [u][i], of options[u][i]
  // Every unit once: as they are, but modules directly before their members.
  std::vector<size_t> order;
  // [place in `order`]: one past the unit, or past the members of a module.
  std::vector<size_t> end;
  int64_t capacity = 0;  // the sum of steps may reach this
  int64_t step = 1;      // cost of one step
  bool exact = true;     // false if rounded to buckets
};

// A grid of the steering kind for `limit`, with capacity < `max_columns`.
// FailedPrecondition if the cheapest options exceed `limit`; ResourceExhausted
// if max_columns < 2 (callers divide a memory bound by the number of units).
// REQUIRES: valid space; one non-empty option list per unit.
absl::StatusOr<CostGrid> MakeCostGrid(const SearchSpace& space,
                                      const Options& options, int64_t limit,
                                      int64_t max_columns);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_COST_GRID_H_
