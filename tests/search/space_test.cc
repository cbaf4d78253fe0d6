#include "search/space.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "tests/search/toy.h"

namespace evopress::search {
namespace {

SearchSpace Good() {
  return MakeToy({64, 64, 32}, {2, 3, 4}, 160 * 3, 1).input.space;
}

void ExpectRefused(const SearchSpace& space, const std::string& part) {
  const absl::Status status = Validate(space);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << part;
  EXPECT_NE(status.ToString().find(part), std::string::npos) << status;
}

TEST(Space, AcceptsAConsistentSpace) {
  EXPECT_TRUE(Validate(Good()).ok()) << Validate(Good());
}

TEST(Space, RefusesWhatIsInconsistentAndNamesIt) {
  SearchSpace space = Good();
  space.units.clear();
  ExpectRefused(space, "no units");
  space = Good();
  space.units[1].name = space.units[0].name;
  ExpectRefused(space, "\"unit.0\" appears twice");
  space = Good();
  space.units[1].menu.clear();
  ExpectRefused(space, "\"unit.1\" has no levels");
  space = Good();
  space.units[1].menu[1].name = space.units[1].menu[0].name;
  ExpectRefused(space, "twice");
  space = Good();
  space.units[2].menu[1].costs = {};
  ExpectRefused(space, "0 costs");
  space = Good();
  space.units[2].menu[0].costs = {-1};
  ExpectRefused(space, "negative code_bits -1");
  space = Good();
  space.constant_costs = {-5};
  ExpectRefused(space, "negative");
  space = Good();
  std::swap(space.units[0].menu[0], space.units[0].menu[2]);
  ExpectRefused(space, "out of order");
  space = Good();
  space.budgets[0].kind = 1;
  ExpectRefused(space, "budgets[0].kind=1");
  space = Good();
  space.units[0].weights = -3;
  ExpectRefused(space, "-3 weights");
  space.units[0].weights = std::numeric_limits<int64_t>::max();
  ExpectRefused(space, "9223372036854775807 weights; legal are 0 to");
}

TEST(Space, RefusesSumsThatOverflow) {
  SearchSpace space = Good();
  space.units[1].menu.back().costs = {std::numeric_limits<int64_t>::max()};
  ExpectRefused(space, "exceeds 64 bits");
  space = Good();
  space.constant_costs = {std::numeric_limits<int64_t>::max() - 10};
  ExpectRefused(space, "exceeds 64 bits");
  StrategyInput input;
  input.space = space;
  EXPECT_FALSE(MakeStrategy(input, UniformOptions{}).ok());
}

TEST(Space, SortMenusPutsThemInOrder) {
  SearchSpace space = Good();
  std::swap(space.units[0].menu[0], space.units[0].menu[2]);
  SortMenus(space);
  EXPECT_EQ(space, Good());
}

TEST(Space, ChecksAssignments) {
  EXPECT_TRUE(Validate(Good(), Assignment{{0, 1, 2}}).ok());
  EXPECT_FALSE(Validate(Good(), Assignment{{0, 1}}).ok());
  EXPECT_FALSE(Validate(Good(), Assignment{{0, 1, 3}}).ok());
}

TEST(Space, CostIsTheConstantPlusTheUnits) {
  EXPECT_EQ(Cost(Good(), Assignment{{0, 1, 2}}, 0), 1000 + 128 + 192 + 128);
  const CostRange range = ReachableCosts(Good(), 0);
  EXPECT_EQ(range.min, 1000 + 320);
  EXPECT_EQ(range.max, 1000 + 640);
  EXPECT_TRUE(WithinBudgets(Good(), Assignment{{1, 1, 1}}));
  EXPECT_FALSE(WithinBudgets(Good(), Assignment{{1, 1, 2}}));
}

TEST(Space, PrintsTheReachableRangeOfAnUnreachableBudget) {
  SearchSpace space = Good();
  space.budgets[0].limit = 1319;
  const absl::Status status = CheckBudgetsReachable(space);
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_EQ(status.message(),
            "budget of 1319 code_bits is out of reach; this space reaches "
            "1320 to 1640");
  space.budgets[0].limit = 1320;
  EXPECT_TRUE(CheckBudgetsReachable(space).ok());
  space.budgets[0].limit = 1 << 30;
  EXPECT_TRUE(CheckBudgetsReachable(space).ok());
}

TEST(Space, FindsByNameAndSuggestsTheNearest) {
  EXPECT_EQ(*FindUnit(Good(), "unit.1"), 1);
  const absl::Status status = FindUnit(Good(), "unt.2").status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_NE(status.ToString().find("nearest are unit.2"), std::string::npos);
  EXPECT_EQ(*FindLevel(Good().units[0], "gptq:b3:g64:asym"), 1);
  EXPECT_NE(FindLevel(Good().units[0], "x")
                .status()
                .ToString()
                .find("gptq:b4:g64:asym"),
            std::string::npos);
}

TEST(Space, HashCoversEverythingAStrategyCanSee) {
  std::vector<SearchSpace> spaces(11, Good());
  spaces[1].cost_kinds[0] = "bits";
  spaces[2].constant_costs[0] = 1;
  spaces[3].units[0].name = "x";
  spaces[4].units[0].layers.push_back("x");
  spaces[5].units[0].weights = 1;
  spaces[6].units[0].group = "";
  spaces[7].units[0].menu[0].name = "x";
  spaces[8].units[0].menu[0].costs[0] = 1;
  spaces[9].budgets[0].limit = 1;
  spaces[10].units.pop_back();
  std::set<std::string> hashes;
  for (const SearchSpace& space : spaces) hashes.insert(Hash(space));
  EXPECT_EQ(hashes.size(), spaces.size());
  EXPECT_EQ(Hash(Good()), Hash(Good()));
  EXPECT_EQ(Hash(Good()).size(), 64u);
  EXPECT_NE(Hash(Assignment{{1, 2}}), Hash(Assignment{{2, 1}}));
}

TEST(Modules, WhatIsDroppedCostsNothing) {
  const SearchSpace space = MakeModularToy(1, {2, 3}, 1000, 1).input.space;
  ASSERT_TRUE(Validate(space).ok()) << Validate(space);
  // Layers of 16, 16 | 32, 8 at 3 bits, then attention and MLP.
  Assignment all{{1, 1, 1, 1, 1, 1}};
  EXPECT_EQ(Cost(space, all, 0), 1000 + 72 * 3 + 2 * 8);
  EXPECT_EQ(Cost(space, all, 1), 2);
  Assignment no_mlp{{1, 1, 1, 1, 1, 0}};
  EXPECT_EQ(Cost(space, no_mlp, 0), 1000 + 32 * 3 + 8);
  EXPECT_EQ(Cost(space, no_mlp, 1), 1);
  EXPECT_EQ(Cost(space, Assignment{{1, 1, 1, 1, 0, 0}}, 0), 1000);
  EXPECT_EQ(ReachableCosts(space, 0).min, 1000);
  EXPECT_EQ(ReachableCosts(space, 0).max, Cost(space, all, 0));
}

TEST(Modules, EqualPhenotypesHaveOneCanonicalAssignment) {
  const SearchSpace space = MakeModularToy(1, {2, 3}, 1000, 1).input.space;
  std::set<Assignment> canonical;
  ForEachAssignment(space, [&](const Assignment& assignment) {
    const Assignment made = Canonical(space, assignment);
    EXPECT_EQ(Canonical(space, made), made);
    EXPECT_EQ(Cost(space, made, 0), Cost(space, assignment, 0));
    canonical.insert(made);
  });
  // Each module: dropped, or any of 2 x 2 choices inside.
  EXPECT_EQ(canonical.size(), 5u * 5u);
}

TEST(Modules, AreCheckedAndNamed) {
  const SearchSpace good = MakeModularToy(2, {2, 3}, 1000, 1).input.space;
  SearchSpace space = good;
  space.units[0].module = 99;
  ExpectRefused(space, "module 99");
  space = good;
  std::swap(space.units[8].menu[0].name, space.units[8].menu[1].name);
  ExpectRefused(space, "\"layers.0.self_attn\" must have the levels drop");
  space = good;
  space.units[8].menu[0].costs = {1, 0};
  ExpectRefused(space, "costs 1 code_bits when dropped");
  space = good;
  space.units[8].module = 9;
  ExpectRefused(space, "do not nest");
  // A tie over two blocks cannot be half dropped.
  space = good;
  space.units[0].layers.push_back(space.units[4].name);
  ExpectRefused(space, "spans modules");
  space = good;
  space.units[0].module = kNoModule;
  ExpectRefused(space, "spans modules");
}

TEST(Modules, ChangeTheHashAndNothingElseDoes) {
  const SearchSpace space = MakeModularToy(2, {2, 3}, 1000, 1).input.space;
  SearchSpace without = space;
  for (Unit& unit : without.units) unit.module = kNoModule;
  EXPECT_NE(Hash(space), Hash(without));
  SearchSpace other = space;
  std::swap(other.units[0].module, other.units[2].module);
  EXPECT_NE(Hash(space), Hash(other));
}

}  // namespace
}  // namespace evopress::search
