// What a search takes over from earlier measurements.
#include "search/inheritance.h"

#include <gtest/gtest.h>

#include "tests/search/toy.h"

namespace evopress::search {
namespace {

// Ten units of 64 weights at 3 bits.
StrategyInput Input() {
  return MakeToy(std::vector<int64_t>(10, 64), {2, 3, 4}, 10 * 64 * 3, 1).input;
}

Assignment Uniform(uint16_t level) {
  return Assignment{std::vector<uint16_t>(10, level)};
}

Assignment Changed(Assignment assignment, size_t unit, uint16_t level) {
  assignment.levels[unit] = level;
  return assignment;
}

void Know(StrategyInput& input, const Assignment& assignment, int32_t first,
          int32_t count) {
  for (int32_t s = first; s < first + count; ++s) {
    input.archive[assignment][s] = {1, 1, 1, 10};
  }
}

TEST(Inherit, SingleUnitsLoweredFromTheDearestAreProbesOfEveryBudget) {
  StrategyInput input = Input();
  const Assignment dearest = Dearest(input.space);
  Know(input, dearest, 0, 1);
  Know(input, Changed(dearest, 3, 0), 0, 1);
  Know(input, Changed(dearest, 4, 1), 0, 1);
  Know(input, Changed(dearest, 5, 1), 7, 1);  // shares no sample
  const Inheritance found = Inherit(input, {});
  for (size_t u = 0; u < 10; ++u) {
    EXPECT_EQ(found.probed[u], u == 3 || u == 4) << u;
  }
}

TEST(Inherit, ProbesOfModulesAreEverySearchsOwn) {
  StrategyInput input =
      MakeModularToy(2, {2, 3, 4}, 2 * 72 * 2 + 64, /*seed=*/1).input;
  const Assignment dearest = Dearest(input.space);
  const size_t module = input.space.units.size() - 1;
  Know(input, dearest, 0, 1);
  Know(input, Canonical(input.space, Changed(dearest, module, kDropped)), 0, 1);
  Know(input, Changed(dearest, 1, 0), 0, 1);
  const Inheritance found = Inherit(input, {});
  EXPECT_TRUE(found.probed[1]);
  EXPECT_FALSE(found.probed[module]);
}

TEST(Inherit, NothingFromTheSamplesOfTheDecision) {
  StrategyInput input = Input();
  Know(input, Uniform(1), 0, 8);
  EXPECT_EQ(Inherit(input, {}).finalists.size(), 1u);
  EXPECT_TRUE(Inherit(input, {0, 1, 2, 3, 4, 5, 6, 7}).finalists.empty());
}

TEST(Inherit, FinalistsAreTheMostMeasuredNearestToTheBudget) {
  StrategyInput input = Input();
  const Assignment here = Uniform(1);
  const Assignment near = Changed(here, 0, 2);
  const Assignment far = Uniform(2);  // a third dearer than the limit
  Know(input, near, 0, 8);
  Know(input, here, 0, 8);
  Know(input, far, 0, 8);
  Know(input, Changed(here, 5, 0), 0, 1);
  const Inheritance found = Inherit(input, {});
  EXPECT_EQ(found.finalists, (std::vector<Assignment>{here, near}));
}

}  // namespace
}  // namespace evopress::search
