// What the guided strategy measures to learn effects, before and beside races.
#ifndef EVOPRESS_SEARCH_PROBES_H_
#define EVOPRESS_SEARCH_PROBES_H_

#include <cstdint>
#include <vector>

#include "search/space.h"

namespace evopress::search {

// Units that have a choice: as many probes are of one unit each.
int64_t CountProbes(const SearchSpace& space);

// Types (RoleName) of units that have a choice.
int64_t CountTypes(const SearchSpace& space);

// The dearest assignment with every unit alone at the level below the one
// nearest the target: what is at stake when it is lowered. In unit order.
// REQUIRES: a valid space with a budget.
std::vector<Assignment> ProbesOfUnits(const SearchSpace& space);

// What whole types of units do around `center`: some of each moved one level
// down or up together. Single units would drown in the errors of all others.
// At most two a type. REQUIRES: `center` in the space.
std::vector<Assignment> ProbesOfTypes(const SearchSpace& space,
                                      const Assignment& center);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_PROBES_H_
