// The `guided` strategy: measure what every layer's choice does, solve for the
// whole assignment, race the solutions, learn, repeat.
//
//   anchors   what others would return: uniform, dp, weighted dp, the one-shot
//             score of depth pruning, and whatever was given
//   scan      every unit alone lowered from the dearest assignment, where its
//             effect is clear: 1 measurement a unit, none where an archive has
//             it (inheritance.h)
//   descent   where there are modules: from the dearest assignment to the
//             budgets in a few steps, each a third of what is left, with every
//             module measured anew where the descent stands, dropped ones too
//             (floating backward elimination)
//   race      candidates are optima of what a surrogate believes (the effect
//             model of the layers, effect_model.h; modules as measured in the
//             incumbent, module_surrogate.h) and of draws from it, near the
//             incumbent (trust_region.h); nested sets of samples, fresh in
//             every race, drop most of them early; the last set decides between
//             what is left and the incumbent
//   decision  the incumbent against all anchors on samples that nothing before
//             has seen; an anchor wins unless the incumbent is significantly
//             better
//
// All measurements of a race teach the model before the next one. Rounds are
// logical barriers, so the number of workers cannot matter. Whatever the
// surrogate believes, the result is no worse on the decision's samples than any
// anchor.
//
// Sources: linearity of HIGGS (arXiv 2411.17525), random restarts in the space
// of sensitivities of SPDY (arXiv 2201.13096), successive halving, floating
// selection (Pudil, Novovicova, Kittler 1994).
#ifndef EVOPRESS_SEARCH_GUIDED_H_
#define EVOPRESS_SEARCH_GUIDED_H_

#include <functional>
#include <memory>

#include "search/guided_plan.h"
#include "search/measured.h"
#include "search/stepwise_strategy.h"
#include "search/strategy_options.h"
#include "search/surrogate.h"

namespace evopress::search {

// All that a surrogate may learn from. Views: that of
// `measured` lasts while it is learnt, all others as long as the surrogate.
struct Lesson {
  const SearchSpace& space;
  const Effects& errors;     // StrategyInput::layer_errors
  const Assignment& pivot;   // the start of the races, and
  const Assignment& center;  // where beliefs are asked for: both with a level
                             // that is meant for every unit, active or not
  const Measured& measured;
};
using LearnSurrogate =
    std::function<std::unique_ptr<Surrogate>(const Lesson& lesson)>;

// The strategy with a surrogate of one's own.
std::unique_ptr<Strategy> NewGuided(StrategyInput input,
                                    const GuidedOptions& options,
                                    StrategyIdentity identity,
                                    LearnSurrogate learn);
std::unique_ptr<Strategy> NewStrategy(StrategyInput input,
                                      const GuidedOptions& options,
                                      StrategyIdentity identity);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_GUIDED_H_
