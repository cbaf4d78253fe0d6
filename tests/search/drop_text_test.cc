#include "search/drop_text.h"

#include <gtest/gtest.h>

#include "search/assignment_text.h"
#include "search/grouping.h"
#include "tests/search/toy.h"

namespace evopress::search {
namespace {

void ExpectRefused(const SearchSpace& space, const std::string& text,
                   const std::string& part) {
  const auto read = ParseAssignment(space, text);
  EXPECT_TRUE(absl::IsInvalidArgument(read.status())) << text;
  EXPECT_NE(read.status().ToString().find(part), std::string::npos)
      << read.status();
}

TEST(DropText, IsOneLineABlockAndReadsBack) {
  const SearchSpace space = MakeDropToy(4, 4, 1).input.space;
  Assignment assignment = Dearest(space);
  for (size_t module : {18, 21, 22, 23}) assignment.levels[module] = kDropped;
  const auto text = FormatDrops(space, assignment);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(*text, "none\nattn\nmlp\nattn+mlp\n");
  EXPECT_TRUE(OnlyDrops(space));
  EXPECT_TRUE(IsDropText(*text));
  EXPECT_EQ(*ParseAssignment(space, *text), assignment);
  EXPECT_EQ(*ParseAssignment(space, FormatLevels(space, assignment)),
            assignment);
}

TEST(DropText, RefusesWhatItCannotMean) {
  const SearchSpace space = MakeDropToy(2, 4, 1).input.space;
  ExpectRefused(space, "none\n", "1 lines, the model 2 blocks");
  ExpectRefused(space, "none\nboth\n", "line 2: \"both\" is not");
  SearchSpace attention_only = space;
  attention_only.units.pop_back();
  for (Unit& unit : attention_only.units) {
    if (unit.module == 11) unit.module = kNoModule;
  }
  ASSERT_TRUE(Validate(attention_only).ok()) << Validate(attention_only);
  ExpectRefused(attention_only, "none\nmlp\n", "line 2: \"mlp\" of this block");
  const SearchSpace joint = MakeModularToy(2, {2, 3}, 400, 1).input.space;
  EXPECT_FALSE(OnlyDrops(joint));
  ExpectRefused(joint, "none\nnone\n", "says nothing about layers");
}

TEST(DropText, BlocksTiedTogetherDropTogether) {
  SearchSpace space = MakeDropToy(2, 4, 1).input.space;
  std::vector<Unit> modules(space.units.begin() + 8, space.units.end());
  ASSERT_TRUE(
      ApplyTies({{{"layers.#.self_attn", "layers.#.mlp"}}}, modules).ok());
  space.units.resize(8);
  for (size_t u = 0; u < 8; ++u) space.units[u].module = 8 + int(u) / 4;
  space.units.insert(space.units.end(), modules.begin(), modules.end());
  ASSERT_TRUE(Validate(space).ok()) << Validate(space);
  const auto read = ParseAssignment(space, "none\nattn+mlp\n");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->levels[8], kKept);
  EXPECT_EQ(read->levels[9], kDropped);
  EXPECT_EQ(*FormatDrops(space, *read), "none\nattn+mlp\n");
  ExpectRefused(space, "none\nattn\n", "together or not at all");
}

TEST(AssignmentText, LeavesOutLayersOfDroppedModules) {
  const SearchSpace space = MakeModularToy(1, {2, 3}, 400, 1).input.space;
  const Assignment assignment{{0, 0, 1, 0, 0, 1}};
  const std::string text = FormatLevels(space, assignment);
  EXPECT_EQ(text,
            "layers.0.mlp.2: gptq:b3:g64:asym\n"
            "layers.0.mlp.3: gptq:b2:g64:asym\n"
            "layers.0.self_attn: drop\n"
            "layers.0.mlp: keep\n");
  EXPECT_EQ(*ParseAssignment(space, text), assignment);
  // Modules are kept unless something else is said.
  EXPECT_EQ(*ParseAssignment(space,
                             "layers.0.mlp.2: 3\nlayers.0.mlp.3: 2\n"
                             "layers.0.self_attn.0: 2\n"
                             "layers.0.self_attn.1: 3\n"),
            (Assignment{{0, 1, 1, 0, 1, 1}}));
  ExpectRefused(space, "layers.0.self_attn: drop\nlayers.0.mlp.2: 3\n",
                "no level given for \"layers.0.mlp.3\"");
}

}  // namespace
}  // namespace evopress::search
