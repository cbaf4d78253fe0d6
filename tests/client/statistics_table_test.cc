#include "client/statistics_table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace evopress::client {
namespace {

using search::Metric;
using search::SampleSums;

std::vector<SampleSums> Kl(const std::vector<double>& sums,
                           int64_t positions = 1) {
  std::vector<SampleSums> out;
  for (const double sum : sums) out.push_back({sum, 0, sum, positions});
  return out;
}

TEST(EstimateMean, EqualLengthsGiveTheTextbookStandardError) {
  // 2, 4, 4, 4, 5, 5, 7, 9: mean 5, sample deviation sqrt(32 / 7).
  const auto e = EstimateMean(Kl({2, 4, 4, 4, 5, 5, 7, 9}), Metric::kKl);
  ASSERT_TRUE(e.has_value());
  EXPECT_DOUBLE_EQ(e->mean, 5);
  ASSERT_TRUE(e->standard_error.has_value());
  EXPECT_NEAR(*e->standard_error, std::sqrt(32.0 / 7) / std::sqrt(8), 1e-12);
}

TEST(EstimateMean, PositionsWeighSequences) {
  const std::vector<SampleSums> sums = {{1, 0, 0, 1}, {9, 0, 0, 3}};
  const auto e = EstimateMean(sums, Metric::kKl);
  ASSERT_TRUE(e.has_value());
  EXPECT_DOUBLE_EQ(e->mean, 2.5);
  EXPECT_EQ(e->positions, 4);
}

TEST(EstimateMean, OneSequenceHasNoErrorAndNoneHasNoMean) {
  const auto one = EstimateMean(Kl({3}), Metric::kKl);
  ASSERT_TRUE(one.has_value());
  EXPECT_FALSE(one->standard_error.has_value());
  EXPECT_FALSE(EstimateMean({}, Metric::kKl).has_value());
}

TEST(StudentQuantile975, MatchesTables) {
  EXPECT_NEAR(StudentQuantile975(1), 12.7062, 1e-4);
  EXPECT_NEAR(StudentQuantile975(7), 2.3646, 1e-4);
  EXPECT_NEAR(StudentQuantile975(31), 2.0395, 1e-3);
  EXPECT_NEAR(StudentQuantile975(63), 1.9983, 1e-3);
  EXPECT_NEAR(StudentQuantile975(100000), 1.9600, 1e-3);
}

TEST(PairedRatio, AnExactMultipleHasAnIntervalOfNoWidth) {
  const auto r = PairedRatio(Kl({1, 2, 3, 10}), Kl({2, 4, 6, 20}), Metric::kKl);
  ASSERT_TRUE(r.has_value());
  EXPECT_DOUBLE_EQ(r->value, 0.5);
  EXPECT_NEAR(*r->low, 0.5, 1e-12);
  EXPECT_NEAR(*r->high, 0.5, 1e-12);
}

TEST(PairedRatio, MatchesTheDeltaMethodByHand) {
  // a/sum a - b/sum b = {1/6-2/10, 2/6-3/10, 3/6-5/10} = {-1/30, 1/30, 0};
  // se = sqrt(3/2 * 2/900) = 1/sqrt(300), t(2) = 4.3027.
  const auto r = PairedRatio(Kl({1, 2, 3}), Kl({2, 3, 5}), Metric::kKl);
  ASSERT_TRUE(r.has_value());
  EXPECT_DOUBLE_EQ(r->value, 0.6);
  const double half = 4.3027 / std::sqrt(300.0);
  EXPECT_NEAR(*r->low, 0.6 * std::exp(-half), 1e-9);
  EXPECT_NEAR(*r->high, 0.6 * std::exp(half), 1e-9);
}

TEST(PairedRatio, CoversTheTruthAboutAsOftenAsItSays) {
  std::mt19937_64 random(7);
  std::gamma_distribution<double> base(4.0, 0.25);
  std::normal_distribution<double> noise(0.0, 0.1);
  int covered = 0;
  constexpr int kTrials = 2000;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> a;
    std::vector<double> b;
    for (int i = 0; i < 16; ++i) {
      const double x = base(random);
      b.push_back(x);
      a.push_back(0.8 * x * std::exp(noise(random) - 0.005));
    }
    const auto r = PairedRatio(Kl(a), Kl(b), Metric::kKl);
    ASSERT_TRUE(r.has_value());
    covered += *r->low <= 0.8 && 0.8 <= *r->high;
  }
  EXPECT_GT(covered, 0.92 * kTrials);
  EXPECT_LT(covered, 0.98 * kTrials);
}

TEST(PairedRatio, RefusesWhatIsNoPair) {
  EXPECT_FALSE(PairedRatio(Kl({1, 2}), Kl({1}), Metric::kKl).has_value());
  EXPECT_FALSE(PairedRatio(Kl({1}), Kl({0}), Metric::kKl).has_value());
  EXPECT_FALSE(PairedRatio(Kl({1}, 3), Kl({1}, 4), Metric::kKl).has_value());
  EXPECT_FALSE(PairedRatio(Kl({std::numeric_limits<double>::infinity()}),
                           Kl({1}), Metric::kKl)
                   .has_value());
}

TEST(PairedDifference, MatchesThePairedTTestByHand) {
  // Differences 1, 2, 3 over one position each: mean 2, se 1/sqrt(3).
  const auto d = PairedDifference(Kl({2, 4, 6}), Kl({1, 2, 3}), Metric::kNll);
  ASSERT_TRUE(d.has_value());
  EXPECT_DOUBLE_EQ(d->value, 2);
  EXPECT_NEAR(*d->high - 2, 4.3027 / std::sqrt(3.0), 1e-9);
  EXPECT_NEAR(2 - *d->low, 4.3027 / std::sqrt(3.0), 1e-9);
}

}  // namespace
}  // namespace evopress::client
