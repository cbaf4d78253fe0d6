// What the guided strategy measures to learn effects, before and beside races.
// All probes are canonical and differ from what they probe.
#ifndef EVOPRESS_SEARCH_PROBES_H_
#define EVOPRESS_SEARCH_PROBES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "search/space.h"

namespace evopress::search {

int64_t CountModules(const SearchSpace& space);

// The levels that units of a dropped module count with, should it be restored:
// those nearest the budget's share.
std::vector<uint16_t> RestoredLevels(const SearchSpace& space);

// The dearest assignment with every unit alone at the level below the one
// nearest the target: what is at stake when it is lowered. In unit order, but
// for units that have no choice and those known[u]; no `known`: none.
// REQUIRES: a valid space with a budget.
std::vector<Assignment> ProbesOfUnits(const SearchSpace& space,
                                      const std::vector<bool>& known = {});

// `center` with one module dropped or restored, in unit order.
// REQUIRES: `center` in the space, with a level that is meant for every unit,
// active or not.
struct ModuleProbe {
  size_t module = 0;
  Assignment assignment;
};
std::vector<ModuleProbe> ProbesOfModules(const SearchSpace& space,
                                         const Assignment& center);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_PROBES_H_
