// What every level choice adds to the fitness, learnt from measured pairs.
//
// The effect of unit u at level l, against the level of the pivot, the
// assignment around which the search works, is
//
//   e[u][l] = m[u][l] (1 + own z_u + side z_(type, side) + step z_(u, l))
//   m[u][l] = slope(type) (error[u][l] - error[u][pivot])
//
// with independent standard normal z: fitness is linear in relative layer
// errors with a slope of each unit's own (the linearity of HIGGS, arXiv
// 2411.17525), slopes of one type of layer (RoleName) resemble each other, and
// going dearer and going cheaper may differ by a common factor. Units near each
// other in the model also interact, u at l with v at k by
//
//   p[u][l][v][k] = pair sqrt(|m[u][l] m[v][k]|) z_(u, v, side u, side v)
//
// A raced pair of assignments sees the sum of what their levels differ in, plus
// noise: samples disagree about every effect (less with more samples), and much
// remains that is not additive (more with more changes). A probe, one unit
// lowered from the dearest assignment, sees that unit's effect alone and
// clearly, for next to the uncompressed model divergence has no slope that
// errors of other units could add to or cancel; but effects are smaller there,
// by one factor, which whole assignments measured from the same place tell.
// What follows for z is linear Gaussian regression.
//
// A module is a unit like any other; what lies in a dropped one counts as at
// the pivot's level, so that dropping it has one effect, whatever it held.
//
// Plain double arithmetic in a fixed order: equal input gives equal bits.
#ifndef EVOPRESS_SEARCH_EFFECT_MODEL_H_
#define EVOPRESS_SEARCH_EFFECT_MODEL_H_

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "search/measured.h"
#include "search/rng.h"
#include "search/space.h"
#include "search/surrogate.h"

namespace evopress::search {

class EffectModel;

// One belief of a model. Totals are against the pivot.
class Prediction : public Belief {
 public:
  Prediction(const EffectModel& model, const std::vector<double>& z);
  double Total(const Assignment& assignment) const override;
  Effects Around(const Assignment& center) const override;

 private:
  double PairEffect(size_t u, size_t l, size_t v, size_t k) const;

  const EffectModel* model_;
  std::vector<double> z_;
  Effects single_;
};

// Thread-safe once made; must outlive its predictions.
class EffectModel : public Surrogate {
 public:
  // Both measured; their difference is what is learnt from.
  using Pair = std::pair<Assignment, Assignment>;
  struct Pairs {
    std::vector<Pair> probes;  // one unit lowered, and the dearest assignment
    std::vector<Pair> wholes;  // any assignment, and the dearest one
    std::vector<Pair> races;   // any two
  };

  // Pairs that share no sample or are not finite teach nothing. All arguments
  // but `pairs` and `measured` must outlive the model.
  // REQUIRES: errors[u][l] for every unit and level; `pivot` in the space, with
  // a level that is meant for every unit, active or not; canonical pairs.
  EffectModel(const SearchSpace& space, const Effects& errors,
              const Assignment& pivot, const Measured& measured,
              const Pairs& pairs);

  std::unique_ptr<Belief> Expected() const override;
  // One sample of the posterior.
  std::unique_ptr<Belief> Draw(Rng& rng) const override;

 private:
  friend class Prediction;
  // Coefficients of components of z, in rising order.
  using Row = std::vector<std::pair<size_t, double>>;
  using Terms = std::map<size_t, double>;

  // Inactive units at the pivot's levels.
  Assignment Fill(const Assignment& assignment) const;
  void LearnSlopes(const Measured& measured, const Pairs& pairs);
  void Regress(const Measured& measured, const Pairs& pairs);
  // m[u][l].
  double Mean(size_t u, size_t l) const;
  void AddUnit(size_t u, size_t l, double sign, Terms& terms) const;
  void AddInteractions(const Assignment& assignment, double sign,
                       Terms& terms) const;
  // Of units u < v at levels other than the pivot's: component, coefficient.
  std::pair<size_t, double> Interaction(size_t u, size_t l, size_t v,
                                        size_t k) const;
  // Given residuals of the pairs, what they say about z.
  std::vector<double> Infer(const std::vector<double>& residuals) const;

  const SearchSpace& space_;
  const Effects& errors_;
  const Assignment& pivot_;
  std::vector<size_t> type_;  // of each unit
  size_t types_ = 0;
  std::vector<size_t> first_level_;  // component of (u, 0), then (u, 1), …
  size_t first_pair_ = 0;
  size_t components_ = 0;
  std::vector<double> slope_;  // of each type
  double own_ = 1;             // spread of slopes within a type
  double near_ = 1;            // effects here over those of probes
  std::vector<Row> rows_;      // of each pair used
  std::vector<double> noise_;  // standard deviation of each
  // Cholesky, lower, of the covariance of what was observed.
  std::vector<std::vector<double>> factor_;
  std::vector<double> posterior_;  // mean of z
};

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_EFFECT_MODEL_H_
