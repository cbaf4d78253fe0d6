// What the guided strategy takes over from earlier measurements of the same
// space under any budgets (StrategyInput::archive).
//
// Probes of single units are lowered from the dearest assignment, which no
// budget moves: they hold everywhere and need not be measured again. Those of
// modules a search measures itself: it ranks them by samples that all of them
// share. What earlier searches near the budget ended with is raced again.
// (Measurements themselves are learnt from wherever they come from,
// effect_model.h.)
//
// Pure functions.
#ifndef EVOPRESS_SEARCH_INHERITANCE_H_
#define EVOPRESS_SEARCH_INHERITANCE_H_

#include <cstdint>
#include <vector>

#include "search/effect_model.h"
#include "search/strategy.h"

namespace evopress::search {

struct Inheritance {
  std::vector<bool> probed;  // [u]: that there is a probe of unit u
  // The most measured assignments near the budget, whether they meet it or
  // not, nearest first: what earlier searches ended with.
  std::vector<Assignment> finalists;
};

// Nothing measured on the samples `without` is used.
Inheritance Inherit(const StrategyInput& input,
                    const std::vector<int32_t>& without);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_INHERITANCE_H_
