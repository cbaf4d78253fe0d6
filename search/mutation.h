// Level-switch mutation: the one move of EvoPress (arXiv 2410.14649, Alg. 1).
//
// A switch raises one unit and lowers another of the same group by exactly the
// same cost of the steering kind, so the budget holds by construction and is
// never repaired afterwards. At least one of the two moves to its next dearer
// or cheaper cost; where menus have equal steps, both do, as in the paper. A
// unit may also change sideways to a level of equal cost. Where there are
// modules, a switch may also be one of theirs (module_moves.h).
//
// Differences from the reference code, on purpose: a unit moves one way only
// within a child (switches cannot cancel out), and the number of tries is
// bounded, so that few distinct children are no endless loop.
#ifndef EVOPRESS_SEARCH_MUTATION_H_
#define EVOPRESS_SEARCH_MUTATION_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "search/rng.h"
#include "search/space.h"

namespace evopress::search {

// Tries to meet secondary budgets before SwitchLevels gives up, and children
// drawn for one slot before Offspring leaves it empty.
inline constexpr int kMaxTriesPerChild = 32;

// A child of `parent` after min(U{1…max_switches}, U{1…max_switches})
// switches, or fewer if no more are legal. It differs from `parent`, is
// canonical and has the same cost of the steering kind; if a module with a
// choice inside was resized, another cost within the budget.
// FailedPrecondition if `parent` admits no switch; ResourceExhausted if no try
// met the other budgets.
// REQUIRES: `parent` is canonical, within the first budget and lies in the
// valid `space`; max_switches >= 1.
absl::StatusOr<Assignment> SwitchLevels(const SearchSpace& space,
                                        const Assignment& parent,
                                        int max_switches, Rng& rng);

// Up to `count` distinct children in slot order; slot i draws from
// Rng(seed, round, i). Fewer where distinct children are hard to find, none
// where `parent` admits no switch.
std::vector<Assignment> Offspring(const SearchSpace& space,
                                  const Assignment& parent, int count,
                                  int max_switches, uint64_t seed,
                                  uint64_t round);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_MUTATION_H_
