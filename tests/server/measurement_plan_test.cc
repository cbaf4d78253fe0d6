#include "server/measurement_plan.h"

#include <gtest/gtest.h>

#include "proto/conversions.h"
#include "search/digest.h"
#include "server/level_build.h"

namespace evopress::server {
namespace {

v1::LevelTable::Unit Unit(const std::string& name,
                          const std::vector<std::string>& levels) {
  v1::LevelTable::Unit unit;
  unit.set_name(name);
  unit.add_layers(name);
  for (const std::string& level : levels) {
    unit.add_levels()->set_name(level);
    v1::LevelTable::Blob* blob = unit.mutable_levels()->rbegin()->add_blobs();
    if (level == "keep" || level == "drop") continue;
    blob->set_sha256(search::Sha256Hex(name + level));
    blob->set_relative_error(0.25);
  }
  return unit;
}

// Two layers in an attention, one in an MLP whose name begins alike, then the
// modules.
v1::LevelTable Table() {
  v1::LevelTable table;
  const std::vector<std::string> levels = {"gptq:b2", "gptq:b3", "keep"};
  *table.add_units() = Unit("layers.1.attn.q", levels);
  *table.add_units() = Unit("layers.1.attn.o", levels);
  *table.add_units() = Unit("layers.1.attn2.up", levels);
  *table.add_units() = Unit("layers.1.attn", {"drop", "keep"});
  *table.add_units() = Unit("layers.1.attn2", {"drop", "keep"});
  return table;
}

std::string Phenotype(const std::vector<uint16_t>& levels) {
  const MeasurementKeys keys("model", "class", Table());
  return keys.Phenotype(proto::PackLevels({levels}));
}

TEST(MeasurementKeys, WhatIsInADroppedModuleMakesNoDifference) {
  EXPECT_EQ(Phenotype({0, 1, 1, 0, 1}), Phenotype({1, 2, 1, 0, 1}));
  EXPECT_NE(Phenotype({0, 1, 1, 0, 1}), Phenotype({0, 1, 0, 0, 1}));
  // Dropped is not kept, whatever is inside.
  EXPECT_NE(Phenotype({2, 2, 1, 0, 1}), Phenotype({2, 2, 1, 1, 1}));
  EXPECT_NE(Phenotype({2, 2, 1, 0, 1}), Phenotype({2, 2, 1, 1, 0}));
}

TEST(MeasurementKeys, KeptModulesRunWhatTheirLayersSay) {
  EXPECT_NE(Phenotype({0, 1, 1, 1, 1}), Phenotype({1, 1, 1, 1, 1}));
  EXPECT_EQ(Phenotype({2, 2, 2, 1, 1}),
            Phenotype({0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF}));
}

TEST(LayerErrors, ADroppedModuleLosesEveryUnitInside) {
  const std::vector<std::vector<double>> want = {
      {0.25, 0.25, 0}, {0.25, 0.25, 0}, {0.25, 0.25, 0}, {2, 0}, {1, 0}};
  EXPECT_EQ(LayerErrors(Table()), want);
}

v1::SearchSpace SpaceMessage() {
  search::SearchSpace space;
  space.cost_kinds = {"modules"};
  space.constant_costs = {0};
  space.units = {
      {"a.b.q", {"a.b.q"}, 4, "", {{"keep", {0}}}, 1},
      {"a.b", {"a.b"}, 0, "", {{"drop", {0}}, {"keep", {1}}}},
  };
  return proto::ToProto(space);
}

TEST(SpaceOnTheWire, UnitsNameTheirModule) {
  const v1::SearchSpace message = SpaceMessage();
  EXPECT_EQ(message.units(0).module(), "a.b");
  EXPECT_EQ(message.units(1).module(), "");
  const auto space = proto::FromProto(message);
  ASSERT_TRUE(space.ok()) << space.status();
  EXPECT_EQ(space->units[0].module, 1);
  EXPECT_EQ(proto::ToProto(*space).SerializeAsString(),
            message.SerializeAsString());
}

TEST(SpaceOnTheWire, ModulesThatAreNoneAreRefused) {
  v1::SearchSpace message = SpaceMessage();
  message.mutable_units(0)->set_module("a.c");
  auto space = proto::FromProto(message);
  EXPECT_TRUE(absl::IsInvalidArgument(space.status()));
  EXPECT_NE(space.status().ToString().find("\"a.c\""), std::string::npos)
      << space.status();
  message = SpaceMessage();
  message.mutable_units(1)->set_module("a.b");
  EXPECT_TRUE(absl::IsInvalidArgument(proto::FromProto(message).status()));
  message = SpaceMessage();
  message.mutable_units(0)->set_name("x.y");
  message.mutable_units(0)->set_layers(0, "x.y");
  EXPECT_TRUE(absl::IsInvalidArgument(proto::FromProto(message).status()));
}

}  // namespace
}  // namespace evopress::server
