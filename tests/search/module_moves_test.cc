#include "search/module_moves.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "search/mutation.h"
#include "search/start_point.h"
#include "tests/search/toy.h"

namespace evopress::search {
namespace {

// Modules of a space that are kept, by kind.
std::map<std::string, int> Kept(const SearchSpace& space,
                                const Assignment& assignment) {
  std::map<std::string, int> kept;
  for (size_t u = 0; u < space.units.size(); ++u) {
    if (space.units[u].menu[0].name != kDrop) continue;
    kept[space.units[u].group] += assignment.levels[u] == kKept;
  }
  return kept;
}

TEST(ModuleMoves, DepthPruningTradesModulesOfOneKind) {
  const Toy toy = MakeDropToy(8, /*kept=*/12, 1);
  const SearchSpace& space = toy.input.space;
  const auto starts = StartCandidates(space, 4, 1);
  ASSERT_TRUE(starts.ok()) << starts.status();
  for (const Assignment& parent : *starts) {
    EXPECT_EQ(Kept(space, parent)["self_attn"], 6);
    EXPECT_EQ(Kept(space, parent)["mlp"], 6);
    const auto children = Offspring(space, parent, 24, 3, 5, 1);
    EXPECT_EQ(children.size(), 24u);
    for (const Assignment& child : children) {
      EXPECT_NE(child, parent);
      EXPECT_EQ(Kept(space, child), Kept(space, parent));
    }
  }
}

TEST(ModuleMoves, EverySingleSwapOfTheKindCanHappen) {
  const Toy toy = MakeDropToy(3, /*kept=*/4, 1);
  const SearchSpace& space = toy.input.space;
  Assignment parent = Dearest(space);
  parent.levels[12] = parent.levels[13] = kDropped;  // both of block 0
  std::set<Assignment> children;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(seed);
    const auto child = SwitchLevels(space, parent, 1, rng);
    ASSERT_TRUE(child.ok()) << child.status();
    children.insert(*child);
  }
  EXPECT_EQ(children.size(), 4u);  // one of two blocks, for each kind
}

TEST(ModuleMoves, ChildrenStayWithinTheBudgetAndAreCanonical) {
  const Toy toy = MakeModularToy(6, {2, 3, 4, 5}, 6 * 72 * 3, 2);
  const SearchSpace& space = toy.input.space;
  Assignment parent = StartCandidates(space, 1, 1)->front();
  std::set<int64_t> numbers;
  for (uint64_t round = 0; round < 40; ++round) {
    const auto children = Offspring(space, parent, 16, 3, 7, round);
    ASSERT_FALSE(children.empty());
    for (const Assignment& child : children) {
      ASSERT_TRUE(WithinBudgets(space, child));
      for (size_t u = 0; u < space.units.size(); ++u) {
        ASSERT_TRUE(IsActive(space, child, u) || child.levels[u] == 0);
      }
      ASSERT_NE(child, parent);
      numbers.insert(Cost(space, child, 1));
    }
    parent = children[round % children.size()];
  }
  // The number of modules moves both ways.
  EXPECT_GT(numbers.size(), 4u);
}

TEST(ModuleMoves, ASwapHandsOverTheLevelsAndCostsNothing) {
  const Toy toy = MakeModularToy(2, {2, 3, 4}, 2 * 72 * 3, 2);
  const SearchSpace& space = toy.input.space;
  Draft draft{{{1, 2, 0, 2, 0, 0, 1, 1, 1, 1, 0, 1}},
              std::vector<Way>(12, Way::kNone)};
  const int64_t cost = Cost(space, draft.child, 0);
  const ModuleMoves moves(space);
  const auto swaps = moves.Swaps(draft);
  ASSERT_EQ(swaps.size(), 1u);  // no MLP is dropped
  Rng rng(1);
  moves.Swap(swaps[0], draft, rng);
  EXPECT_EQ(draft.child, (Assignment{{0, 0, 0, 2, 1, 2, 1, 1, 0, 1, 1, 1}}));
  EXPECT_EQ(Cost(space, draft.child, 0), cost);
  EXPECT_TRUE(moves.Swaps(draft).empty());  // neither moves again
}

TEST(ModuleMoves, ADroppedModulesBitsAreSpentElsewhere) {
  const Toy toy = MakeModularToy(2, {2, 3, 4}, 2 * 72 * 3 + 32, 2);
  const SearchSpace& space = toy.input.space;
  const Assignment parent{{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}};
  ASSERT_EQ(Cost(space, parent, 0), space.budgets[0].limit);
  const ModuleMoves moves(space);
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Draft draft{parent, std::vector<Way>(12, Way::kNone)};
    Rng rng(seed);
    moves.Resize(8, draft, rng);
    EXPECT_EQ(draft.child.levels[8], kDropped);
    EXPECT_TRUE(WithinBudgets(space, draft.child));
    // What is left of the 104 bits pays for no further raise.
    const int64_t left = space.budgets[0].limit - Cost(space, draft.child, 0);
    for (size_t u = 2; u < 8; ++u) {
      EXPECT_GE(draft.child.levels[u], 1);
      if (draft.child.levels[u] > 1) continue;
      EXPECT_GT(space.units[u].weights, left);
    }
  }
}

TEST(ModuleMoves, ARestoredModuleIsPaidForByOthers) {
  const Toy toy = MakeModularToy(2, {2, 3, 4}, 2 * 72 * 3 + 32, 2);
  const SearchSpace& space = toy.input.space;
  const Assignment parent{{0, 0, 2, 2, 2, 2, 1, 1, 0, 1, 1, 1}};
  ASSERT_TRUE(WithinBudgets(space, parent));
  const ModuleMoves moves(space);
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Draft draft{parent, std::vector<Way>(12, Way::kNone)};
    Rng rng(seed);
    moves.Resize(8, draft, rng);
    EXPECT_EQ(draft.child.levels[8], kKept);
    // As the other attention had it.
    EXPECT_EQ(draft.child.levels[0], 2);
    EXPECT_TRUE(WithinBudgets(space, draft.child));
  }
  // Where nothing can pay, nothing happens.
  SearchSpace tight = space;
  tight.budgets[0].limit = 1000 + 16;
  const Assignment none{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}};
  Draft draft{none, std::vector<Way>(12, Way::kNone)};
  Rng rng(1);
  ModuleMoves(tight).Resize(8, draft, rng);
  EXPECT_EQ(draft.child, none);
}

TEST(StartCandidates, DropFirstWhereABudgetIsTheModulesAlone) {
  Toy toy = MakeModularToy(8, {2, 3, 4, 5}, 8 * 72 * 3, 2);
  SearchSpace& space = toy.input.space;
  space.budgets.push_back({1, 12});
  const auto starts = StartCandidates(space, 8, 1);
  ASSERT_TRUE(starts.ok()) << starts.status();
  EXPECT_EQ(starts->size(), 8u);
  for (const Assignment& start : *starts) {
    EXPECT_TRUE(WithinBudgets(space, start));
    EXPECT_EQ(start, Canonical(space, start));
    EXPECT_EQ(Cost(space, start, 1), 12);
    EXPECT_GT(Cost(space, start, 0), space.budgets[0].limit - 8);
    for (const Assignment& child : Offspring(space, start, 8, 3, 1, 1)) {
      EXPECT_TRUE(WithinBudgets(space, child));
    }
  }
}

TEST(StartCandidates, MeetAThirdBudgetBesideThatOfTheModules) {
  Toy toy = MakeModularToy(8, {2, 3, 4, 5}, 8 * 72 * 3, 2);
  SearchSpace& space = toy.input.space;
  space.cost_kinds.push_back("ns");
  space.constant_costs.push_back(0);
  for (Unit& unit : space.units) {
    for (size_t l = 0; l < unit.menu.size(); ++l) {
      unit.menu[l].costs.push_back(unit.weights > 0 ? l : 0);
    }
  }
  space.budgets.push_back({1, 12});
  space.budgets.push_back({2, 8});
  const auto starts = StartCandidates(space, 8, 1);
  ASSERT_TRUE(starts.ok()) << starts.status();
  for (const Assignment& start : *starts) {
    EXPECT_TRUE(WithinBudgets(space, start));
    EXPECT_EQ(start, Canonical(space, start));
  }
}

}  // namespace
}  // namespace evopress::search
