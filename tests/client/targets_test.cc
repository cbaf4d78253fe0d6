// Lists of budgets.
#include "client/targets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace evopress::client {
namespace {

using ::testing::HasSubstr;

search::SearchSpace Space() {
  SpaceOptions options;
  options.menu = "rtn:2-4:g32";
  auto space = BuildSpace(
      {{"model.layers.0.mlp.down_proj.weight", {64, 128}, "F16", 16384},
       {"model.layers.0.mlp.up_proj.weight", {128, 64}, "F16", 16384}},
      options);
  EXPECT_TRUE(space.ok()) << space.status();
  return *space;
}

constexpr int64_t kWeights = 2 * 64 * 128;

TEST(SetTargets, KeepsNamesAndOrderAndTheSpaceHasTheGreatestLimit) {
  search::SearchSpace space = Space();
  BudgetOptions options;
  options.target_bits = "2.5, 4,3";
  options.budgets = {"stored_bits=100000"};
  const auto targets = SetTargets(options, space);
  ASSERT_TRUE(targets.ok()) << targets.status();
  EXPECT_EQ(*targets, (std::vector<search::Target>{{"2.5", kWeights * 5 / 2},
                                                   {"4", kWeights * 4},
                                                   {"3", kWeights * 3}}));
  ASSERT_EQ(space.budgets.size(), 2u);
  EXPECT_EQ(space.budgets[0].limit, kWeights * 4);
  const auto spaces = SpacesOf(space, *targets);
  ASSERT_EQ(spaces.size(), 3u);
  EXPECT_EQ(spaces[0].budgets[0].limit, kWeights * 5 / 2);
  EXPECT_EQ(spaces[0].budgets[1].limit, 100000);
}

TEST(SetTargets, OneBudgetIsNoList) {
  search::SearchSpace space = Space();
  BudgetOptions options;
  options.target_bits = "3";
  const auto targets = SetTargets(options, space);
  ASSERT_TRUE(targets.ok());
  EXPECT_TRUE(targets->empty());
  EXPECT_EQ(SpacesOf(space, *targets).size(), 1u);
  EXPECT_EQ(space.budgets[0].limit, kWeights * 3);
}

TEST(SetTargets, TakesSizes) {
  search::SearchSpace space = Space();
  BudgetOptions options;
  options.max_size = "6kB,7kB";
  const auto targets = SetTargets(options, space);
  ASSERT_TRUE(targets.ok()) << targets.status();
  EXPECT_EQ(targets->at(0).name, "6kB");
  EXPECT_EQ(space.budgets[0].limit, 56000);
}

TEST(SetTargets, RefusesWhatCannotHaveAWinnerEach) {
  const auto refusal = [](const BudgetOptions& options) {
    search::SearchSpace space = Space();
    return std::string(SetTargets(options, space).status().message());
  };
  BudgetOptions options;
  options.target_bits = "2.5,,3";
  EXPECT_THAT(refusal(options), HasSubstr("empty entry"));
  options.target_bits = "2.5,x";
  EXPECT_THAT(refusal(options), HasSubstr("x"));
  options.target_bits = "3,3";
  EXPECT_THAT(refusal(options), HasSubstr("different limits"));
  options.target_bits = "2.5,3";
  options.max_size = "6kB,7kB";
  EXPECT_THAT(refusal(options), HasSubstr("two lists"));
}

TEST(CheckTargets, NamesTheBudgetThatIsOutOfReach) {
  search::SearchSpace space = Space();
  BudgetOptions options;
  options.target_bits = "1.5,3";
  const auto targets = SetTargets(options, space);
  ASSERT_TRUE(targets.ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(CheckTargets(space, *targets)));
}

}  // namespace
}  // namespace evopress::client
