#include "search/grouping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace evopress::search {
namespace {

Unit Layer(const std::string& name, int64_t weights) {
  return {name,
          {name},
          weights,
          "",
          {{"b2", {2 * weights}}, {"b3", {3 * weights}}}};
}

std::vector<Unit> Blocks() {
  std::vector<Unit> units;
  for (const char* block : {"0", "1"}) {
    const std::string prefix = std::string("model.layers.") + block + ".attn.";
    units.push_back(Layer(prefix + "q_proj", 64));
    units.push_back(Layer(prefix + "k_proj", 32));
    units.push_back(Layer(prefix + "v_proj", 32));
  }
  units.push_back(Layer("lm_head", 100));
  return units;
}

std::vector<std::string> Groups(GroupRule rule) {
  std::vector<Unit> units = Blocks();
  AssignGroups(rule, units);
  std::vector<std::string> groups;
  for (const Unit& unit : units) groups.push_back(unit.group);
  return groups;
}

TEST(AssignGroups, FollowsTheRule) {
  EXPECT_THAT(Groups(GroupRule::kSize),
              testing::ElementsAre("64", "32", "32", "64", "32", "32", "100"));
  EXPECT_THAT(Groups(GroupRule::kName),
              testing::ElementsAre("attn.q_proj", "attn.k_proj", "attn.v_proj",
                                   "attn.q_proj", "attn.k_proj", "attn.v_proj",
                                   "lm_head"));
  EXPECT_THAT(Groups(GroupRule::kNone), testing::Each(""));
}

TEST(GroupRule, RoundTripsAsText) {
  for (GroupRule rule :
       {GroupRule::kSize, GroupRule::kName, GroupRule::kNone}) {
    EXPECT_EQ(*ParseGroupRule(Format(rule)), rule);
  }
  EXPECT_FALSE(ParseGroupRule("Size").ok());
}

TEST(RoleName, IsWhatFollowsTheLastNumber) {
  EXPECT_EQ(RoleName("model.layers.0.mlp.down_proj"), "mlp.down_proj");
  EXPECT_EQ(RoleName("blk.12.attn_q"), "attn_q");
  EXPECT_EQ(RoleName("layers.3.experts.7.up"), "up");
  EXPECT_EQ(RoleName("lm_head"), "lm_head");
  EXPECT_EQ(RoleName("layers.3"), "layers.3");
  EXPECT_EQ(RoleName(""), "");
}

TEST(ApplyTies, MergesBlockByBlock) {
  std::vector<Unit> units = Blocks();
  const absl::Status status =
      ApplyTies({{{"*.#.attn.k_proj", "*.#.attn.v_proj"}}}, units);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(units.size(), 5u);
  EXPECT_EQ(units[0].name, "model.layers.0.attn.q_proj");
  EXPECT_EQ(units[1].name, "model.layers.0.attn.k_proj+1");
  EXPECT_THAT(units[1].layers,
              testing::ElementsAre("model.layers.0.attn.k_proj",
                                   "model.layers.0.attn.v_proj"));
  EXPECT_EQ(units[1].weights, 64);
  EXPECT_EQ(units[1].menu[1], (LevelChoice{"b3", {192}}));
  EXPECT_EQ(units[3].name, "model.layers.1.attn.k_proj+1");
  EXPECT_EQ(units[4].name, "lm_head");
}

TEST(ApplyTies, AStarMergesAcrossBlocks) {
  std::vector<Unit> units = Blocks();
  ASSERT_TRUE(ApplyTies({{{"*q_proj"}}}, units).ok());
  EXPECT_EQ(units.size(), 6u);
  EXPECT_EQ(units[0].layers.size(), 2u);
}

TEST(ApplyTies, KeepsTheLevelsThatAllMembersHave) {
  std::vector<Unit> units = {Layer("a.0", 10), Layer("a.1", 10)};
  units[1].menu.erase(units[1].menu.begin());
  ASSERT_TRUE(ApplyTies({{{"a.*"}}}, units).ok());
  EXPECT_THAT(units[0].menu, testing::ElementsAre(LevelChoice{"b3", {60}}));
}

TEST(ApplyTies, RefusesAndLeavesTheUnitsAlone) {
  const std::vector<Unit> before = Blocks();
  const auto refuse = [&](const std::vector<Tie>& ties,
                          std::vector<Unit> units) {
    const std::vector<Unit> original = units;
    const absl::Status status = ApplyTies(ties, units);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_EQ(units, original);
  };
  refuse({{{"nothing"}}}, before);
  refuse({{{"*k_proj"}}, {{"*k_proj", "*q_proj"}}}, before);
  refuse({{{"*k_proj", "*k_*"}}}, before);
  refuse({{{"*********"}}}, before);
  std::vector<Unit> foreign = {Layer("a.0", 10), Layer("a.1", 10)};
  foreign[1].menu = {{"x", {1}}};
  refuse({{{"a.*"}}}, foreign);
  std::vector<Unit> huge = {Layer("a.0", 10), Layer("a.1", 10)};
  huge[0].menu[0].costs = {std::numeric_limits<int64_t>::max()};
  refuse({{{"a.*"}}}, huge);
  std::vector<Unit> uneven = {Layer("a.0", 10), Layer("a.1", 10)};
  uneven[0].menu[0].costs = {1, 2};
  refuse({{{"a.*"}}}, uneven);
}

}  // namespace
}  // namespace evopress::search
