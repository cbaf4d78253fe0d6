#include "server/model_scores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "absl/strings/str_cat.h"
#include "tests/server/fake_fleet.h"

namespace evopress::server {
namespace {

using search::ModelScore;

// Three blocks of two modules. Numbers say where they are from.
v1::ModelProfile SomeProfile() {
  v1::ModelProfile profile;
  for (int b = 0; b < 3; ++b) {
    v1::ModelProfile::Block& block = *profile.add_blocks();
    block.set_outlier_share(0.1 * (b + 1));
    for (const char* kind : {"self_attn", "mlp"}) {
      v1::ModelProfile::Module& module = *block.add_modules();
      module.set_name(absl::StrCat("model.layers.", b, ".", kind));
      block.add_layers(absl::StrCat(module.name(), ".proj"));
      module.mutable_flow()->set_cosine(1 - 0.01 * (b + 1));
      module.mutable_flow()->set_magnitude(kind[0] == 'm' ? 0.5 : 0.25);
    }
    for (int n = 0; n < 3 - b; ++n) {
      v1::ModelProfile::Flow& window = *block.add_windows();
      window.set_cosine(1 - 0.1 * (b + 1));
      window.set_angle(b + 0.1 * n);
    }
  }
  return profile;
}

search::SearchSpace Space(bool blocks) {
  search::SearchSpace space;
  space.cost_kinds = {"modules"};
  space.constant_costs = {0};
  space.budgets = {{0, 4}};
  for (int b = 0; b < 3; ++b) {
    for (const char* kind : {"self_attn", "mlp"}) {
      search::Unit unit;
      unit.name = absl::StrCat("model.layers.", b, ".", kind, ".proj");
      unit.layers = {unit.name};
      unit.module = 6 + (blocks ? b : 2 * b + (kind[0] == 'm'));
      unit.menu = {{search::kKeep, {0}}};
      space.units.push_back(unit);
    }
  }
  for (int b = 0; b < 3; ++b) {
    std::vector<std::string> names;
    for (const char* kind : {"self_attn", "mlp"}) {
      names.push_back(absl::StrCat("model.layers.", b, ".", kind));
    }
    for (int m = 0; m < (blocks ? 1 : 2); ++m) {
      search::Unit unit;
      unit.name = names[m];
      unit.layers = blocks ? names : std::vector<std::string>{names[m]};
      unit.menu = {{search::kDrop, {0}}, {search::kKeep, {1}}};
      space.units.push_back(unit);
    }
  }
  return space;
}

TEST(UnitScores, LayersHaveTheOutliersOfTheirBlock) {
  search::SearchSpace space = Space(false);
  space.units.resize(6);
  for (search::Unit& unit : space.units) unit.module = search::kNoModule;
  space.units[5].layers.push_back("model.layers.0.mlp.proj");
  const auto scores = UnitScores(space, SomeProfile(), ModelScore::kOutliers);
  ASSERT_TRUE(scores.ok()) << scores.status();
  const double want[] = {0.1, 0.1, 0.2, 0.2, 0.1 * 3, 0.2};
  for (size_t u = 0; u < 6; ++u) {
    ASSERT_EQ((*scores)[u].size(), 1u);
    EXPECT_DOUBLE_EQ((*scores)[u][0], want[u]) << u;
  }
  space.units[0].layers = {"lm_head"};
  EXPECT_TRUE(absl::IsFailedPrecondition(
      UnitScores(space, SomeProfile(), ModelScore::kOutliers).status()));
}

TEST(UnitScores, ModulesHaveTheirOwnFlowAndBlocksTheWholeOne) {
  const auto halves =
      UnitScores(Space(false), SomeProfile(), ModelScore::kMagnitude);
  ASSERT_TRUE(halves.ok()) << halves.status();
  EXPECT_EQ((*halves)[0], std::vector<double>{0});
  EXPECT_EQ((*halves)[6], std::vector<double>{0.25});
  EXPECT_EQ((*halves)[7], std::vector<double>{0.5});
  const auto cosines =
      UnitScores(Space(false), SomeProfile(), ModelScore::kCosine);
  ASSERT_TRUE(cosines.ok()) << cosines.status();
  EXPECT_NEAR((*cosines)[9][0], 0.02, 1e-12);
  const auto blocks =
      UnitScores(Space(true), SomeProfile(), ModelScore::kCosine);
  ASSERT_TRUE(blocks.ok()) << blocks.status();
  EXPECT_NEAR((*blocks)[7][0], 0.2, 1e-12);
}

TEST(UnitScores, WindowsBeginWithTheirBlock) {
  const auto scores =
      UnitScores(Space(true), SomeProfile(), ModelScore::kWindows);
  ASSERT_TRUE(scores.ok()) << scores.status();
  EXPECT_EQ((*scores)[6], (std::vector<double>{0, 0.1, 0.2}));
  EXPECT_EQ((*scores)[8], std::vector<double>{2});
  search::SearchSpace gap = Space(true);
  gap.units[4].module = gap.units[5].module = 7;
  gap.units.erase(gap.units.begin() + 7);
  gap.units.erase(gap.units.begin() + 2, gap.units.begin() + 4);
  for (auto& unit : gap.units) {
    if (unit.module != search::kNoModule) unit.module -= 2;
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(
      UnitScores(gap, SomeProfile(), ModelScore::kWindows).status()));
}

TEST(CheckProfile, RefusesWhatIsNotFiniteOrNotWhole) {
  EXPECT_TRUE(CheckProfile(SomeProfile()).ok());
  v1::ModelProfile bad = SomeProfile();
  bad.mutable_blocks(1)->mutable_windows()->RemoveLast();
  EXPECT_TRUE(absl::IsInvalidArgument(CheckProfile(bad)));
  bad = SomeProfile();
  bad.mutable_blocks(2)->mutable_modules(0)->mutable_flow()->set_angle(
      std::numeric_limits<double>::quiet_NaN());
  EXPECT_TRUE(absl::IsInvalidArgument(CheckProfile(bad)));
  bad = SomeProfile();
  bad.mutable_blocks(0)->set_outlier_share(-1);
  EXPECT_TRUE(absl::IsInvalidArgument(CheckProfile(bad)));
}

TEST(ProfileKey, NamesModelStatisticsAndClassAndNothingElse) {
  const v1::JobSpec spec = SmallSpec();
  const std::string key = ProfileKey(spec, "cpu");
  EXPECT_EQ(key, ProfileKey(SmallSpec(/*seed=*/2), "cpu"));
  EXPECT_NE(key, ProfileKey(spec, "other"));
  v1::JobSpec other = spec;
  other.mutable_data(0)->set_sha256(std::string(64, 'a'));
  EXPECT_NE(key, ProfileKey(other, "cpu"));
  EXPECT_EQ(PlanProfile(spec).statistics().sha256(), spec.data(0).sha256());
}

}  // namespace
}  // namespace evopress::server
