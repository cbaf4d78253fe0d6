#include "search/effect_model.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "search/grouping.h"

namespace evopress::search {
namespace {

// Prior spreads, as shares of an effect. They say how far measured effects may
// stray before the model gives up its structure; the data decides the rest.
constexpr double kSide = 1;     // dearer against cheaper, of a whole type
constexpr double kStep = 0.25;  // a level against its unit's slope
constexpr double kPair = 0.25;  // two units near each other
// Units this near in the order of the space interact: a block has about seven.
constexpr size_t kNear = 8;
// What else is not additive, as a share of all that a pair changes.
constexpr double kRest = 0.1;
// How much one sample's effect of a unit alone strays from the mean.
constexpr double kProbeNoise = 0.5;
// Bounds of the spread of slopes within a type.
constexpr double kLeastOwn = 0.25;
constexpr double kMostOwn = 2;

bool Learnable(const PairedDifference& difference) {
  return difference.samples > 0 && std::isfinite(difference.mean);
}

double Square(double x) { return x * x; }

double Dot(const std::vector<std::pair<size_t, double>>& a,
           const std::vector<std::pair<size_t, double>>& b) {
  double sum = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    if (a[i].first < b[j].first) {
      ++i;
    } else if (a[i].first > b[j].first) {
      ++j;
    } else {
      sum += a[i++].second * b[j++].second;
    }
  }
  return sum;
}

double Dot(const std::vector<std::pair<size_t, double>>& row,
           const std::vector<double>& z) {
  double sum = 0;
  for (const auto& [component, coefficient] : row) {
    sum += coefficient * z[component];
  }
  return sum;
}

}  // namespace

EffectModel::EffectModel(const SearchSpace& space, const Effects& errors,
                         const Assignment& pivot, const Measured& measured,
                         const Pairs& pairs)
    : space_(space), errors_(errors), pivot_(pivot) {
  std::map<std::string, size_t> index;
  for (const Unit& unit : space.units) {
    type_.push_back(
        index.emplace(RoleName(unit.name), index.size()).first->second);
  }
  types_ = index.size();
  components_ = space.units.size() + 2 * types_;
  for (const Unit& unit : space.units) {
    first_level_.push_back(components_);
    components_ += unit.menu.size();
  }
  first_pair_ = components_;
  components_ += space.units.size() * kNear * 4;
  LearnSlopes(measured, pairs);
  Regress(measured, pairs);
}

// A slope for each type, how much the units of a type differ from it, and how
// much greater effects are here than where they were probed.
void EffectModel::LearnSlopes(const Measured& measured, const Pairs& pairs) {
  struct Probe {
    size_t unit;
    double effect, error;
  };
  std::vector<Probe> probes;
  std::vector<double> effects(types_), errors(types_);
  double all_effects = 0, all_errors = 0;
  for (const auto& [probe, dearest] : pairs.probes) {
    const PairedDifference difference = measured.Compare(probe, dearest);
    if (!Learnable(difference)) continue;
    const Assignment a = Fill(probe), b = Fill(dearest);
    const size_t unit = static_cast<size_t>(
        std::mismatch(a.levels.begin(), a.levels.end(), b.levels.begin())
            .first -
        a.levels.begin());
    const double error =
        errors_[unit][a.levels[unit]] - errors_[unit][b.levels[unit]];
    if (error <= 0) continue;
    probes.push_back({unit, difference.mean, error});
    effects[type_[unit]] += difference.mean;
    errors[type_[unit]] += error;
    all_effects += difference.mean;
    all_errors += error;
  }
  const double common =
      all_effects > 0 && all_errors > 0 ? all_effects / all_errors : 1;
  for (size_t t = 0; t < types_; ++t) {
    const bool known = effects[t] > 0 && errors[t] > 0;
    slope_.push_back(known ? effects[t] / errors[t] : common);
  }
  std::vector<double> own_slope;
  for (size_t type : type_) own_slope.push_back(slope_[type]);
  double stray = 0, squares = 0;
  for (const Probe& probe : probes) {
    const double mean = slope_[type_[probe.unit]] * probe.error;
    stray += Square(probe.effect - mean);
    squares += Square(mean);
    own_slope[probe.unit] = std::max(0.0, probe.effect / probe.error);
  }
  if (squares > 0) {
    own_ = std::clamp(std::sqrt(stray / squares), kLeastOwn, kMostOwn);
  }
  double measured_sum = 0, expected_sum = 0;
  for (const auto& [whole, dearest] : pairs.wholes) {
    const PairedDifference difference = measured.Compare(whole, dearest);
    if (!Learnable(difference)) continue;
    const Assignment a = Fill(whole), b = Fill(dearest);
    measured_sum += difference.mean;
    for (size_t u = 0; u < a.levels.size(); ++u) {
      expected_sum +=
          own_slope[u] * (errors_[u][a.levels[u]] - errors_[u][b.levels[u]]);
    }
  }
  if (measured_sum > 0 && expected_sum > 0) near_ = measured_sum / expected_sum;
  for (double& slope : slope_) slope *= near_;
}

double EffectModel::Mean(size_t u, size_t l) const {
  return slope_[type_[u]] * (errors_[u][l] - errors_[u][pivot_.levels[u]]);
}

void EffectModel::AddUnit(size_t u, size_t l, double sign, Terms& terms) const {
  const size_t pivot = pivot_.levels[u];
  if (l == pivot) return;
  const double mean = sign * Mean(u, l);
  const size_t side = l > pivot ? 1 : 0;
  terms[u] += own_ * mean;
  terms[space_.units.size() + 2 * type_[u] + side] += kSide * mean;
  terms[first_level_[u] + l] += kStep * mean;
}

std::pair<size_t, double> EffectModel::Interaction(size_t u, size_t l, size_t v,
                                                   size_t k) const {
  const size_t sides =
      (l > pivot_.levels[u] ? 2 : 0) + (k > pivot_.levels[v] ? 1 : 0);
  return {first_pair_ + (u * kNear + (v - u - 1)) * 4 + sides,
          kPair * std::sqrt(std::abs(Mean(u, l) * Mean(v, k)))};
}

void EffectModel::AddInteractions(const Assignment& assignment, double sign,
                                  Terms& terms) const {
  const std::vector<uint16_t>& levels = assignment.levels;
  for (size_t u = 0; u < levels.size(); ++u) {
    if (levels[u] == pivot_.levels[u]) continue;
    for (size_t v = u + 1; v < levels.size() && v <= u + kNear; ++v) {
      if (levels[v] == pivot_.levels[v]) continue;
      const auto [component, coefficient] =
          Interaction(u, levels[u], v, levels[v]);
      terms[component] += sign * coefficient;
    }
  }
}

void EffectModel::Regress(const Measured& measured, const Pairs& pairs) {
  struct Observed {
    double difference = 0;
    int samples = 0;
    double expected = 0;  // sum of m
    double squares = 0;   // sum of m^2 over changed units
    double whole = 0;     // sum of |m| over changed units
  };
  std::vector<Observed> observed;
  // How much samples disagree about effects: variance of one sample's
  // difference, as a share of `squares`.
  double variances = 0, shares = 0;
  const auto observe = [&](const Pair& both, bool probe) {
    const PairedDifference difference =
        measured.Compare(both.first, both.second);
    if (!Learnable(difference)) return;
    const Assignment a = Fill(both.first), b = Fill(both.second);
    Observed pair{difference.mean, difference.samples};
    if (probe) pair.difference *= near_;
    Terms terms;
    for (size_t u = 0; u < a.levels.size(); ++u) {
      if (a.levels[u] == b.levels[u]) continue;
      AddUnit(u, a.levels[u], 1, terms);
      AddUnit(u, b.levels[u], -1, terms);
      const double change = Mean(u, a.levels[u]) - Mean(u, b.levels[u]);
      pair.expected += change;
      pair.squares += change * change;
      pair.whole += std::abs(change);
    }
    if (pair.squares <= 0) return;
    if (!probe) {
      AddInteractions(a, 1, terms);
      AddInteractions(b, -1, terms);
      variances += difference.variance * std::max(0, difference.samples - 1);
      shares += pair.squares * std::max(0, difference.samples - 1);
    }
    rows_.emplace_back(terms.begin(), terms.end());
    observed.push_back(pair);
  };
  for (const Pair& pair : pairs.probes) observe(pair, /*probe=*/true);
  const size_t probes = observed.size();
  for (const Pair& pair : pairs.races) observe(pair, /*probe=*/false);
  const double disagreement = shares > 0 ? variances / shares : Square(own_);
  std::vector<double> residuals;
  for (size_t i = 0; i < observed.size(); ++i) {
    const Observed& pair = observed[i];
    noise_.push_back(
        i < probes ? kProbeNoise * std::sqrt(pair.squares / pair.samples)
                   : std::sqrt(disagreement * pair.squares / pair.samples +
                               Square(kRest * pair.whole)));
    residuals.push_back(pair.difference - pair.expected);
  }
  for (size_t i = 0; i < rows_.size(); ++i) {
    std::vector<double>& line = factor_.emplace_back(i + 1);
    for (size_t j = 0; j <= i; ++j) {
      double sum = Dot(rows_[i], rows_[j]);
      if (i == j) sum += Square(noise_[i]);
      for (size_t k = 0; k < j; ++k) sum -= line[k] * factor_[j][k];
      line[j] = i == j ? std::sqrt(std::max(sum, 1e-300)) : sum / factor_[j][j];
    }
  }
  posterior_ = Infer(residuals);
}

std::vector<double> EffectModel::Infer(
    const std::vector<double>& residuals) const {
  std::vector<double> x = residuals;
  for (size_t i = 0; i < x.size(); ++i) {
    for (size_t k = 0; k < i; ++k) x[i] -= factor_[i][k] * x[k];
    x[i] /= factor_[i][i];
  }
  for (size_t i = x.size(); i-- > 0;) {
    for (size_t k = i + 1; k < x.size(); ++k) x[i] -= factor_[k][i] * x[k];
    x[i] /= factor_[i][i];
  }
  std::vector<double> z(components_, 0.0);
  for (size_t i = 0; i < x.size(); ++i) {
    for (const auto& [component, coefficient] : rows_[i]) {
      z[component] += x[i] * coefficient;
    }
  }
  return z;
}

// Matheron's rule: a draw of the prior, moved by what the pairs would have
// said about it.
std::unique_ptr<Belief> EffectModel::Draw(Rng& rng) const {
  std::vector<double> z(components_);
  for (double& component : z) component = rng.Normal();
  std::vector<double> seen;
  for (size_t i = 0; i < rows_.size(); ++i) {
    seen.push_back(noise_[i] * rng.Normal() + Dot(rows_[i], z));
  }
  const std::vector<double> moved = Infer(seen);
  for (size_t c = 0; c < components_; ++c) z[c] += posterior_[c] - moved[c];
  return std::make_unique<Prediction>(*this, z);
}

std::unique_ptr<Belief> EffectModel::Expected() const {
  return std::make_unique<Prediction>(*this, posterior_);
}

Assignment EffectModel::Fill(const Assignment& assignment) const {
  return FillInactive(space_, assignment, pivot_.levels);
}

Prediction::Prediction(const EffectModel& model, const std::vector<double>& z)
    : model_(&model), z_(z) {
  for (size_t u = 0; u < model.space_.units.size(); ++u) {
    std::vector<double>& levels = single_.emplace_back();
    for (size_t l = 0; l < model.space_.units[u].menu.size(); ++l) {
      EffectModel::Terms terms;
      model.AddUnit(u, l, 1, terms);
      levels.push_back(model.Mean(u, l) +
                       Dot(EffectModel::Row(terms.begin(), terms.end()), z_));
    }
  }
}

double Prediction::PairEffect(size_t u, size_t l, size_t v, size_t k) const {
  const std::vector<uint16_t>& pivot = model_->pivot_.levels;
  if (l == pivot[u] || k == pivot[v]) return 0;
  const auto [component, coefficient] = model_->Interaction(u, l, v, k);
  return coefficient * z_[component];
}

double Prediction::Total(const Assignment& assignment) const {
  const Assignment filled = model_->Fill(assignment);
  const std::vector<uint16_t>& levels = filled.levels;
  double total = 0;
  for (size_t u = 0; u < levels.size(); ++u) {
    total += single_[u][levels[u]];
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
