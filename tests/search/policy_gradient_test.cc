#include "search/policy_gradient.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "search/knapsack.h"
#include "tests/search/toy.h"

namespace evopress::search {
namespace {

PolicyGradientOptions Steps(int steps, int draws) {
  PolicyGradientOptions options;
  options.steps = steps;
  options.draws = draws;
  options.samples = 2;
  return options;
}

Toy Linear(uint64_t seed) {
  return MakeToy(std::vector<int64_t>(24, 64), {2, 3, 4}, 24 * 64 * 3, seed);
}

TEST(PolicyGradient, ApproachesTheOptimumOfLinearDamage) {
  double gained = 0;
  constexpr int kSeeds = 10;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    const Toy toy = Linear(seed);
    const auto optimum = SolveKnapsack(toy.input.space, toy.input.layer_errors);
    ASSERT_TRUE(optimum.ok());
    const Assignment uniform{std::vector<uint16_t>(24, 1)};
    const auto found = Search(toy.input, Steps(150, 16), ExactMeasure(toy));
    ASSERT_TRUE(found.ok()) << found.status();
    const double gain =
        (Damage(toy, uniform) - Damage(toy, found->done.winner)) /
        (Damage(toy, uniform) - Damage(toy, *optimum));
    EXPECT_GE(gain, 0.8);
    gained += gain / kSeeds;
  }
  EXPECT_GE(gained, 0.95);
}

TEST(PolicyGradient, LossesFall) {
  const Toy toy = Linear(3);
  std::vector<double> losses;
  const auto measure = NoisyMeasure(toy);
  const auto found =
      Search(toy.input, Steps(60, 8), measure, [&](const Round& round) {
        double sum = 0;
        for (const Evaluation& evaluation : round.evaluations) {
          sum += Damage(toy, evaluation.assignment);
        }
        losses.push_back(sum / static_cast<double>(round.evaluations.size()));
      });
  ASSERT_TRUE(found.ok()) << found.status();
  const auto mean = [&](size_t first, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; ++i) sum += losses[first + i];
    return sum / static_cast<double>(count);
  };
  EXPECT_LT(mean(20, 20), mean(0, 20));
  EXPECT_LT(mean(40, 20), mean(20, 20));
}

TEST(PolicyGradient, AStepMeasuresItsDrawsOnSamplesOfItsOwn) {
  const Toy toy = Linear(2);
  PolicyGradientOptions options = Steps(8, 6);
  options.samples = 4;
  std::set<std::vector<int32_t>> samples;
  const auto found =
      Search(toy.input, options, NoisyMeasure(toy), [&](const Round& round) {
        EXPECT_LE(round.evaluations.size(), 6u);
        for (const Evaluation& e : round.evaluations) {
          EXPECT_EQ(e.samples, round.evaluations[0].samples);
        }
        samples.insert(round.evaluations[0].samples);
      });
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->rounds, 9);
  EXPECT_EQ(samples.size(), 9u);
}

TEST(PolicyGradient, TheStartIsAmongTheContenders) {
  const Toy toy = Linear(2);
  const Assignment uniform{std::vector<uint16_t>(24, 1)};
  // Nothing is better than the start.
  const auto found =
      Search(toy.input, Steps(10, 6), [&](const Assignment& a, int32_t) {
        double changes = 0;
        for (uint16_t level : a.levels) changes += level != 1;
        return SampleSums{changes, 0, 0, 1};
      });
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->done.winner, uniform);
}

TEST(PolicyGradient, AvoidsWhatCannotBeMeasured) {
  const Toy toy = Linear(4);
  const auto poisoned = [](const Assignment& a) { return a.levels[0] == 0; };
  int late = 0;
  const auto found = Search(
      toy.input, Steps(60, 8),
      [&](const Assignment& a, int32_t sample) {
        SampleSums sums = NoisyMeasure(toy)(a, sample);
        if (poisoned(a)) sums.kl = std::numeric_limits<double>::quiet_NaN();
        return sums;
      },
      [&](const Round& round) {
        if (round.index < 50) return;
        for (const Evaluation& e : round.evaluations) {
          late += poisoned(e.assignment);
        }
      });
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_FALSE(poisoned(found->done.winner));
  EXPECT_LE(late, 4);
}

TEST(PolicyGradient, NamesOptionsThatMakeNoSense) {
  const Toy toy = Linear(1);
  const auto error = [&](auto change) {
    PolicyGradientOptions options = Steps(5, 4);
    change(options);
    return std::string(MakeStrategy(toy.input, options).status().message());
  };
  EXPECT_EQ(error([](auto&) {}), "");
  EXPECT_EQ(error([](auto& o) { o.steps = 0; }), "steps=0 must be at least 1");
  EXPECT_EQ(error([](auto& o) { o.draws = 1; }), "draws=1 is not in 2…4096");
  EXPECT_EQ(error([](auto& o) { o.window = 0; }), "window=0 is not in 1…1024");
  EXPECT_EQ(error([](auto& o) { o.learning_rate = 0; }),
            "learning_rate=0 must be above 0 and at most 100");
  EXPECT_NE(error([](auto& o) {
              o.learning_rate = std::numeric_limits<double>::quiet_NaN();
            }),
            "");
  EXPECT_NE(error([](auto& o) { o.samples = 17; }), "");
  EXPECT_NE(error([](auto& o) { o.final_samples = 17; }), "");
}

}  // namespace
}  // namespace evopress::search
