#include "search/effect_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/search/toy.h"

namespace evopress::search {
namespace {

// Twelve units of two types; damage is `sensitivity[u] * error`, times `here`
// unless nearly everything is at its dearest level.
struct World {
  Toy toy = MakeToy(std::vector<int64_t>(12, 64), {2, 3, 4}, 12 * 64 * 3, 1);
  std::vector<double> sensitivity;
  double here = 3;
  double first_type_here = 1;  // more of it, for units of the first type
  Assignment dearest{std::vector<uint16_t>(12, 2)};
  Assignment pivot{std::vector<uint16_t>(12, 1)};
  Measured measured;
  EffectModel::Pairs pairs;

  World() {
    for (size_t u = 0; u < 12; ++u) {
      toy.input.space.units[u].name =
          "block." + std::to_string(u / 2) + (u % 2 == 0 ? ".q" : ".v");
      sensitivity.push_back(u % 2 == 0 ? 0.5
                                       : 2 + 0.1 * static_cast<double>(u));
    }
  }

  // What unit u at `level` adds to the dearest assignment.
  double Probed(size_t u, size_t level) const {
    const std::vector<double>& errors = toy.input.layer_errors[u];
    return sensitivity[u] * (errors[level] - errors[2]);
  }
  double Here(size_t u, size_t level) const {
    return here * (u % 2 == 0 ? first_type_here : 1) * Probed(u, level);
  }
  double Damage(const Assignment& assignment) const {
    double probed = 1, whole = 1;
    int lowered = 0;
    for (size_t u = 0; u < 12; ++u) {
      probed += Probed(u, assignment.levels[u]);
      whole += Here(u, assignment.levels[u]);
      lowered += assignment.levels[u] != 2;
    }
    return lowered <= 1 ? probed : whole;
  }

  void MeasureOn(const Assignment& assignment, std::vector<int32_t> samples) {
    Round round;
    RoundResults results(1);
    for (size_t i = 0; i < samples.size(); ++i) {
      results[0].push_back({10 * Damage(assignment), 0, 0, 10});
    }
    round.evaluations = {{assignment, std::move(samples)}};
    measured.Add(round, results, Metric::kKl);
  }

  void Scan() {
    MeasureOn(dearest, {0});
    MeasureOn(pivot, {0, 1});
    for (size_t u = 0; u < 12; ++u) {
      Assignment probe = dearest;
      probe.levels[u] = 0;
      MeasureOn(probe, {0});
      pairs.probes.emplace_back(probe, dearest);
    }
    pairs.wholes.emplace_back(pivot, dearest);
  }

  EffectModel Model() const {
    return EffectModel(toy.input.space, toy.input.layer_errors, pivot, measured,
                       pairs);
  }
};

TEST(EffectModel, ProbesTellEveryUnitsEffectAtTheScaleOfThePivot) {
  World world;
  world.Scan();
  const EffectModel model = world.Model();
  const Effects effects = model.Expected()->Around(world.pivot);
  for (size_t u = 0; u < 12; ++u) {
    SCOPED_TRACE(u);
    for (uint16_t level : {0, 1, 2}) {
      const double wanted = world.Here(u, level) - world.Here(u, 1);
      EXPECT_NEAR(effects[u][level], wanted, 0.25 * std::abs(wanted));
    }
  }
}

TEST(EffectModel, RacesCorrectWhatProbesGotWrong) {
  World world;
  world.first_type_here = 10;
  world.Scan();
  const auto before = world.Model().Expected()->Around(world.pivot);
  world.MeasureOn(world.pivot, {2, 3});
  for (size_t u = 0; u < 12; u += 2) {
    Assignment raced = world.pivot;
    raced.levels[u] = 0;
    raced.levels[(u + 4) % 12] = 2;
    world.MeasureOn(raced, {2, 3});
    world.pairs.races.emplace_back(raced, world.pivot);
  }
  const auto after = world.Model().Expected()->Around(world.pivot);
  double off_before = 0, off_after = 0;
  for (size_t u = 0; u < 12; u += 2) {
    const double truth = world.Here(u, 0) - world.Here(u, 1);
    off_before += std::abs(before[u][0] - truth);
    off_after += std::abs(after[u][0] - truth);
  }
  EXPECT_LT(off_after, 0.5 * off_before);
}

TEST(EffectModel, DrawsAreSpreadWhereLittleIsKnown) {
  World blind, probed;
  blind.pairs.wholes.emplace_back(blind.pivot, blind.dearest);
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
  EXPECT_GT(spread(blind), 1.1 * spread(probed));
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
