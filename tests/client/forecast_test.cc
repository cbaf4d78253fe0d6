#include "client/forecast.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "search/replay.h"

namespace evopress::client {
namespace {

using ::testing::HasSubstr;

// `blocks` blocks of one layer of 1,000 weights at 2 to 6 bits.
search::SearchSpace Space(int blocks, int64_t bits) {
  search::SearchSpace space;
  space.cost_kinds = {"code_bits", "stored_bits", "model_bits"};
  space.constant_costs = {0, 0, 500};
  for (int b = 0; b < blocks; ++b) {
    search::Unit unit;
    unit.name = absl::StrCat("model.layers.", b, ".mlp.down_proj");
    unit.layers = {unit.name};
    unit.weights = 1000;
    for (int64_t width = 2; width <= 6; ++width) {
      unit.menu.push_back({absl::StrCat("gptq:b", width, ":g0:asym"),
                           {1000 * width, 1100 * width, 1100 * width}});
    }
    space.units.push_back(std::move(unit));
  }
  space.budgets = {{0, blocks * 1000 * bits}};
  return space;
}

search::StrategyInput Input(int blocks, int64_t bits) {
  search::StrategyInput input;
  input.space = Space(blocks, bits);
  input.num_samples = 32;
  input.sample_tokens = 1024;
  input.seed = 1;
  return input;
}

TEST(Reach, SaysWhatTheMenuReachesAndWhichBudgetsHold) {
  search::SearchSpace space = Space(4, 3);
  space.budgets.push_back({1, 100});
  const Reach reach = DescribeReach(space);
  EXPECT_EQ(reach.ranges[0].min, 8000);
  EXPECT_EQ(reach.ranges[2].max, 4 * 6600 + 500);
  EXPECT_TRUE(reach.holds[0]);
  EXPECT_FALSE(reach.holds[1]);
  EXPECT_THAT(reach.unreachable, HasSubstr("stored_bits"));
}

TEST(Reach, GainIsUnlikelyFromFourBitsOnAndWhereNothingBinds) {
  EXPECT_EQ(DescribeReach(Space(4, 3)).gain_unlikely, "");
  EXPECT_THAT(DescribeReach(Space(4, 4)).gain_unlikely, HasSubstr("rule"));
  EXPECT_THAT(DescribeReach(Space(4, 6)).gain_unlikely, HasSubstr("binds"));
  // The tightest of several budgets counts.
  search::SearchSpace space = Space(4, 5);
  space.budgets.push_back({1, 4 * 1000 * 3});
  EXPECT_EQ(DescribeReach(space).gain_unlikely, "");
}

TEST(Rehearsal, AsksForWhatTheSearchWillAskFor) {
  search::EvoPressOptions options;
  options.generations = 4;
  options.offspring = 8;
  options.stages = {{2, 1}, {1, 4}};
  const auto rehearsal =
      RehearseSearch(Input(12, 3), options, absl::Seconds(60));
  ASSERT_TRUE(rehearsal.ok()) << rehearsal.status();
  EXPECT_TRUE(rehearsal->finished);
  EXPECT_LE(rehearsal->tokens, search::PlannedTokens(Input(12, 3), options));
  EXPECT_GT(rehearsal->tokens,
            search::PlannedTokens(Input(12, 3), options) / 2);
}

TEST(Rehearsal, CountsSharedBlocksOnce) {
  // Probes of one unit at a time share half of the blocks on average.
  const auto probes = RehearseSearch(Input(20, 3), search::WeightedDpOptions{},
                                     absl::Seconds(60));
  ASSERT_TRUE(probes.ok()) << probes.status();
  double blocks = 0;
  int64_t tokens = 0;
  for (const TaskWork& task : probes->rounds[0]) {
    blocks += task.block_tokens;
    tokens += task.tokens;
    EXPECT_LE(task.block_tokens, static_cast<double>(task.tokens));
  }
  EXPECT_NEAR(blocks / static_cast<double>(tokens), 0.6, 0.15);
  int64_t fresh = 0;
  for (const auto& round : probes->rounds) {
    for (const TaskWork& task : round) fresh += task.new_tokens;
  }
  EXPECT_EQ(fresh, 1024) << "one sequence, seen for the first time once";
}

TEST(Rehearsal, ALevelOfTheHeadSharesAllBlocksAndOneOfTheEmbeddingNone) {
  for (const bool head : {true, false}) {
    search::StrategyInput input = Input(8, 3);
    search::Unit& unit = input.space.units[head ? 7 : 0];
    unit.name = head ? "lm_head" : "model.embed_tokens";
    unit.layers = {unit.name};
    for (search::Unit& other : input.space.units) {
      if (&other != &unit) other.menu.resize(1);
    }
    const auto probes =
        RehearseSearch(input, search::WeightedDpOptions{}, absl::Seconds(60));
    ASSERT_TRUE(probes.ok()) << probes.status();
    double blocks = 0;
    int64_t tokens = 0;
    for (const TaskWork& task : probes->rounds[0]) {
      blocks += task.block_tokens;
      tokens += task.tokens;
    }
    EXPECT_EQ(blocks < static_cast<double>(tokens), head);
  }
}

TEST(Rehearsal, PlaysSearchesOverModules) {
  search::StrategyInput input = Input(8, 3);
  search::SearchSpace& space = input.space;
  for (int b = 0; b < 8; ++b) {
    search::Unit module;
    module.name = absl::StrCat("model.layers.", b, ".mlp");
    module.layers = {module.name};
    module.menu = {{search::kDrop, {0, 0, 0}}, {search::kKeep, {0, 0, 0}}};
    space.units[b].module = static_cast<int>(space.units.size());
    space.units.push_back(std::move(module));
  }
  // The dearest assignment, then a layer at a time, then a module at a time.
  const auto probes =
      RehearseSearch(input, search::WeightedDpOptions{}, absl::Seconds(60));
  ASSERT_TRUE(probes.ok()) << probes.status();
  EXPECT_TRUE(probes->finished);
  double blocks = 0;
  int64_t tokens = 0;
  for (const TaskWork& task : probes->rounds[0]) {
    blocks += task.block_tokens;
    tokens += task.tokens;
  }
  EXPECT_LT(blocks / static_cast<double>(tokens), 0.75)
      << "a dropped module shares the blocks before it";
}

TEST(RoundSeconds, TheLastWorkerDecides) {
  EngineSpeed speed;
  speed.block = 1;
  const TaskWork task{10, 10, 0};
  const std::vector<TaskWork> round(3, task);
  EXPECT_DOUBLE_EQ(RoundSeconds(round, speed, 1), 30);
  // Each of two has half of the machine: two tasks in 20 s, the third alone.
  EXPECT_DOUBLE_EQ(RoundSeconds(round, speed, 2), 40);
}

TEST(PlannedTokens, HaveARangeWhereAStrategyMayEndEarly) {
  search::GuidedOptions guided;
  guided.samples = {1, 2, 4};
  guided.decision_samples = 4;
  const auto input = Input(12, 3);
  const int64_t least = search::LeastTokens(input, guided);
  const int64_t most = search::PlannedTokens(input, guided);
  EXPECT_LT(least, most);
  EXPECT_EQ(search::LeastTokens(input, search::EvoPressOptions{}),
            search::PlannedTokens(input, search::EvoPressOptions{}));
}

}  // namespace
}  // namespace evopress::client
