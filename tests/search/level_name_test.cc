#include "search/level_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace evopress::search {
namespace {

std::vector<std::string> Menu(const std::string& text) {
  const auto menu = ParseMenu(text);
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
  EXPECT_EQ(*level, (LevelName{"gptq", 3, 64, true, true, true}));
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
                              (flags & 8) != 0};
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

TEST(ParseMenu, Refuses) {
  for (const char* text : {"", ",", "keep,", "gptq:4-2:g64", "gptq:2-9",
                           "gptq:2-3-4", "gptq:-3", "gptq:2-", "b2-4"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseMenu(text).status())) << text;
  }
}

}  // namespace
}  // namespace evopress::search
