// What the guided strategy promises where modules can be dropped.
#include <gtest/gtest.h>

#include <utility>

#include "search/knapsack.h"
#include "tests/search/toy.h"

namespace evopress::search {
namespace {

// Modules in pairs: alone, the second of a pair hurts more than any other
// module; with the first gone it mends the model. Scores of single drops
// mislead, and removing strictly more improves a lot.
struct Deceptive {
  Toy toy;
  size_t first_module = 0;
  std::vector<std::pair<size_t, size_t>> pairs;
  std::vector<double> alone;  // of every module

  double Damage(const Assignment& assignment) const {
    const auto dropped = [&](size_t module) {
      return assignment.levels[first_module + module] == kDropped;
    };
    double damage = 1;
    for (size_t m = 0; m < alone.size(); ++m) {
      if (dropped(m)) damage += alone[m];
    }
    for (const auto& [a, b] : pairs) {
      if (dropped(a) && dropped(b)) damage -= alone[a] + alone[b];
    }
    return damage;
  }
  Measure Exact() const {
    return [this](const Assignment& assignment, int32_t) {
      return SampleSums{100 * Damage(assignment), 0, 0, 100};
    };
  }
};

Deceptive MakeDeceptive(uint64_t seed) {
  constexpr int kBlocks = 8;  // 16 modules, 4 must go
  Deceptive made;
  made.toy = MakeDropToy(kBlocks, /*kept=*/12, seed);
  made.toy.input.num_samples = 32;
  made.first_module = made.toy.input.space.units.size() - 2 * kBlocks;
  Rng rng(seed, 9);
  for (int m = 0; m < 2 * kBlocks; ++m) {
    made.alone.push_back(0.2 + 0.05 * rng.Uniform());
  }
  // Of one kind each, since as many of each kind go.
  const size_t block = rng.Below(kBlocks - 1);
  made.pairs = {{2 * block, 2 * block + 2}, {2 * block + 1, 2 * block + 3}};
  for (const auto& [a, b] : made.pairs) {
    made.alone[a] = 0.15;
    made.alone[b] = 0.3;
  }
  return made;
}

TEST(GuidedOverModules, SeesThatRemovingMoreImprovesWhereScoresMislead) {
  int greedy_right = 0, right = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Deceptive made = MakeDeceptive(seed);
    const auto greedy = Search(made.toy.input, GreedyOptions{}, made.Exact());
    const auto guided = Search(made.toy.input, GuidedOptions{}, made.Exact());
    ASSERT_TRUE(guided.ok()) << guided.status();
    greedy_right += made.Damage(greedy->done.winner) < 1 + 1e-9;
    right += made.Damage(guided->done.winner) < 1 + 1e-9;
  }
  EXPECT_EQ(greedy_right, 0);
  EXPECT_EQ(right, 20);
}

// Effects of drops are known to no one beforehand, those of levels in part.
TEST(GuidedOverModules, FindsTheJointOptimumOfLinearDamage) {
  int right = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    Toy toy = MakeModularToy(4, {2, 3, 4}, 4 * 72 * 2 + 64, seed);
    toy.input.num_samples = 32;
    const auto optimum = SolveKnapsack(toy.input.space, toy.input.layer_errors);
    ASSERT_TRUE(optimum.ok()) << optimum.status();
    StrategyInput blind = toy.input;
    for (size_t u = 0; u < blind.layer_errors.size(); ++u) {
      if (blind.space.units[u].menu[0].name == kDrop) {
        blind.layer_errors[u] = {2, 0};
      }
    }
    const auto guided = Search(blind, GuidedOptions{}, ExactMeasure(toy));
    ASSERT_TRUE(guided.ok()) << guided.status();
    EXPECT_TRUE(WithinBudgets(toy.input.space, guided->done.winner));
    right += Damage(toy, guided->done.winner) <= Damage(toy, *optimum) + 1e-9;
  }
  EXPECT_GE(right, 9);
}

TEST(GuidedOverModules, IsNoWorseThanTheOneShotScore) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    SCOPED_TRACE(seed);
    Toy toy = MakeDropToy(8, /*kept=*/11, seed);
    toy.input.num_samples = 32;
    const auto score = Search(toy.input, GreedyOptions{}, ExactMeasure(toy));
    const auto guided = Search(toy.input, GuidedOptions{}, ExactMeasure(toy));
    ASSERT_TRUE(guided.ok()) << guided.status();
    EXPECT_LE(Damage(toy, guided->done.winner),
              Damage(toy, score->done.winner) + 1e-12);
  }
}

}  // namespace
}  // namespace evopress::search
