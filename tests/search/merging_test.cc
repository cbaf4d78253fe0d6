#include "search/merging.h"

#include <gtest/gtest.h>

#include "search/uniform.h"
#include "tests/search/toy.h"

namespace evopress::search {
namespace {

// Damage as it is.
class Truth : public Belief {
 public:
  explicit Truth(const Toy& toy) : toy_(toy) {}
  double Total(const Assignment& assignment) const override {
    return Damage(toy_, assignment);
  }
  Effects Around(const Assignment& center) const override {
    Effects effects = toy_.input.layer_errors;
    for (size_t u = 0; u < effects.size(); ++u) {
      const double own = effects[u][center.levels[u]];
      for (double& effect : effects[u]) effect -= own;
    }
    return effects;
  }

 private:
  const Toy& toy_;
};

TEST(Merge, TakesWhatEveryWinnerChanges) {
  const Toy toy = MakeToy({8, 8, 8, 8}, {2, 3, 4}, 4 * 8 * 3, 1);
  const Assignment base{{1, 1, 1, 1}};
  const auto merged = Merge(toy.input.space, base,
                            {{{2, 0, 1, 1}}, {{1, 1, 0, 2}}}, Truth(toy));
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(*merged, (Assignment{{2, 0, 0, 2}}));
}

TEST(Merge, TheFirstIsRightWhereWinnersDisagree) {
  const Toy toy = MakeToy({8, 8, 8, 8}, {2, 3, 4}, 4 * 8 * 3, 1);
  const Assignment base{{1, 1, 1, 1}};
  const auto merged = Merge(toy.input.space, base,
                            {{{2, 0, 1, 1}}, {{0, 2, 1, 1}}}, Truth(toy));
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(*merged, (Assignment{{2, 0, 1, 1}}));
}

TEST(Merge, KeepsTheBudgetThatWinnersSpendTwice) {
  const Toy toy = Ungrouped(MakeToy({8, 8, 8, 8}, {2, 3, 4}, 4 * 8 * 3 + 8, 1));
  const Assignment base{{1, 1, 1, 1}};
  const auto merged = Merge(toy.input.space, base,
                            {{{2, 1, 1, 1}}, {{1, 2, 1, 1}}}, Truth(toy));
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_TRUE(WithinBudgets(toy.input.space, *merged));
  EXPECT_NE(*merged, base);
}

TEST(Merge, ADroppedModuleStaysDropped) {
  const Toy toy = MakeModularToy(2, {2, 3}, 1000, 1);
  const SearchSpace& space = toy.input.space;
  const Assignment base = Dearest(space);
  Assignment drops = base, lowers = base;
  drops.levels[8] = kDropped;  // holds units 0 and 1
  lowers.levels[0] = 0;
  lowers.levels[5] = 0;
  const auto merged =
      Merge(space, base, {Canonical(space, drops), lowers}, Truth(toy));
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(merged->levels[8], kDropped);
  EXPECT_EQ(merged->levels[5], 0);
  EXPECT_EQ(*merged, Canonical(space, *merged));
}

}  // namespace
}  // namespace evopress::search
