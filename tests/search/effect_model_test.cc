#include "search/effect_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/search/toy.h"

namespace evopress::search {
namespace {

// Twelve units of two types. Sensitivities of a type differ up to a hundred
// times, samples have scales of their own, and on each sample every
// sensitivity strays.
struct World {
  Toy toy = MakeToy(std::vector<int64_t>(12, 64), {2, 3, 4}, 12 * 64 * 3, 1);
  std::vector<double> sensitivity;
  double stray = 0;
  double power = 1;
  double synergy = 0;  // of units 5 and 7 both at their cheapest level
  Assignment dearest{std::vector<uint16_t>(12, 2)};
  Assignment pivot{std::vector<uint16_t>(12, 1)};
  Measured measured;

  World() {
    for (size_t u = 0; u < 12; ++u) {
      toy.input.space.units[u].name =
          "block." + std::to_string(u / 2) + (u % 2 == 0 ? ".q" : ".v");
      sensitivity.push_back(u == 6 ? 30 : u % 2 == 0 ? 0.3 : 2);
    }
  }

  double Adds(size_t u, size_t level) const {
    return sensitivity[u] * toy.input.layer_errors[u][level];
  }
  double Value(const Assignment& assignment, int32_t sample) const {
    double sum = 0;
    for (size_t u = 0; u < 12; ++u) {
      Rng rng(u, 3, static_cast<uint32_t>(sample));
      sum +=
          (1 + stray * (2 * rng.Uniform() - 1)) * Adds(u, assignment.levels[u]);
    }
    if (assignment.levels[5] == 0 && assignment.levels[7] == 0) sum += synergy;
    return (1 + 0.2 * sample) * std::pow(sum, power);
  }

  void MeasureOn(const Assignment& assignment,
                 const std::vector<int32_t>& samples) {
    Round round;
    RoundResults results(1);
    for (int32_t sample : samples) {
      results[0].push_back({10 * Value(assignment, sample), 0, 0, 10});
    }
    round.evaluations = {{assignment, samples}};
    measured.Add(round, results, Metric::kKl);
  }

  void Scan(int32_t sample = 0) {
    MeasureOn(dearest, {sample});
    MeasureOn(pivot, {sample, 1});
    for (size_t u = 0; u < 12; ++u) {
      Assignment probe = dearest;
      probe.levels[u] = 0;
      MeasureOn(probe, {sample});
    }
  }

  EffectModel Model() const {
    return EffectModel(toy.input.space, toy.input.layer_errors, pivot,
                       measured);
  }

  // What is believed to add up, in the unit in which all of it is as it is:
  // scales of samples leave that open.
  Effects Believed(const Belief& belief) const {
    Effects effects = belief.Around(pivot);
    double believed = 0, truth = 0;
    for (size_t u = 0; u < 12; ++u) {
      believed += effects[u][0] - effects[u][2];
      truth += Adds(u, 0) - Adds(u, 2);
    }
    for (auto& levels : effects) {
      for (double& effect : levels) effect *= truth / believed;
    }
    return effects;
  }

  // The mean of |log believed / true| over units.
  double Off(const EffectModel& model) const {
    const Effects effects = Believed(*model.Expected());
    double off = 0;
    for (size_t u = 0; u < 12; ++u) {
      off += std::abs(std::log((effects[u][0] - effects[u][2]) /
                               (Adds(u, 0) - Adds(u, 2))));
    }
    return off / 12;
  }
};

TEST(EffectModel, ProbesTellEveryUnitsEffect) {
  World world;
  world.Scan();
  const EffectModel model = world.Model();
  const Effects effects = world.Believed(*model.Expected());
  for (size_t u = 0; u < 12; ++u) {
    SCOPED_TRACE(u);
    for (size_t level : {0, 1, 2}) {
      const double wanted = world.Adds(u, level) - world.Adds(u, 1);
      EXPECT_NEAR(effects[u][level], wanted, 0.2 * std::abs(wanted));
    }
  }
}

TEST(EffectModel, TotalsAddUp) {
  World world;
  world.Scan();
  const EffectModel model = world.Model();
  const auto belief = model.Expected();
  Assignment moved = world.pivot;
  moved.levels[0] = 0;
  moved.levels[11] = 2;
  const Effects effects = belief->Around(world.pivot);
  EXPECT_NEAR(belief->Total(moved) - belief->Total(world.pivot),
              effects[0][0] + effects[11][2], 1e-12);
}

// Divergence that grows faster than errors do: whole assignments tell.
TEST(EffectModel, AWholeThatIsNotLinearLeavesTheOrderOfUnits) {
  World world;
  world.power = 1.3;
  world.Scan();
  const EffectModel model = world.Model();
  const Effects effects = model.Expected()->Around(world.pivot);
  const double unit = effects[0][0] / (world.Adds(0, 0) - world.Adds(0, 1));
  for (size_t u : {1, 2, 3, 8, 11}) {
    const double truth = world.Adds(u, 0) - world.Adds(u, 1);
    EXPECT_NEAR(effects[u][0] / unit, truth, 0.3 * truth) << u;
  }
}

TEST(EffectModel, MoreSamplesCorrectWhatOneGotWrong) {
  World world;
  world.stray = 0.8;
  world.Scan();
  const double before = world.Off(world.Model());
  for (int32_t sample = 2; sample < 10; ++sample) world.Scan(sample);
  const double after = world.Off(world.Model());
  EXPECT_LT(after, 0.5 * before);
}

TEST(EffectModel, RacesTellWhatProbesOfSingleUnitsCannot) {
  World world;
  world.sensitivity[6] = 0.3;
  world.synergy = world.Adds(5, 0) + world.Adds(7, 0);
  world.Scan();
  for (size_t u : {1, 3, 5, 7, 9, 11}) {
    Assignment one = world.pivot;
    one.levels[u] = 0;
    world.MeasureOn(one, {0, 1});
  }
  Assignment both = world.pivot;
  both.levels[5] = both.levels[7] = 0;
  // What the two do together beyond what each does, as a share of the pivot.
  const auto together = [&] {
    const EffectModel model = world.Model();
    const auto belief = model.Expected();
    Assignment first = world.pivot, second = world.pivot;
    first.levels[5] = second.levels[7] = 0;
    const double whole = belief->Total(world.pivot);
    return (belief->Total(both) - belief->Total(first) -
            belief->Total(second)) /
               whole +
           1;
  };
  EXPECT_NEAR(together(), 0, 1e-9);
  world.MeasureOn(both, {0, 1});
  EXPECT_GT(together(), 0.2);
}

TEST(EffectModel, DrawsAreSpreadWhereLittleIsKnown) {
  World blind, probed;
  blind.MeasureOn(blind.pivot, {0});
  blind.MeasureOn(blind.dearest, {0});
  probed.Scan();
  const auto spread = [](const World& world) {
    const EffectModel model = world.Model();
    const double mean = model.Expected()->Around(world.pivot)[5][0];
    double squares = 0;
    for (uint32_t slot = 0; slot < 200; ++slot) {
      Rng rng(1, 2, slot);
      const double drawn = model.Draw(rng)->Around(world.pivot)[5][0];
      squares += (drawn / mean - 1) * (drawn / mean - 1);
    }
    return std::sqrt(squares / 200);
  };
  EXPECT_LT(spread(probed), 1);
  EXPECT_GT(spread(blind), 2 * spread(probed));
}

TEST(EffectModel, LearnsNothingFromWhatIsNoDivergence) {
  World world;
  const EffectModel empty = world.Model();
  EXPECT_TRUE(std::isfinite(empty.Expected()->Total(world.pivot)));
  world.Scan();
  const double sound = world.Model().Expected()->Total(world.pivot);
  Round round;
  Assignment broken = world.pivot;
  broken.levels[3] = 0;
  round.evaluations = {{broken, {0, 1, 2}}};
  const double infinite = std::numeric_limits<double>::infinity();
  world.measured.Add(
      round, {{{infinite, 0, 0, 1}, {0, 0, 0, 1}, {std::nan(""), 0, 0, 1}}},
      Metric::kKl);
  EXPECT_EQ(world.Model().Expected()->Total(world.pivot), sound);
}

TEST(Measured, ComparesOnSharedSamplesOnly) {
  Measured measured;
  Round round;
  const Assignment a{{0}}, b{{1}};
  round.evaluations = {{a, {0, 1, 2}}, {b, {1, 2, 3}}};
  const auto sums = [](double mean) { return SampleSums{mean * 4, 0, 0, 4}; };
  measured.Add(round,
               {{sums(9), sums(2), sums(4)}, {sums(1), sums(1), sums(0)}},
               Metric::kKl);
  const PairedDifference difference = measured.Compare(a, b);
  EXPECT_EQ(difference.samples, 2);
  EXPECT_DOUBLE_EQ(difference.mean, 2);  // of 1 and 3
  EXPECT_DOUBLE_EQ(difference.variance, 2);
  EXPECT_EQ(measured.Compare(a, b, {1}).samples, 1);
  EXPECT_EQ(measured.Missing(a, {3, 1}), std::vector<int32_t>{3});
  EXPECT_DOUBLE_EQ(measured.Mean(a, {0, 1}), 5.5);
  EXPECT_EQ(measured.Mean(a, {0, 3}), std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace evopress::search
