// What every level choice adds to the fitness, learnt from all measurements.
//
// Divergence adds up over units and is proportional to their relative errors,
// from the dearest assignment to the cheapest (the linearity of HIGGS, arXiv
// 2411.17525): assignment a on sample s measures
//
//   y(a, s) = b_s V(a) (V(a) / V(dearest))^q
//   V(a)    = r + sum over units u of c_u t_(u, a_u) error[u][a_u]
//
// with a scale b_s of the sample, a sensitivity c_u of the unit, a factor t of
// each of its levels, and a rest r that no error explains; q, near 0, is how
// far the whole deviates from linearity. Sensitivities span orders of
// magnitude, so all are learnt as logarithms: those of one type of layer
// (RoleName) spread around a common mean. Units near each other in the model
// also interact, which adds to V, for u at l with v at k,
//
//   p(u, l, v, k) = pair sqrt(|D_u D_v|) z_(u, v, side of l, side of k)
//
// where D is how V changes when the unit leaves the level of the pivot, and
// the side tells in which direction it leaves.
//
// Samples disagree: on each one, every sensitivity strays by a factor of its
// own. That error is the same for all assignments that share the sample and
// the unit, so that differences between them on one sample are far surer than
// their values. What follows for all unknowns is a Gaussian process in log y,
// linearized at its own solution (Gauss-Newton).
//
// A module is a unit like any other; what lies in a dropped one adds nothing.
//
// Plain double arithmetic in a fixed order: equal input gives equal bits.
#ifndef EVOPRESS_SEARCH_EFFECT_MODEL_H_
#define EVOPRESS_SEARCH_EFFECT_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "search/cholesky.h"
#include "search/effect_start.h"
#include "search/measured.h"
#include "search/rng.h"
#include "search/space.h"
#include "search/surrogate.h"

namespace evopress::search {

class EffectModel;

// One belief of a model. Totals are values of V.
class Prediction : public Belief {
 public:
  double Total(const Assignment& assignment) const override;
  Effects Around(const Assignment& center) const override;

 private:
  friend class EffectModel;
  Prediction(const EffectModel& model, double rest, Effects single,
             std::vector<double> pairs)
      : model_(&model),
        rest_(rest),
        single_(std::move(single)),
        pairs_(std::move(pairs)) {}
  double PairEffect(size_t u, size_t l, size_t v, size_t k) const;

  const EffectModel* model_;
  double rest_;
  Effects single_;             // [u][l]: what the unit adds to V
  std::vector<double> pairs_;  // z
};

// Thread-safe once made; must outlive its predictions.
class EffectModel : public Surrogate {
 public:
  // Values that are not positive and finite teach nothing; of very many, those
  // of single units and those nearest the pivot are learnt from. All arguments
  // but `measured` must outlive the model. REQUIRES: errors[u][l] for every
  // unit and level; `pivot` in the space, with a level that is meant for every
  // unit, active or not; canonical assignments in `measured`.
  EffectModel(const SearchSpace& space, const Effects& errors,
              const Assignment& pivot, const Measured& measured);

  std::unique_ptr<Belief> Expected() const override;
  // One sample of the posterior.
  std::unique_ptr<Belief> Draw(Rng& rng) const override;

 private:
  friend class Prediction;
  // Coefficients of components of z, in rising order.
  using Row = std::vector<std::pair<size_t, double>>;

  struct Observation : EffectObservation {
    // Derivatives of log y, in shares of V.
    std::vector<double> units;  // by log c_u; 0 if inactive or without error
    double rest = 0;            // by log r
    double curve = 0;           // by q
    Row pairs;                  // by z
    double noise = 0;           // standard deviation that no other value shares
  };
  // All unknowns, or changes of them.
  struct Unknowns {
    std::vector<double> units;   // log c_u
    Effects levels;              // log t_(u, l)
    double rest = 0;             // log r
    double curve = 0;            // q
    std::vector<double> scales;  // log b_s
    std::vector<double> pairs;   // z
  };

  void Fit();
  // Derivatives at the present values; returns the residuals of log y that
  // the means of the unknowns leave.
  std::vector<double> Linearize();
  void Factorize();
  // From weights of observations to unknowns, against their means.
  Unknowns Spread(const std::vector<double>& weights) const;
  std::vector<double> TypeMeans() const;

  double Adds(const Unknowns& at, size_t u, size_t l) const;
  // Of units u < v at levels other than the pivot's: component, coefficient.
  std::pair<size_t, double> Interaction(size_t u, size_t l, size_t v,
                                        size_t k) const;
  Row Interactions(const Assignment& assignment) const;
  std::unique_ptr<Belief> Predict(const Unknowns& at) const;

  const SearchSpace& space_;
  const Effects& errors_;
  const Assignment& pivot_;
  const Assignment dearest_;
  std::vector<size_t> type_;  // of each unit
  size_t types_ = 0;
  std::vector<Observation> observations_;
  size_t samples_ = 0;
  Unknowns at_;                     // their expected values
  double rest_mean_ = 0;            // of log r
  std::vector<double> unit_means_;  // of log c_u
  Effects adds_;                    // [u][l] at the expected values
  Cholesky factor_;                 // of the covariance of the observations
};

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_EFFECT_MODEL_H_
