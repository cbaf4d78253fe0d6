// What the guided strategy takes over from earlier measurements of the same
// space under any budgets (StrategyInput::archive).
//
// Probes of single units are lowered from the dearest assignment, which no
// budget moves: they hold everywhere. Those of modules a search measures
// itself: it ranks them by samples that all of them share. Other measurements
// become pairs: each assignment with the nearest one that was measured on all
// of its samples and more. In a race that is the incumbent, so that a pair is
// again a move that was tried. Pairs far from the budget are left out: effects
// change with the operating point.
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
  std::vector<EffectModel::Pair> probes;  // one unit lowered, and the dearest
  std::vector<bool> probed;               // [u]: that there is one of unit u
  std::vector<EffectModel::Pair> races;
  // The most measured assignments near the budget, whether they meet it or
  // not, nearest first: what earlier searches ended with.
  std::vector<Assignment> finalists;
};

// Nothing measured on the samples `without` is used.
Inheritance Inherit(const StrategyInput& input,
                    const std::vector<int32_t>& without);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_INHERITANCE_H_
