// What the guided strategy races next: assignments that a surrogate calls good,
// near the incumbent.
#ifndef EVOPRESS_SEARCH_PROPOSALS_H_
#define EVOPRESS_SEARCH_PROPOSALS_H_

#include <cstdint>
#include <set>
#include <vector>

#include "search/space.h"
#include "search/surrogate.h"

namespace evopress::search {

struct ProposalOptions {
  int count = 16;    // candidates at most
  double reach = 1;  // of the boldest, see trust_region.h
  uint64_t seed = 0;
  int64_t race = 0;  // candidates of different races differ
};

// Distinct candidates within the budgets, none of them in `known`: first
// optima of the expected effects at falling reach, then of draws from the
// surrogate, and for a quarter of the places the best of many children by level
// switches (mutation.h). Fewer than asked where little is new.
// REQUIRES: `center` in the space and, without inactive units, within the
// budgets; it has a level that is meant for every unit, active or not.
std::vector<Assignment> Propose(const SearchSpace& space,
                                const Surrogate& surrogate,
                                const Assignment& center,
                                const std::set<Assignment>& known,
                                const ProposalOptions& options);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_PROPOSALS_H_
