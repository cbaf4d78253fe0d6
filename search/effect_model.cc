#include "search/effect_model.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <tuple>

#include "search/grouping.h"
#include "search/portable_math.h"

namespace evopress::search {
namespace {

// Spreads of the unknowns before anything is measured. They say how far
// measurements may stray before the model gives up its structure.
constexpr double kOwn = 2;      // log c_u around its type
constexpr double kStep = 0.2;   // log t
constexpr double kScale = 0.5;  // log b_s
constexpr double kCurve = 0.3;  // q
constexpr double kPair = 0.25;  // interactions, as a share of both effects
constexpr double kStray = 0.3;  // log c_u on one sample
// What else is not additive: the same for all samples of an assignment, and
// more of it the more of the damage is due to dropped modules.
constexpr double kOther = 0.03;
constexpr double kOtherDropped = 0.3;
constexpr double kResidue = 0.01;  // of one value alone
// Units this near in the order of the space interact: a block has about seven.
constexpr size_t kNear = 8;

constexpr int kMostSteps = 6;
constexpr double kLongestStep = 0.7;  // in any logarithm
// Interactions leave at least this share of V.
constexpr double kLeastTogether = 0.2;
constexpr double kSettled = 0.02;

double Square(double x) { return x * x; }

// Sums of a[u] * b[u] over all units, and over those of equal levels.
std::pair<double, double> SharedUnits(const std::vector<double>& a,
                                      const std::vector<double>& b,
                                      const std::vector<double>& levels_a,
                                      const std::vector<double>& levels_b) {
  constexpr size_t kLanes = 8;
  using Lanes = Eigen::Array<double, kLanes, 1>;
  Lanes all = Lanes::Zero(), equal = Lanes::Zero();
  size_t u = 0;
  for (; u + kLanes <= a.size(); u += kLanes) {
    const auto lanes = [u](const std::vector<double>& values) {
      return Eigen::Map<const Lanes>(values.data() + u);
    };
    const Lanes both = lanes(a) * lanes(b);
    all += both;
    equal += (lanes(levels_a) == lanes(levels_b)).select(both, 0.0);
  }
  std::pair<double, double> sums;
  for (; u < a.size(); ++u) {
    sums.first += a[u] * b[u];
    if (levels_a[u] == levels_b[u]) sums.second += a[u] * b[u];
  }
  for (Eigen::Index lane = 0; lane < Eigen::Index{kLanes}; ++lane) {
    sums.first += all[lane];
    sums.second += equal[lane];
  }
  return sums;
}

double Toward(double from, double to) {
  return from + std::clamp(to - from, -kLongestStep, kLongestStep);
}

}  // namespace

EffectModel::EffectModel(const SearchSpace& space, const Effects& errors,
                         const Assignment& pivot, const Measured& measured)
    : space_(space), errors_(errors), pivot_(pivot), dearest_(Dearest(space)) {
  std::map<std::string, size_t> index;
  for (const Unit& unit : space.units) {
    type_.push_back(
        index.emplace(RoleName(unit.name), index.size()).first->second);
    at_.levels.emplace_back(unit.menu.size());
  }
  types_ = index.size();
  at_.pairs.assign(space.units.size() * kNear * 4, 0.0);
  std::vector<EffectObservation> selected =
      SelectObservations(space, pivot, measured);
  EffectGuess guess = GuessEffects(space, errors, type_, selected);
  for (EffectObservation& each : selected) {
    samples_ = std::max(samples_, each.sample + 1);
    static_cast<EffectObservation&>(observations_.emplace_back()) =
        std::move(each);
  }
  at_.scales.assign(samples_, 0.0);
  at_.units = std::move(guess.units);
  at_.rest = rest_mean_ = guess.rest;
  Fit();
}

double EffectModel::Adds(const Unknowns& at, size_t u, size_t l) const {
  if (errors_[u][l] <= 0) return 0;
  return errors_[u][l] * PortableExp(at.units[u] + at.levels[u][l]);
}

std::vector<double> EffectModel::TypeMeans() const {
  std::vector<double> sums(types_);
  std::vector<int> counts(types_);
  for (size_t u = 0; u < type_.size(); ++u) {
    sums[type_[u]] += at_.units[u];
    ++counts[type_[u]];
  }
  std::vector<double> means;
  for (size_t type : type_) means.push_back(sums[type] / counts[type]);
  return means;
}

std::pair<size_t, double> EffectModel::Interaction(size_t u, size_t l, size_t v,
                                                   size_t k) const {
  const size_t i = pivot_.levels[u], j = pivot_.levels[v];
  const size_t sides = (l > i ? 2 : 0) + (k > j ? 1 : 0);
  const double changes =
      (adds_[u][l] - adds_[u][i]) * (adds_[v][k] - adds_[v][j]);
  return {(u * kNear + (v - u - 1)) * 4 + sides,
          kPair * std::sqrt(std::abs(changes))};
}

EffectModel::Row EffectModel::Interactions(const Assignment& assignment) const {
  const std::vector<uint16_t>& levels = assignment.levels;
  Row row;
  for (size_t u = 0; u < levels.size(); ++u) {
    if (levels[u] == pivot_.levels[u]) continue;
    for (size_t v = u + 1; v < levels.size() && v <= u + kNear; ++v) {
      if (levels[v] == pivot_.levels[v]) continue;
      row.push_back(Interaction(u, levels[u], v, levels[v]));
    }
  }
  return row;
}

std::vector<double> EffectModel::Linearize() {
  const size_t units = space_.units.size();
  const double rest = PortableExp(at_.rest);
  adds_.clear();
  double floor = rest;  // V of the dearest assignment
  for (size_t u = 0; u < units; ++u) {
    std::vector<double>& levels = adds_.emplace_back();
    for (size_t l = 0; l < errors_[u].size(); ++l) {
      levels.push_back(Adds(at_, u, l));
    }
    floor += levels[dearest_.levels[u]];
  }
  unit_means_ = TypeMeans();
  std::vector<double> residuals;
  for (Observation& each : observations_) {
    double whole = rest, dropped = 0;
    each.units.assign(units, 0.0);
    for (size_t u = 0; u < units; ++u) {
      if (!IsActive(space_, each.assignment, u)) continue;
      const size_t level = each.assignment.levels[u];
      each.units[u] = adds_[u][level];
      whole += adds_[u][level];
      if (space_.units[u].menu[level].name == kDrop) dropped += adds_[u][level];
    }
    each.pairs.clear();
    if (!each.probe) {
      each.pairs =
          Interactions(FillInactive(space_, each.assignment, pivot_.levels));
    }
    double together = 0;
    for (const auto& [component, coefficient] : each.pairs) {
      together += coefficient * at_.pairs[component];
    }
    whole = std::max(whole + together, kLeastTogether * whole);
    const double slope = (1 + at_.curve) / whole;
    double residual = each.log_y - PortableLog(whole);
    for (auto& [component, coefficient] : each.pairs) {
      coefficient *= slope;
      residual += coefficient * at_.pairs[component];
    }
    for (size_t u = 0; u < units; ++u) {
      if (each.units[u] == 0) continue;
      each.units[u] *= slope;
      const size_t level = each.assignment.levels[u];
      residual += each.units[u] *
                  (at_.units[u] - unit_means_[u] + at_.levels[u][level]);
    }
    each.rest = slope * rest;
    residual += each.rest * (at_.rest - rest_mean_);
    each.curve = PortableLog(whole / floor);
    each.noise =
        std::sqrt(Square(kOther) + Square(kOtherDropped * dropped / whole));
    residuals.push_back(residual);
  }
  return residuals;
}

void EffectModel::Factorize() {
  factor_ = Cholesky();
  std::vector<std::vector<double>> levels;
  for (const Observation& each : observations_) {
    const std::vector<uint16_t>& own = each.assignment.levels;
    levels.emplace_back(own.begin(), own.end());
  }
  std::vector<std::vector<double>> covariance;
  for (size_t i = 0; i < observations_.size(); ++i) {
    const Observation& a = observations_[i];
    std::vector<double>& row = covariance.emplace_back(i + 1);
    for (size_t j = 0; j <= i; ++j) {
      const Observation& b = observations_[j];
      const auto [units, equal] =
          SharedUnits(a.units, b.units, levels[i], levels[j]);
      const double shared = units + a.rest * b.rest;
      row[j] = Square(kOwn) * shared + Square(kStep) * equal +
               Square(kCurve) * a.curve * b.curve;
      if (a.sample == b.sample) {
        row[j] += Square(kScale) + Square(kStray) * a.doubt * shared;
      }
      if (a.number == b.number) row[j] += a.noise * b.noise;
    }
    row[i] += Square(kResidue) * a.doubt;
  }
  std::vector<Row> seen(at_.pairs.size());  // observations of each component
  for (size_t i = 0; i < observations_.size(); ++i) {
    for (const auto& [component, coefficient] : observations_[i].pairs) {
      Row& others = seen[component];
      others.emplace_back(i, coefficient);
      for (const auto& [j, other] : others) {
        covariance[i][j] += coefficient * other;
      }
    }
  }
  for (std::vector<double>& row : covariance) factor_.Append(std::move(row));
}

EffectModel::Unknowns EffectModel::Spread(
    const std::vector<double>& weights) const {
  Unknowns made;
  made.units.assign(space_.units.size(), 0.0);
  for (const std::vector<double>& levels : at_.levels) {
    made.levels.emplace_back(levels.size());
  }
  made.scales.assign(samples_, 0.0);
  made.pairs.assign(at_.pairs.size(), 0.0);
  for (size_t i = 0; i < observations_.size(); ++i) {
    const Observation& each = observations_[i];
    for (size_t u = 0; u < each.units.size(); ++u) {
      const double both = weights[i] * each.units[u];
      made.units[u] += Square(kOwn) * both;
      made.levels[u][each.assignment.levels[u]] += Square(kStep) * both;
    }
    made.rest += Square(kOwn) * weights[i] * each.rest;
    made.curve += Square(kCurve) * weights[i] * each.curve;
    made.scales[each.sample] += Square(kScale) * weights[i];
    for (const auto& [component, coefficient] : each.pairs) {
      made.pairs[component] += weights[i] * coefficient;
    }
  }
  return made;
}

void EffectModel::Fit() {
  for (int step = 0; step < kMostSteps; ++step) {
    const std::vector<double> residuals = Linearize();
    Factorize();
    const Unknowns found = Spread(factor_.Solve(residuals));
    double moved = 0;
    const auto move = [&](double& from, double to) {
      moved = std::max(moved, std::abs(to - from));
      from = Toward(from, to);
    };
    for (size_t u = 0; u < at_.units.size(); ++u) {
      move(at_.units[u], unit_means_[u] + found.units[u]);
      for (size_t l = 0; l < at_.levels[u].size(); ++l) {
        at_.levels[u][l] = Toward(at_.levels[u][l], found.levels[u][l]);
      }
    }
    move(at_.rest, rest_mean_ + found.rest);
    at_.curve = std::clamp(found.curve, -0.5, 1.0);
    at_.scales = found.scales;
    at_.pairs = found.pairs;
    if (moved < kSettled) break;
  }
  adds_.clear();
  for (size_t u = 0; u < errors_.size(); ++u) {
    std::vector<double>& levels = adds_.emplace_back();
    for (size_t l = 0; l < errors_[u].size(); ++l) {
      levels.push_back(Adds(at_, u, l));
    }
  }
}

// Matheron's rule: a draw of what was believed before, moved by what the
// observations would have said about it.
std::unique_ptr<Belief> EffectModel::Draw(Rng& rng) const {
  Unknowns drawn;
  for (size_t u = 0; u < at_.units.size(); ++u) {
    drawn.units.push_back(kOwn * rng.Normal());
    std::vector<double>& levels = drawn.levels.emplace_back();
    for (size_t l = 0; l < at_.levels[u].size(); ++l) {
      levels.push_back(kStep * rng.Normal());
    }
  }
  drawn.rest = kOwn * rng.Normal();
  drawn.curve = kCurve * rng.Normal();
  for (size_t s = 0; s < samples_; ++s) {
    drawn.scales.push_back(kScale * rng.Normal());
  }
  for (size_t p = 0; p < at_.pairs.size(); ++p) {
    drawn.pairs.push_back(rng.Normal());
  }
  Effects strays;  // [sample][unit], the rest last
  for (size_t s = 0; s < samples_; ++s) {
    std::vector<double>& units = strays.emplace_back();
    for (size_t u = 0; u <= at_.units.size(); ++u) {
      units.push_back(kStray * rng.Normal());
    }
  }
  std::map<size_t, double> others;  // by number of the assignment
  std::vector<double> seen;
  for (const Observation& each : observations_) {
    const std::vector<double>& stray = strays[each.sample];
    const double doubt = std::sqrt(each.doubt);
    double sum = drawn.scales[each.sample] + drawn.curve * each.curve +
                 each.rest * (drawn.rest + doubt * stray.back());
    for (size_t u = 0; u < each.units.size(); ++u) {
      sum += each.units[u] * (drawn.units[u] + doubt * stray[u] +
                              drawn.levels[u][each.assignment.levels[u]]);
    }
    for (const auto& [component, coefficient] : each.pairs) {
      sum += coefficient * drawn.pairs[component];
    }
    const auto other = others.find(each.number);
    const double own = other == others.end()
                           ? others[each.number] = rng.Normal()
                           : other->second;
    seen.push_back(sum + each.noise * own + kResidue * doubt * rng.Normal());
  }
  const Unknowns told = Spread(factor_.Solve(std::move(seen)));
  Unknowns at = at_;
  for (size_t u = 0; u < at.units.size(); ++u) {
    at.units[u] += drawn.units[u] - told.units[u];
    for (size_t l = 0; l < at.levels[u].size(); ++l) {
      at.levels[u][l] += drawn.levels[u][l] - told.levels[u][l];
    }
  }
  for (size_t p = 0; p < at.pairs.size(); ++p) {
    at.pairs[p] += drawn.pairs[p] - told.pairs[p];
  }
  return Predict(at);
}

std::unique_ptr<Belief> EffectModel::Expected() const { return Predict(at_); }

std::unique_ptr<Belief> EffectModel::Predict(const Unknowns& at) const {
  Effects single;
  for (size_t u = 0; u < at.units.size(); ++u) {
    std::vector<double>& levels = single.emplace_back();
    for (size_t l = 0; l < errors_[u].size(); ++l) {
      levels.push_back(Adds(at, u, l));
    }
  }
  return std::unique_ptr<Belief>(
      new Prediction(*this, PortableExp(at.rest), std::move(single), at.pairs));
}

double Prediction::PairEffect(size_t u, size_t l, size_t v, size_t k) const {
  const std::vector<uint16_t>& pivot = model_->pivot_.levels;
  if (l == pivot[u] || k == pivot[v]) return 0;
  const auto [component, coefficient] = model_->Interaction(u, l, v, k);
  return coefficient * pairs_[component];
}

double Prediction::Total(const Assignment& assignment) const {
  const Assignment filled =
      FillInactive(model_->space_, assignment, model_->pivot_.levels);
  const std::vector<uint16_t>& levels = filled.levels;
  double total = rest_;
  for (size_t u = 0; u < levels.size(); ++u) {
    if (IsActive(model_->space_, assignment, u)) total += single_[u][levels[u]];
    for (size_t v = u + 1; v < levels.size() && v <= u + kNear; ++v) {
      total += PairEffect(u, levels[u], v, levels[v]);
    }
  }
  return total;
}

Effects Prediction::Around(const Assignment& center) const {
  const std::vector<uint16_t>& levels = center.levels;
  Effects effects = single_;
  for (size_t u = 0; u < effects.size(); ++u) {
    const size_t first = u < kNear ? 0 : u - kNear;
    const size_t end = std::min(effects.size(), u + kNear + 1);
    for (size_t l = 0; l < effects[u].size(); ++l) {
      for (size_t v = first; v < end; ++v) {
        if (v < u) effects[u][l] += PairEffect(v, levels[v], u, l);
        if (v > u) effects[u][l] += PairEffect(u, l, v, levels[v]);
      }
    }
    const double own = effects[u][levels[u]];
    for (double& effect : effects[u]) effect -= own;
  }
  return effects;
}

}  // namespace evopress::search
