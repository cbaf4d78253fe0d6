#include "search/drop_score.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/search/toy.h"

namespace evopress::search {
namespace {

constexpr ModelScore kScores[] = {ModelScore::kCosine, ModelScore::kMagnitude,
                                  ModelScore::kWindows};

// `blocks` whole blocks, `kept` of which may stay.
StrategyInput Blocks(int blocks, int64_t kept) {
  StrategyInput input;
  SearchSpace& space = input.space;
  space.cost_kinds = {"modules"};
  space.constant_costs = {0};
  space.budgets = {{0, 2 * kept}};
  for (int b = 0; b < blocks; ++b) {
    const std::string name = "layers." + std::to_string(b);
    for (const char* kind : {".self_attn", ".mlp"}) {
      Unit unit;
      unit.name = name + kind + ".proj";
      unit.layers = {unit.name};
      unit.weights = 10;
      unit.menu = {{kKeep, {0}}};
      unit.module = 2 * blocks + b;
      space.units.push_back(unit);
    }
  }
  for (int b = 0; b < blocks; ++b) {
    const std::string name = "layers." + std::to_string(b);
    Unit unit;
    unit.name = name;
    unit.layers = {name + ".self_attn", name + ".mlp"};
    unit.menu = {{kDrop, {0}}, {kKeep, {2}}};
    space.units.push_back(unit);
  }
  return input;
}

std::set<size_t> Dropped(const SearchSpace& space, const Assignment& winner) {
  std::set<size_t> dropped;
  for (size_t u = 0; u < space.units.size(); ++u) {
    if (space.units[u].menu[winner.levels[u]].name == kDrop) dropped.insert(u);
  }
  return dropped;
}

absl::StatusOr<std::set<size_t>> DropBy(const StrategyInput& input,
                                        ModelScore score) {
  auto strategy = MakeStrategy(input, DropScoreOptions{score});
  if (!strategy.ok()) return strategy.status();
  auto step = (*strategy)->Start();
  if (!step.ok()) return step.status();
  return Dropped(input.space, std::get<Done>(*step).winner);
}

TEST(DropScore, TheModulesOfTheLeastScoreGoKindByKind) {
  for (const ModelScore score : {ModelScore::kCosine, ModelScore::kMagnitude}) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      SCOPED_TRACE(seed);
      const int blocks = 6;
      Toy toy = MakeDropToy(blocks, 8, seed);
      SearchSpace& space = toy.input.space;
      toy.input.scores = EmptyScores(space, DropScoreOptions{score});
      Rng rng(seed, 3);
      std::vector<std::pair<double, size_t>> kinds[2];
      for (size_t u = 4 * blocks; u < space.units.size(); ++u) {
        toy.input.scores[u] = {rng.Uniform()};
        kinds[u % 2].emplace_back(toy.input.scores[u][0], u);
      }
      std::set<size_t> want;
      for (auto& kind : kinds) {
        std::sort(kind.begin(), kind.end());
        for (int i = 0; i < 2; ++i) want.insert(kind[i].second);
      }
      const auto found = DropBy(toy.input, score);
      ASSERT_TRUE(found.ok()) << found.status();
      EXPECT_EQ(*found, want);
    }
  }
}

TEST(DropScore, OneWindowOfTheLeastAngleGoes) {
  StrategyInput input = Blocks(5, 3);
  const DropScoreOptions options{ModelScore::kWindows};
  input.scores = EmptyScores(input.space, options);
  for (size_t b = 0; b < 5; ++b) {
    for (double& angle : input.scores[10 + b]) angle = 0.5;
  }
  input.scores[10][0] = 0.01;  // one block alone is not enough
  input.scores[12][1] = 0.2;
  input.scores[10][2] = 0.1;  // and three are more than must go
  const auto found = DropBy(input, ModelScore::kWindows);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(*found, (std::set<size_t>{12, 13}));
}

TEST(DropScore, DropsNothingThatFits) {
  StrategyInput input = Blocks(4, 4);
  for (const ModelScore score : kScores) {
    input.scores = EmptyScores(input.space, DropScoreOptions{score});
    for (auto& scores : input.scores) {
      std::fill(scores.begin(), scores.end(), 0.1);
    }
    const auto found = DropBy(input, score);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_TRUE(found->empty());
  }
}

TEST(DropScore, RefusesWhatItCannotScore) {
  Toy joint = MakeModularToy(2, {2, 4}, 2 * 72 * 3, 1);
  Toy halves = MakeDropToy(3, 4, 1);
  for (const ModelScore score : kScores) {
    const DropScoreOptions options{score};
    joint.input.scores = EmptyScores(joint.input.space, options);
    EXPECT_THAT(MakeStrategy(joint.input, options).status().ToString(),
                testing::HasSubstr("--menu keep"));
    halves.input.scores = EmptyScores(halves.input.space, options);
    EXPECT_EQ(MakeStrategy(halves.input, options).ok(),
              score != ModelScore::kWindows);
    halves.input.scores.clear();
    EXPECT_TRUE(absl::IsFailedPrecondition(
        MakeStrategy(halves.input, options).status()));
  }
  halves.input.scores = EmptyScores(halves.input.space, OwlOptions{});
  EXPECT_TRUE(absl::IsInvalidArgument(
      MakeStrategy(halves.input, DropScoreOptions{ModelScore::kOutliers})
          .status()));
  StrategyInput blocks = Blocks(3, 2);
  blocks.scores.assign(blocks.space.units.size(), {0.0});
  EXPECT_TRUE(absl::IsInvalidArgument(
      MakeStrategy(blocks, DropScoreOptions{ModelScore::kWindows}).status()));
}

}  // namespace
}  // namespace evopress::search
