#include "client/statistics_table.h"

#include <array>
#include <cmath>

namespace evopress::client {
namespace {

double Value(const search::SampleSums& sums, search::Metric metric) {
  switch (metric) {
    case search::Metric::kKl:
      return sums.kl;
    case search::Metric::kTopKKl:
      return sums.topk_kl;
    case search::Metric::kNll:
      return sums.nll;
  }
  return sums.kl;
}

double Total(const std::vector<search::SampleSums>& sums,
             search::Metric metric) {
  double total = 0;
  for (const auto& s : sums) total += Value(s, metric);
  return total;
}

bool SameSequences(const std::vector<search::SampleSums>& a,
                   const std::vector<search::SampleSums>& b) {
  if (a.empty() || a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].positions != b[i].positions || a[i].positions <= 0) return false;
  }
  return true;
}

// The finite-sample factor of the estimators above.
double Bessel(size_t n) {
  return static_cast<double>(n) / static_cast<double>(n - 1);
}

}  // namespace

double StudentQuantile975(int64_t degrees) {
  static constexpr std::array<double, 30> kTable = {
      12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060,
      2.2622,  2.2281, 2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199,
      2.1098,  2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639,
      2.0595,  2.0555, 2.0518, 2.0484, 2.0452, 2.0423};
  if (degrees < 1) return kTable[0];
  if (degrees <= static_cast<int64_t>(kTable.size())) {
    return kTable[degrees - 1];
  }
  // Cornish-Fisher expansion about the normal quantile (Abramowitz and
  // Stegun 26.7.5).
  const double z = 1.959963984540054;
  const double v = static_cast<double>(degrees);
  const double z3 = z * z * z;
  const double z5 = z3 * z * z;
  return z + (z3 + z) / (4 * v) + (5 * z5 + 16 * z3 + 3 * z) / (96 * v * v);
}

std::optional<Estimate> EstimateMean(
    const std::vector<search::SampleSums>& sums, search::Metric metric) {
  Estimate estimate;
  double total = 0;
  for (const auto& s : sums) {
    total += Value(s, metric);
    estimate.positions += s.positions;
  }
  if (estimate.positions <= 0) return std::nullopt;
  estimate.sequences = static_cast<int64_t>(sums.size());
  const double positions = static_cast<double>(estimate.positions);
  estimate.mean = total / positions;
  if (sums.size() < 2) return estimate;
  double squares = 0;
  for (const auto& s : sums) {
    const double residual = Value(s, metric) - estimate.mean * s.positions;
    squares += residual * residual;
  }
  estimate.standard_error =
      std::sqrt(Bessel(sums.size()) * squares) / positions;
  return estimate;
}

std::optional<Interval> PairedRatio(const std::vector<search::SampleSums>& a,
                                    const std::vector<search::SampleSums>& b,
                                    search::Metric metric) {
  if (!SameSequences(a, b)) return std::nullopt;
  const double total_a = Total(a, metric);
  const double total_b = Total(b, metric);
  if (!std::isfinite(total_a) || !std::isfinite(total_b) || total_a <= 0 ||
      total_b <= 0) {
    return std::nullopt;
  }
  Interval interval{.value = total_a / total_b, .low = {}, .high = {}};
  if (a.size() < 2) return interval;
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d =
        Value(a[i], metric) / total_a - Value(b[i], metric) / total_b;
    squares += d * d;
  }
  const double half = StudentQuantile975(static_cast<int64_t>(a.size()) - 1) *
                      std::sqrt(Bessel(a.size()) * squares);
  interval.low = interval.value * std::exp(-half);
  interval.high = interval.value * std::exp(half);
  return interval;
}

std::optional<Interval> PairedDifference(
    const std::vector<search::SampleSums>& a,
    const std::vector<search::SampleSums>& b, search::Metric metric) {
  if (!SameSequences(a, b)) return std::nullopt;
  double positions = 0;
  for (const auto& s : a) positions += static_cast<double>(s.positions);
  const double difference = (Total(a, metric) - Total(b, metric)) / positions;
  if (!std::isfinite(difference)) return std::nullopt;
  Interval interval{.value = difference, .low = {}, .high = {}};
  if (a.size() < 2) return interval;
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double residual = Value(a[i], metric) - Value(b[i], metric) -
                            difference * static_cast<double>(a[i].positions);
    squares += residual * residual;
  }
  const double half = StudentQuantile975(static_cast<int64_t>(a.size()) - 1) *
                      std::sqrt(Bessel(a.size()) * squares) / positions;
  interval.low = difference - half;
  interval.high = difference + half;
  return interval;
}

}  // namespace evopress::client
