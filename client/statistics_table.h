// Means and error bars of held-out measurements.
//
// The sampling unit is the sequence: positions within one depend on each
// other. With sums y_i over p_i positions of sequence i of n, the mean is
// r = sum y / sum p and its standard error is that of a ratio estimator,
//   se^2 = n / (n - 1) * sum (y_i - r p_i)^2 / (sum p)^2,
// which is the usual s / sqrt(n) when all sequences are equally long.
//
// Two candidates measured on the same sequences are compared in pairs. For
// the ratio R = sum a / sum b the delta method on log R gives
//   se(log R)^2 = n / (n - 1) * sum (a_i / sum a - b_i / sum b)^2
// and the interval is R * exp(+-t * se) with Student's t of n - 1 degrees of
// freedom. Nothing is drawn at random: equal input gives equal intervals.
#ifndef EVOPRESS_CLIENT_STATISTICS_TABLE_H_
#define EVOPRESS_CLIENT_STATISTICS_TABLE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "search/strategy.h"

namespace evopress::client {

// In nats per position. The standard error is absent with one sequence.
struct Estimate {
  double mean = 0;
  std::optional<double> standard_error;
  int64_t sequences = 0;
  int64_t positions = 0;
};

// A value with its two-sided 95 % interval, absent with one sequence.
struct Interval {
  double value = 0;
  std::optional<double> low;
  std::optional<double> high;
};

// nullopt if nothing was scored.
std::optional<Estimate> EstimateMean(
    const std::vector<search::SampleSums>& sums, search::Metric metric);

// Sum of `metric` of `a` over that of `b`, paired by sequence. nullopt unless
// both have the same sequences and positive, finite sums.
std::optional<Interval> PairedRatio(const std::vector<search::SampleSums>& a,
                                    const std::vector<search::SampleSums>& b,
                                    search::Metric metric);

// Mean of `metric` of `a` minus that of `b`, paired by sequence, under the
// same conditions but for any sign. Perplexity ratio = exp(difference of NLL).
std::optional<Interval> PairedDifference(
    const std::vector<search::SampleSums>& a,
    const std::vector<search::SampleSums>& b, search::Metric metric);

// 97.5 % quantile of Student's t; degrees >= 1. Within 0.001 of the truth.
double StudentQuantile975(int64_t degrees);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_STATISTICS_TABLE_H_
