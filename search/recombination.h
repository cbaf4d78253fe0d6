// Crossover and mutation of a genetic algorithm under a budget.
//
// Both free some genes and draw them anew, uniformly among the choices with
// which every exchange group spends what it spends in the first parent (or as
// near below as there is: the parent itself is one of them). So the budget
// holds by construction and nothing is repaired or thrown away. On a cost grid
// that had to be rounded (cost_grid.h) a child may cost less, never more.
#ifndef EVOPRESS_SEARCH_RECOMBINATION_H_
#define EVOPRESS_SEARCH_RECOMBINATION_H_

#include "absl/status/statusor.h"
#include "search/rng.h"
#include "search/space.h"

namespace evopress::search {

// Uniform crossover: every gene is one of the two parents', and what lies in a
// module that one of them drops is the other's. Canonical; may equal either.
// REQUIRES: `first`, `second` in the valid `space`.
absl::StatusOr<Assignment> Crossover(const SearchSpace& space,
                                     const Assignment& first,
                                     const Assignment& second, Rng& rng);

// Every gene is free with probability `rate`, and so is what lies in a dropped
// module, should that be restored. Canonical; may equal the parent.
// REQUIRES: `parent` in the valid `space`.
absl::StatusOr<Assignment> Mutate(const SearchSpace& space,
                                  const Assignment& parent, double rate,
                                  Rng& rng);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_RECOMBINATION_H_
