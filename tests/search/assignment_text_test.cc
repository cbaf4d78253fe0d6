#include "search/assignment_text.h"

#include <gtest/gtest.h>

#include "tests/search/toy.h"

namespace evopress::search {
namespace {

SearchSpace Space() {
  SearchSpace space = MakeToy({64, 64, 32}, {2, 3, 4}, 160 * 3, 1).input.space;
  space.units[2].layers = {"k", "v"};
  return space;
}

TEST(AssignmentText, WritesEvoPressConfigurations) {
  EXPECT_EQ(*FormatNominalBits(Space(), Assignment{{0, 1, 2}}),
            "unit.0: 2\nunit.1: 3\nk: 4\nv: 4\n");
  EXPECT_EQ(FormatLevels(Space(), Assignment{{0, 1, 2}}),
            "unit.0: gptq:b2:g64:asym\nunit.1: gptq:b3:g64:asym\n"
            "k: gptq:b4:g64:asym\nv: gptq:b4:g64:asym\n");
}

TEST(AssignmentText, ReadsBackWhatItWrote) {
  ForEachAssignment(Space(), [](const Assignment& assignment) {
    const auto levels =
        ParseAssignment(Space(), FormatLevels(Space(), assignment));
    ASSERT_TRUE(levels.ok()) << levels.status();
    EXPECT_EQ(*levels, assignment);
    const auto bits =
        ParseAssignment(Space(), *FormatNominalBits(Space(), assignment));
    ASSERT_TRUE(bits.ok()) << bits.status();
    EXPECT_EQ(*bits, assignment);
  });
}

TEST(AssignmentText, ForgivesCommentsSpacesAndOtherSpellings) {
  const auto parsed = ParseAssignment(
      Space(), "# mine\n\n  unit.0 : 2 \r\nunit.2:4\nunit.1: gptq:g64:b3");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, (Assignment{{0, 1, 2}}));
}

TEST(AssignmentText, RefusesWithTheLineNumber) {
  const std::string rest = "unit.1: 3\nk: 4\nv: 4\n";
  for (const auto& [text, part] :
       {std::pair{"unit.0 2\n" + rest, "line 1: expected"},
        std::pair{"unt.0: 2\n" + rest, "line 1: no unit \"unt.0\""},
        std::pair{"unit.0: 5\n" + rest, "has 0 levels of 5 bits"},
        std::pair{"unit.0: 99999999999\n" + rest, "has no level"},
        std::pair{"unit.0: q4_K\n" + rest, "has no level \"q4_K\""},
        std::pair{"unit.0: 2\nunit.0: 2\n" + rest,
                  "line 2: \"unit.0\" is named"},
        std::pair{"unit.0: 2\nunit.1: 2\nk: 2\nv: 3\n" + std::string(),
                  "line 4: \"v\" differs"},
        std::pair{rest, "no level given for \"unit.0\""},
        std::pair{std::string("unit.0:\n"), "line 1"}}) {
    const absl::Status status = ParseAssignment(Space(), text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_NE(status.ToString().find(part), std::string::npos) << status;
  }
  EXPECT_FALSE(
      ParseAssignment(Space(), std::string(kMaxAssignmentText + 1, ' ')).ok());
}

TEST(AssignmentText, BitsThatNameTwoLevelsAreAmbiguous) {
  SearchSpace space = Space();
  space.units[0].menu[1].name = "gptq:b2:g64:sym";
  EXPECT_FALSE(ParseAssignment(space, "unit.0: 2\nunit.1: 2\nunit.2: 2").ok());
  EXPECT_FALSE(FormatNominalBits(space, Assignment{{0, 0, 0}}).ok());
  EXPECT_TRUE(FormatNominalBits(space, Assignment{{2, 0, 0}}).ok());
  space.units[0].menu[0].name = "q4_K";
  EXPECT_FALSE(FormatNominalBits(space, Assignment{{0, 0, 0}}).ok());
  EXPECT_TRUE(
      ParseAssignment(space, "unit.0: q4_K\nunit.1: 2\nunit.2: 2").ok());
}

}  // namespace
}  // namespace evopress::search
