#include "search/level_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace evopress::search {
namespace {

std::vector<std::string> Menu(const std::string& text,
                              int64_t weights = 331776) {
  const auto menu = ParseMenu(text, weights);
  EXPECT_TRUE(menu.ok()) << menu.status();
  std::vector<std::string> names;
  if (menu.ok()) {
    for (const LevelName& level : *menu) names.push_back(Format(level));
  }
  return names;
}

TEST(ParseLevel, ReadsEveryOption) {
  const auto level = ParseLevel("gptq:b3:g64:sym:actorder:search");
  ASSERT_TRUE(level.ok()) << level.status();
  EXPECT_EQ(*level, (LevelName{"gptq", 3, 64, true, true, true, {}}));
}

TEST(ParseLevel, SpellingsOfOneLevelHaveOneCanonicalName) {
  for (const char* text :
       {"gptq:b3:g64", "gptq:g64:b3", "gptq:asym:b3:g64", "gptq:b3:g64:asym"}) {
    const auto level = ParseLevel(text);
    ASSERT_TRUE(level.ok()) << text;
    EXPECT_EQ(Format(*level), "gptq:b3:g64:asym");
  }
  EXPECT_EQ(Format(*ParseLevel("rtn:b4:g0")), "rtn:b4:asym");
}

TEST(ParseLevel, FormatRoundTrips) {
  for (const std::string method : {"rtn", "gptq"}) {
    for (int bits = 2; bits <= 8; ++bits) {
      for (int flags = 0; flags < 16; ++flags) {
        const LevelName level{method,
                              bits,
                              flags & 1 ? 32 : 0,
                              (flags & 2) != 0,
                              (flags & 4) != 0 && method == "gptq",
                              (flags & 8) != 0,
                              {}};
        const auto parsed = ParseLevel(Format(level));
        ASSERT_TRUE(parsed.ok()) << Format(level);
        EXPECT_EQ(*parsed, level);
      }
    }
  }
  for (const char* text : {"keep", "drop"}) {
    EXPECT_EQ(Format(*ParseLevel(text)), text);
  }
}

TEST(ParseLevel, RefusesAndSaysWhatIsLegal) {
  for (const char* text : {"",
                           "gptq",
                           "gptq:b1",
                           "gptq:b9",
                           "gptq:b3:b4",
                           "gptq:b3:g64:g32",
                           "gptq:b3:sym:asym",
                           "gptq:b3:",
                           "gptq::b3",
                           "foo:b3",
                           "keep:b3",
                           "gptq:b3:wide",
                           "gptq:b",
                           "gptq:b+3",
                           "gptq:b3:g-1",
                           "gptq:b3:g",
                           "gptq:b3:g99999999999999",
                           "gptq:b2-4",
                           "gptq:3",
                           "rtn:b3:actorder",
                           "GPTQ:b3",
                           " gptq:b3",
                           "q4_K"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseLevel(text).status())) << text;
  }
  EXPECT_EQ(ParseLevel("gptq:b9").status().message(),
            "\"b9\" in level \"gptq:b9\": widths are b2…b8");
  EXPECT_FALSE(ParseLevel(std::string(5000, 'b')).ok());
}

TEST(ParseMenu, ExpandsRangesInRisingOrder) {
  const std::vector<std::string> expected = {
      "gptq:b2:g64:asym", "gptq:b3:g64:asym", "gptq:b4:g64:asym"};
  EXPECT_EQ(Menu("gptq:2-4:g64"), expected);
  EXPECT_EQ(Menu("gptq:b2-4:g64"), expected);
  EXPECT_EQ(Menu("gptq:4:g64,gptq:2:g64,gptq:b3:g64"), expected);
}

TEST(ParseMenu, PutsDropFirstAndKeepLastWithoutDoubles) {
  EXPECT_THAT(Menu("keep,rtn:b8:g32,drop,rtn:8:g32:asym,keep"),
              testing::ElementsAre("drop", "rtn:b8:g32:asym", "keep"));
}

TEST(ParseMenu, PutsLargerGroupsFirstAtEqualBits) {
  EXPECT_THAT(Menu("rtn:4:g32,rtn:4,rtn:4:g128"),
              testing::ElementsAre("rtn:b4:asym", "rtn:b4:g128:asym",
                                   "rtn:b4:g32:asym"));
}

TEST(ParseLevel, ReadsHowManyWeightsArePruned) {
  using Kind = Sparsity::Kind;
  const auto read = [](const char* text) {
    const auto level = ParseLevel(text);
    EXPECT_TRUE(level.ok()) << level.status();
    EXPECT_EQ(*ParseLevel(Format(*level)), *level);
    return *level;
  };
  EXPECT_EQ(read("sparsegpt:50").sparsity,
            (Sparsity{Kind::kShare, 500'000, 0}));
  EXPECT_EQ(read("wanda:12.5").sparsity, (Sparsity{Kind::kShare, 125'000, 0}));
  EXPECT_EQ(read("magnitude:z165888").sparsity,
            (Sparsity{Kind::kCount, 165888, 0}));
  EXPECT_EQ(read("sparsegpt:2:4").sparsity, (Sparsity{Kind::kPattern, 2, 4}));
  EXPECT_EQ(read("sparsegpt:2of4:b4:g64:search"),
            (LevelName{"sparsegpt", 4, 64, false, false, true,
                       Sparsity{Kind::kPattern, 2, 4}}));
  EXPECT_EQ(read("wanda:50").bits, 16);
}

TEST(ParseLevel, SparsitiesHaveOneCanonicalName) {
  for (const auto& [text, name] : std::map<std::string, std::string>{
           {"sparsegpt:50", "sparsegpt:50"},
           {"sparsegpt:050.00", "sparsegpt:50"},
           {"sparsegpt:6.2500", "sparsegpt:6.25"},
           {"sparsegpt:0.0001", "sparsegpt:0.0001"},
           {"sparsegpt:z007", "sparsegpt:z7"},
           {"sparsegpt:2:4:b4", "sparsegpt:2of4:b4:asym"},
           {"wanda:50:sym:g64:b3", "wanda:50:b3:g64:sym"}}) {
    const auto level = ParseLevel(text);
    ASSERT_TRUE(level.ok()) << level.status();
    EXPECT_EQ(Format(*level), name);
  }
}

TEST(ParseLevel, RefusesSparsitiesThatSayNothing) {
  for (const char* text : {"sparsegpt",
                           "sparsegpt:",
                           "sparsegpt:b4",
                           "sparsegpt:101",
                           "sparsegpt:100.1",
                           "sparsegpt:12.34567",
                           "sparsegpt:5.",
                           "wanda:-5",
                           "wanda:z",
                           "wanda:z-1",
                           "wanda:z1.5",
                           "wanda:4of2",
                           "wanda:4of4",
                           "wanda:0of4",
                           "wanda:2of64",
                           "wanda:2of",
                           "wanda:50:g64",
                           "wanda:50:sym",
                           "wanda:50:search",
                           "sparsegpt:50:b4:actorder",
                           "sparsegpt:50:steps4x16384",
                           "sparsegpt:30-70/10",
                           "sparsegpt:50:2",
                           "sparsegpt:z99999999999999999999",
                           "sparsegpt:50:b9",
                           "gptq:50",
                           "gptq:b4:z100"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseLevel(text).status())) << text;
  }
  EXPECT_EQ(ParseLevel("wanda:half").status().message(),
            "\"half\" in level \"wanda:half\": the first option is a "
            "sparsity: percent (50, 12.5), zeros (z165888) or kept weights of "
            "up to 32 neighbours (2of4)");
}

TEST(ParseMenu, ExpandsPercentRangesSparsestFirst) {
  EXPECT_THAT(
      Menu("sparsegpt:30-70/20"),
      testing::ElementsAre("sparsegpt:70", "sparsegpt:50", "sparsegpt:30"));
  EXPECT_THAT(Menu("wanda:0-50/12.5:b4:g64").size(), 5);
  EXPECT_THAT(
      Menu("sparsegpt:50:b2-4,gptq:2-4"),
      testing::ElementsAre("sparsegpt:50:b2:asym", "sparsegpt:50:b3:asym",
                           "gptq:b2:asym", "sparsegpt:50:b4:asym",
                           "gptq:b3:asym", "gptq:b4:asym"));
}

TEST(ParseMenu, StepsOfEqualZerosGoAsFarAsTheLayer) {
  EXPECT_THAT(
      Menu("sparsegpt:50:steps2x100", 300),
      testing::ElementsAre("sparsegpt:z250", "sparsegpt:50", "sparsegpt:z50"));
  EXPECT_THAT(
      Menu("sparsegpt:50:steps2x100", 1000),
      testing::ElementsAre("sparsegpt:z700", "sparsegpt:z600", "sparsegpt:50",
                           "sparsegpt:z400", "sparsegpt:z300"));
  EXPECT_THAT(Menu("wanda:z10:b4:steps1x10", 20),
              testing::ElementsAre("wanda:z20:b4:asym", "wanda:z10:b4:asym",
                                   "wanda:z0:b4:asym"));
}

TEST(ParseMenu, RefusesMoreZerosThanTheLayerHasWeights) {
  EXPECT_THAT(std::string(ParseMenu("wanda:z21", 20).status().message()),
              testing::HasSubstr("zeros=21 exceed the 20 weights"));
  EXPECT_FALSE(ParseMenu("wanda:z21:steps1x5", 20).ok());
}

TEST(ParseMenu, Refuses) {
  for (const char* text : {"",
                           ",",
                           "keep,",
                           "gptq:4-2:g64",
                           "gptq:2-9",
                           "gptq:2-3-4",
                           "gptq:-3",
                           "gptq:2-",
                           "b2-4",
                           "wanda:30-70",
                           "wanda:70-30/10",
                           "wanda:30-70/0",
                           "wanda:0-100/0.01",
                           "wanda:50:steps0x5",
                           "wanda:50:steps4",
                           "wanda:50:steps4x0",
                           "wanda:50:steps999x1",
                           "wanda:50:steps4x4x4",
                           "wanda:2of4:steps1x4",
                           "wanda:30-70/10:steps1x4",
                           "wanda:50:steps1x1:steps1x1",
                           "wanda:50:2-4"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseMenu(text, 331776).status()))
        << text;
  }
}

}  // namespace
}  // namespace evopress::search
