#include "search/mutation.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/search/toy.h"

namespace evopress::search {
namespace {

const SearchSpace& Space() {
  static const auto* space = new SearchSpace(
      MakeToy({64, 64, 64, 32, 32, 128, 128, 128}, {2, 3, 4, 5, 6}, 640 * 3, 1)
          .input.space);
  return *space;
}
const Assignment kParent{{1, 1, 1, 1, 1, 1, 1, 1}};

TEST(SwitchLevels, EveryChildKeepsTheCostAndDiffersFromItsParent) {
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const auto child = SwitchLevels(Space(), kParent, /*max_switches=*/3, rng);
    ASSERT_TRUE(child.ok()) << child.status();
    ASSERT_TRUE(Validate(Space(), *child).ok());
    EXPECT_EQ(Cost(Space(), *child, 0), Cost(Space(), kParent, 0));
    EXPECT_NE(*child, kParent);
  }
}

TEST(SwitchLevels, TradesWithinGroupsOnly) {
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    Rng rng(seed);
    const auto child = SwitchLevels(Space(), kParent, 3, rng);
    ASSERT_TRUE(child.ok());
    for (const auto& [first, last] :
         {std::pair{0, 3}, std::pair{3, 5}, std::pair{5, 8}}) {
      int sum = 0;
      for (int u = first; u < last; ++u) sum += child->levels[u] - 1;
      ASSERT_EQ(sum, 0) << seed;
    }
  }
}

TEST(SwitchLevels, OneGroupTradesAcrossSizesIfTheCostIsExactlyEqual) {
  SearchSpace space = Space();
  for (Unit& unit : space.units) unit.group.clear();
  bool crossed = false;
  for (uint64_t seed = 0; seed < 500; ++seed) {
    Rng rng(seed);
    const auto child = SwitchLevels(space, kParent, 1, rng);
    ASSERT_TRUE(child.ok());
    ASSERT_EQ(Cost(space, *child, 0), Cost(space, kParent, 0));
    crossed |= child->levels[0] + child->levels[1] + child->levels[2] != 3;
  }
  EXPECT_TRUE(crossed);
}

TEST(SwitchLevels, OneSwitchOfEqualStepsMovesTwoUnitsByOneLevel) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Rng rng(seed);
    const auto child = SwitchLevels(Space(), kParent, 1, rng);
    ASSERT_TRUE(child.ok());
    int raised = 0, lowered = 0;
    for (size_t u = 0; u < kParent.levels.size(); ++u) {
      raised += child->levels[u] == 2;
      lowered += child->levels[u] == 0;
    }
    EXPECT_EQ(raised, 1);
    EXPECT_EQ(lowered, 1);
  }
}

TEST(SwitchLevels, PairsStepsOfUnequalMenusExactly) {
  // 4 -> 6 bits of one unit is paid by 4 -> 2 of another, in one step or two.
  SearchSpace space;
  space.cost_kinds = {"bits"};
  space.constant_costs = {0};
  space.budgets = {{0, 80}};
  space.units = {
      {"a", {"a"}, 10, "", {{"b4", {40}}, {"b6", {60}}}},
      {"b", {"b"}, 10, "", {{"b2", {20}}, {"b3", {30}}, {"b4", {40}}}}};
  Rng rng(1);
  const auto child = SwitchLevels(space, Assignment{{0, 2}}, 1, rng);
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ(*child, (Assignment{{1, 0}}));
}

TEST(SwitchLevels, ReachesLevelsOfEqualCost) {
  SearchSpace space;
  space.cost_kinds = {"bits"};
  space.constant_costs = {0};
  space.budgets = {{0, 30}};
  space.units = {{"a", {"a"}, 10, "", {{"asym", {30}}, {"sym", {30}}}}};
  Rng rng(1);
  const auto child = SwitchLevels(space, Assignment{{0}}, 3, rng);
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ(*child, (Assignment{{1}}));
}

TEST(SwitchLevels, SaysWhenNothingCanBeSwitched) {
  Rng rng(1);
  SearchSpace lone = Space();
  lone.units.resize(1);
  EXPECT_TRUE(absl::IsFailedPrecondition(
      SwitchLevels(lone, Assignment{{1}}, 3, rng).status()));
  const Assignment cheapest{{0, 0, 0, 0, 0, 0, 0, 0}};
  EXPECT_TRUE(absl::IsFailedPrecondition(
      SwitchLevels(Space(), cheapest, 3, rng).status()));
}

TEST(SwitchLevels, RespectsSecondaryBudgets) {
  SearchSpace space = Space();
  space.cost_kinds.push_back("stored");
  space.constant_costs.push_back(0);
  for (Unit& unit : space.units) {
    for (size_t l = 0; l < unit.menu.size(); ++l) {
      // Only the first unit pays for rising.
      unit.menu[l].costs.push_back(unit.name == "unit.0" ? l : 0);
    }
  }
  space.budgets.push_back({1, 1});
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Rng rng(seed);
    const auto child = SwitchLevels(space, kParent, 3, rng);
    ASSERT_TRUE(child.ok());
    EXPECT_TRUE(WithinBudgets(space, *child));
  }
}

TEST(Offspring, AreDistinctAndEndWhereFewExist) {
  const std::vector<Assignment> many = Offspring(Space(), kParent, 64, 3, 9, 1);
  EXPECT_EQ(std::set<Assignment>(many.begin(), many.end()).size(), 64u);

  SearchSpace pair = Space();
  pair.units.resize(2);
  for (Unit& unit : pair.units) unit.menu.resize(3);
  const auto few = Offspring(pair, Assignment{{1, 1}}, 64, 3, 9, 1);
  EXPECT_EQ(std::set<Assignment>(few.begin(), few.end()),
            (std::set<Assignment>{Assignment{{0, 2}}, Assignment{{2, 0}}}));
  EXPECT_TRUE(Offspring(pair, Assignment{{0, 0}}, 64, 3, 9, 1).empty());
}

}  // namespace
}  // namespace evopress::search
