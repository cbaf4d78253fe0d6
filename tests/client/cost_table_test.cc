#include "client/cost_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/tiny_model.h"

namespace evopress::client {
namespace {

using ::testing::HasSubstr;

// Two blocks of two layers, two levels each.
search::SearchSpace TwoBlocks() {
  search::SearchSpace space;
  space.cost_kinds = {"code_bits"};
  space.constant_costs = {0};
  for (const char* name : {"model.layers.0.up", "model.layers.0.down",
                           "model.layers.1.up", "model.layers.1.down"}) {
    search::Unit unit;
    unit.name = name;
    unit.layers = {name};
    unit.weights = 64;
    unit.menu = {{"rtn:b2:g32:asym", {128}}, {"rtn:b3:g32:asym", {192}}};
    space.units.push_back(unit);
  }
  return space;
}

class CostTables : public ::testing::Test {
 protected:
  absl::Status Add(const std::string& text, search::SearchSpace& space) {
    WriteText(tmp_ / "table", text);
    auto table = ReadCostTable(tmp_ / "table");
    if (!table.ok()) return table.status();
    return AddCostKind(*table, space);
  }
  std::string Error(const std::string& text) {
    search::SearchSpace space = TwoBlocks();
    const absl::Status status = Add(text, space);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(space, TwoBlocks()) << "a failed table changes nothing";
    return std::string(status.message());
  }
  TempDir tmp_;
};

constexpr char kText[] =
    "# measured on a phone\n"
    "kind=decode unit=ns constant=5\n"
    "\n"
    "*.up rtn:b2:g32 10\n"
    "*.down  rtn:b2:g32:asym 20\n"
    "model.layers.#.* rtn:b3:g32 30\n"
    "model.layers.1.up rtn:b3:g32 31\n";
constexpr char kCsv[] =
    "kind=decode,unit=ns,constant=5\r\n"
    "layer,level,cost\r\n"
    "*.up,rtn:b2:g32,10\r\n"
    "*.down,rtn:b2:g32,20\r\n"
    "*,rtn:b3:g32,30\r\n"
    "model.layers.1.up,rtn:b3:g32,31\r\n";
constexpr char kJson[] =
    R"({"kind": "decode", "unit": "ns", "constant": 5, "costs": [
      {"layer": "*.up", "level": "rtn:b2:g32", "cost": 10},
      {"layer": "*.down", "level": "rtn:b2:g32", "cost": 20},
      {"layer": "*", "level": "rtn:b3:g32", "cost": 30},
      {"layer": "model.layers.1.up", "level": "rtn:b3:g32", "cost": 31}]})";

TEST_F(CostTables, TextCsvAndJsonSayTheSame) {
  for (const char* text : {kText, kCsv, kJson}) {
    search::SearchSpace space = TwoBlocks();
    ASSERT_TRUE(Add(text, space).ok()) << Add(text, space);
    EXPECT_TRUE(search::Validate(space).ok());
    EXPECT_EQ(space.cost_kinds.back(), "decode");
    EXPECT_EQ(space.constant_costs.back(), 5);
    EXPECT_EQ(space.units[0].menu[0].costs[1], 10);
    EXPECT_EQ(space.units[1].menu[0].costs[1], 20);
    EXPECT_EQ(space.units[0].menu[1].costs[1], 30);
    EXPECT_EQ(space.units[2].menu[1].costs[1], 31) << "the full name decides";
  }
}

TEST_F(CostTables, ATiedUnitCostsTheSumOfItsLayers) {
  search::SearchSpace space = TwoBlocks();
  space.units[0].layers.push_back("model.layers.0.down");
  space.units.erase(space.units.begin() + 1);
  ASSERT_TRUE(Add(kText, space).ok());
  EXPECT_EQ(space.units[0].menu[0].costs[1], 30);
}

TEST_F(CostTables, AModuleCostsWhatItsLayersCost) {
  search::SearchSpace space = TwoBlocks();
  search::Unit module;
  module.name = "model.layers.1";
  module.layers = {module.name};
  module.menu = {{search::kDrop, {0}}, {search::kKeep, {0}}};
  for (search::Unit& unit : space.units) {
    if (search::LiesIn(unit.name, module.name)) {
      unit.module = static_cast<int>(space.units.size());
    }
  }
  space.units.push_back(module);
  ASSERT_TRUE(Add(kText, space).ok());
  search::Assignment assignment = search::Dearest(space);
  EXPECT_EQ(Cost(space, assignment, 1), 5 + 3 * 30 + 31);
  assignment.levels.back() = search::kDropped;
  EXPECT_EQ(Cost(space, assignment, 1), 5 + 2 * 30);
  search::SearchSpace same = space;
  EXPECT_FALSE(Add("kind=other unit=ns\n* rtn:b2:g32 1\n* rtn:b3:g32 1\n"
                   "model.layers.1 keep 7\n",
                   same)
                   .ok());
}

TEST_F(CostTables, LevelsThatTheMenuLacksArePassedOver) {
  search::SearchSpace space = TwoBlocks();
  EXPECT_TRUE(Add(std::string(kText) + "* rtn:b8:g32 99\n", space).ok());
}

TEST_F(CostTables, AMissingChoiceIsNamedWithItsFile) {
  const std::string error = Error("kind=ns unit=ns\n* rtn:b2:g32 1\n");
  EXPECT_THAT(error, HasSubstr(tmp_ / "table"));
  EXPECT_THAT(error, HasSubstr("layer model.layers.0.up"));
  EXPECT_THAT(error, HasSubstr("level rtn:b3:g32:asym"));
}

TEST_F(CostTables, ErrorsNameTheLine) {
  const std::string header = "kind=ns unit=ns\n";
  EXPECT_THAT(Error(header + "* rtn:b2:g32 1.5\n"), HasSubstr("table:2"));
  EXPECT_THAT(Error(header + "\n* rtn:b2:g32\n"), HasSubstr("table:3"));
  EXPECT_THAT(Error(header + "* rtn:b2:g32 -1\n"), HasSubstr("negative"));
  EXPECT_THAT(Error(header + "* nonsense:b2 1\n"), HasSubstr("table:2"));
  EXPECT_THAT(Error(header + "*.gate rtn:b2:g32 1\n"), HasSubstr("*.gate"));
  EXPECT_THAT(Error(header + "* rtn:b2:g32 9223372036854775808\n"),
              HasSubstr("table:2"));
  EXPECT_THAT(Error(header + "*.up rtn:b2:g32 1\nmodel.* rtn:b2:g32 2\n"),
              HasSubstr("table:2 says 1"));
  EXPECT_THAT(Error("* rtn:b2:g32 1\n"), HasSubstr("table:1"));
  EXPECT_THAT(Error(""), HasSubstr("kind=decode unit=ns"));
  EXPECT_THAT(Error("kind=Bad-Name unit=ns\n"), HasSubstr("lower-case"));
  EXPECT_THAT(Error("kind=code_bits unit=ns\n"), HasSubstr("there already"));
  EXPECT_THAT(Error("{\"kind\": \"ns\", \"unit\": \"ns\", \"costs\": [{}]}"),
              HasSubstr("costs[0]"));
  EXPECT_THAT(Error("{\"kind\": \"ns\", "), HasSubstr("JSON"));
}

TEST_F(CostTables, SumsThatExceed64BitsAreRefused) {
  search::SearchSpace space = TwoBlocks();
  space.units[0].layers.push_back("model.layers.0.down");
  space.units.erase(space.units.begin() + 1);
  EXPECT_THAT(
      std::string(Add("kind=ns unit=ns\n* rtn:b2:g32 9223372036854775807\n"
                      "* rtn:b3:g32 1\n",
                      space)
                      .message()),
      HasSubstr("exceeds 64 bits"));
}

}  // namespace
}  // namespace evopress::client
