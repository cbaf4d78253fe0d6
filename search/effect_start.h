// What the effect model (effect_model.h) learns from, and where its fit starts.
// Pure functions.
#ifndef EVOPRESS_SEARCH_EFFECT_START_H_
#define EVOPRESS_SEARCH_EFFECT_START_H_

#include <cstddef>
#include <vector>

#include "search/measured.h"
#include "search/space.h"
#include "search/surrogate.h"

namespace evopress::search {

// One value of `measured`.
struct EffectObservation {
  Assignment assignment;
  size_t number = 0;  // of the assignment
  size_t sample = 0;  // index among the samples of all observations
  double log_y = 0;
  double doubt = 1;    // factor of variances: samples of little weight
  bool probe = false;  // one unit alone is not at its dearest level
};

// Values that are positive and finite; of very many, those of single units and
// those nearest `pivot`. REQUIRES: canonical assignments in `measured`.
std::vector<EffectObservation> SelectObservations(const SearchSpace& space,
                                                  const Assignment& pivot,
                                                  const Measured& measured);

struct EffectGuess {
  std::vector<double> units;  // log c_u
  double rest = 0;            // log r
};

// What single units do tells their sensitivities at once; others are like those
// of their type. types[u]: a number below that of the units.
EffectGuess GuessEffects(const SearchSpace& space, const Effects& errors,
                         const std::vector<size_t>& types,
                         const std::vector<EffectObservation>& observations);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_EFFECT_START_H_
