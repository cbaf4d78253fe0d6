#include "search/effect_start.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "search/portable_math.h"
#include "search/trust_region.h"

namespace evopress::search {
namespace {

constexpr size_t kMostObservations = 600;
// No sensitivity is guessed further below the median of its type, in log c.
constexpr double kLeast = -2;

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

std::vector<EffectObservation> SelectObservations(const SearchSpace& space,
                                                  const Assignment& pivot,
                                                  const Measured& measured) {
  const Assignment dearest = Dearest(space);
  struct Known {
    const Assignment* assignment;
    int32_t sample;
    double value;
    bool probe;
    int changes;
  };
  std::vector<Known> known;
  for (const auto& [assignment, values] : measured.values()) {
    const int lowered = Changes(space, assignment, dearest);
    const int changes = Changes(space, assignment, pivot);
    for (const auto& [sample, value] : values) {
      if (!(value > 0) || !std::isfinite(value)) continue;
      known.push_back({&assignment, sample, value, lowered <= 1, changes});
    }
  }
  if (known.size() > kMostObservations) {
    std::stable_sort(known.begin(), known.end(),
                     [](const Known& a, const Known& b) {
                       return std::tuple(!a.probe, a.changes) <
                              std::tuple(!b.probe, b.changes);
                     });
    known.resize(kMostObservations);
  }
  std::vector<EffectObservation> selected;
  std::map<Assignment, size_t> numbers;
  std::map<int32_t, size_t> samples;
  for (const Known& each : known) {
    EffectObservation& made = selected.emplace_back();
    made.assignment = *each.assignment;
    made.number =
        numbers.emplace(made.assignment, numbers.size()).first->second;
    made.sample = samples.emplace(each.sample, samples.size()).first->second;
    made.log_y = PortableLog(each.value);
    made.doubt = 1 / measured.WeightOf(each.sample);
    made.probe = each.probe;
  }
  return selected;
}

EffectGuess GuessEffects(const SearchSpace& space, const Effects& errors,
                         const std::vector<size_t>& types,
                         const std::vector<EffectObservation>& observations) {
  const Assignment dearest = Dearest(space);
  EffectGuess guess;
  std::map<size_t, double> bases;  // of the dearest, by sample
  for (const EffectObservation& each : observations) {
    if (each.assignment == dearest) bases[each.sample] = each.log_y;
  }
  const size_t units = space.units.size();
  std::vector<double> sums(units);
  std::vector<int> counts(units);
  for (const EffectObservation& each : observations) {
    const auto base = bases.find(each.sample);
    if (!each.probe || base == bases.end()) continue;
    for (size_t u = 0; u < units; ++u) {
      const size_t level = each.assignment.levels[u];
      if (level == dearest.levels[u]) continue;
      if (!IsActive(space, each.assignment, u)) continue;
      const double error = errors[u][level] - errors[u][dearest.levels[u]];
      if (error <= 0) continue;
      sums[u] += (PortableExp(each.log_y) - PortableExp(base->second)) / error;
      ++counts[u];
    }
  }
  std::vector<double> all;
  std::vector<std::vector<double>> by_type(units);
  for (size_t u = 0; u < units; ++u) {
    if (counts[u] == 0 || sums[u] <= 0) continue;
    all.push_back(PortableLog(sums[u] / counts[u]));
    by_type[types[u]].push_back(all.back());
  }
  if (all.empty()) {
    for (const EffectObservation& each : observations) {
      double error = 0;
      for (size_t u = 0; u < units; ++u) {
        if (!IsActive(space, each.assignment, u)) continue;
        error += errors[u][each.assignment.levels[u]];
      }
      if (error > 0) all.push_back(each.log_y - PortableLog(error));
    }
  }
  const double common = Median(all);
  guess.units.assign(units, 0.0);
  for (size_t u = 0; u < units; ++u) {
    const std::vector<double>& type = by_type[types[u]];
    const double typical = type.empty() ? common : Median(type);
    guess.units[u] =
        counts[u] == 0 ? typical
        : sums[u] <= 0
            ? typical + kLeast
            : std::max(typical + kLeast, PortableLog(sums[u] / counts[u]));
  }
  double least = 0;  // rest
  for (const auto& [sample, log_y] : bases) {
    double explained = 0;
    for (size_t u = 0; u < units; ++u) {
      explained += PortableExp(guess.units[u]) *
                   std::max(0.0, errors[u][dearest.levels[u]]);
    }
    const double y = PortableExp(log_y);
    least +=
        std::max(y - explained, 0.01 * y) / static_cast<double>(bases.size());
  }
  if (bases.empty()) {
    for (const EffectObservation& each : observations) {
      const double y = 0.001 * PortableExp(each.log_y);
      if (least == 0 || y < least) least = y;
    }
  }
  guess.rest = least > 0 ? PortableLog(least) : 0;
  return guess;
}

}  // namespace evopress::search
