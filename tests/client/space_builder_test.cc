#include "client/space_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace evopress::client {
namespace {

using quant::TensorInfo;
using ::testing::HasSubstr;

std::vector<TensorInfo> Tensors() {
  std::vector<TensorInfo> tensors = {
      {"model.embed_tokens.weight", {100, 64}, "F16", 12800},
      {"model.norm.weight", {64}, "F32", 256},
      {"lm_head.weight", {100, 64}, "F16", 12800}};
  for (int block : {10, 0, 2}) {
    const std::string base = "model.layers." + std::to_string(block) + ".";
    tensors.push_back(
        {base + "self_attn.q_proj.weight", {64, 64}, "F16", 8192});
    tensors.push_back({base + "mlp.down_proj.weight", {64, 128}, "F16", 16384});
    tensors.push_back({base + "self_attn.q_proj.bias", {64}, "F32", 256});
    tensors.push_back({base + "input_layernorm.weight", {64}, "F32", 256});
  }
  return tensors;
}

search::SearchSpace Space(const std::string& menu = "rtn:2-4:g32") {
  SpaceOptions options;
  options.menu = menu;
  auto space = BuildSpace(Tensors(), options);
  EXPECT_TRUE(space.ok()) << space.status();
  return *space;
}

TEST(BuildSpace, SearchesTheLinearLayersOfTheBlocksInModelOrder) {
  std::vector<std::string> names;
  for (const auto& unit : Space().units) names.push_back(unit.name);
  EXPECT_THAT(
      names,
      ::testing::ElementsAre(
          "model.layers.0.mlp.down_proj", "model.layers.0.self_attn.q_proj",
          "model.layers.2.mlp.down_proj", "model.layers.2.self_attn.q_proj",
          "model.layers.10.mlp.down_proj", "model.layers.10.self_attn.q_proj"));
}

TEST(BuildSpace, CostsAreExact) {
  const auto space = Space();
  const search::Unit& down = space.units[0];
  ASSERT_EQ(down.menu.size(), 3u);
  EXPECT_EQ(down.weights, 64 * 128);
  EXPECT_EQ(down.menu[1].costs[kCodeBits], 64 * 128 * 3);
  // A 16-bit scale and a 3-bit zero for each group of 32.
  EXPECT_EQ(down.menu[1].costs[kStoredBits],
            64 * 128 * 3 + 64 * (128 / 32) * (16 + 3));
  EXPECT_EQ(down.menu[1].costs[kModelBits], down.menu[1].costs[kStoredBits]);
  EXPECT_EQ(space.constant_costs[kCodeBits], 0);
  // Embedding, head, norms and biases at rest.
  EXPECT_EQ(space.constant_costs[kModelBits],
            8 * (12800 + 12800 + 256 + 3 * 512));
}

TEST(BuildSpace, GroupsFollowTheRule) {
  SpaceOptions options;
  options.menu = "rtn:2-4:g32";
  const auto group = [&](search::GroupRule rule, int unit) {
    options.group = rule;
    return BuildSpace(Tensors(), options)->units[unit].group;
  };
  using search::GroupRule;
  EXPECT_EQ(group(GroupRule::kSize, 0), group(GroupRule::kSize, 2));
  EXPECT_NE(group(GroupRule::kSize, 0), group(GroupRule::kSize, 1));
  EXPECT_EQ(group(GroupRule::kName, 1), group(GroupRule::kName, 3));
  EXPECT_EQ(group(GroupRule::kNone, 0), group(GroupRule::kNone, 1));
}

std::vector<TensorInfo> Experts() {
  std::vector<TensorInfo> tensors;
  for (const std::string block : {"0", "1"}) {
    const std::string moe = "model.layers." + block + ".mlp.";
    tensors.push_back({moe + "gate.weight", {4, 64}, "F16", 512});
    for (const char* expert : {"0", "1", "2", "3"}) {
      tensors.push_back({moe + "experts." + expert + ".down_proj.weight",
                         {64, 32},
                         "F16",
                         4096});
    }
  }
  return tensors;
}

TEST(BuildSpace, LeavesRoutersAsTheyAre) {
  SpaceOptions options;
  options.menu = "rtn:2-4:g32";
  const auto space = BuildSpace(Experts(), options);
  ASSERT_TRUE(space.ok()) << space.status();
  EXPECT_EQ(space->units.size(), 8u);
  EXPECT_EQ(space->constant_costs[kModelBits], 2 * 8 * 512);
}

TEST(BuildSpace, TiesExpertsBlockByBlock) {
  SpaceOptions options;
  options.menu = "rtn:2-4:g32";
  options.ties = {{{"*.layers.#.*.experts.*"}}};
  const auto space = BuildSpace(Experts(), options);
  ASSERT_TRUE(space.ok()) << space.status();
  ASSERT_EQ(space->units.size(), 2u);
  EXPECT_EQ(space->units[1].layers.size(), 4u);
  EXPECT_EQ(space->units[1].weights, 4 * 64 * 32);
  EXPECT_EQ(space->units[1].menu[0].costs[kCodeBits], 2 * 4 * 64 * 32);
  options.ties = {{{"*.no_such_layer"}}};
  EXPECT_THAT(BuildSpace(Experts(), options).status().message(),
              HasSubstr("no_such_layer"));
}

TEST(BuildSpace, NamesTheLayerThatCannotTakeALevel) {
  SpaceOptions options;
  options.menu = "rtn:3:g48";
  const auto space = BuildSpace(Tensors(), options);
  ASSERT_EQ(space.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(space.status().message()),
              HasSubstr("model.layers."));
  EXPECT_THAT(std::string(space.status().message()), HasSubstr("g48"));
}

TEST(BuildSpace, RefusesAModelWithoutLayers) {
  EXPECT_EQ(
      BuildSpace({{"model.norm.weight", {64}, "F32", 256}}, {}).status().code(),
      absl::StatusCode::kInvalidArgument);
}

BudgetOptions Bits(const std::string& bits) {
  BudgetOptions options;
  options.target_bits = bits;
  return options;
}

BudgetOptions Size(const std::string& size) {
  BudgetOptions options;
  options.max_size = size;
  return options;
}

TEST(AddBudgets, TargetBitsAreExactAndRoundDown) {
  auto space = Space();
  const int64_t weights = TotalWeights(space);
  ASSERT_TRUE(AddBudgets(Bits("2.3"), space).ok());
  ASSERT_EQ(space.budgets.size(), 1u);
  EXPECT_EQ(space.budgets[0].kind, kCodeBits);
  EXPECT_EQ(space.budgets[0].limit, weights * 23 / 10);
}

TEST(AddBudgets, MaxSizeCountsTheWholeModel) {
  auto space = Space();
  ASSERT_TRUE(AddBudgets(Size("60kB"), space).ok());
  EXPECT_EQ(space.budgets[0].kind, kModelBits);
  EXPECT_EQ(space.budgets[0].limit, 60000 * 8);
}

TEST(AddBudgets, AnImpossibleBudgetPrintsTheReachableRange) {
  auto space = Space();
  const absl::Status status = AddBudgets(Bits("1.5"), space);
  ASSERT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr("2.000 to 4.000 bits per weight"));
  EXPECT_THAT(message, HasSubstr(std::to_string(2 * TotalWeights(space))));
}

TEST(AddBudgets, RefusesWhatItCannotRead) {
  auto space = Space();
  for (const char* text :
       {"code_bits", "bits=3", "code_bits=", "code_bits=3x", "code_bits=-1"}) {
    BudgetOptions options;
    options.budgets = {text};
    EXPECT_EQ(AddBudgets(options, space).code(),
              absl::StatusCode::kInvalidArgument)
        << text;
  }
  BudgetOptions two = Bits("3");
  two.max_size = "1MB";
  EXPECT_EQ(AddBudgets(two, space).code(), absl::StatusCode::kInvalidArgument);
}

// Layers of 64 x 64 and 64 x 128.
constexpr char kSteps[] = "sparsegpt:50:steps4x512";

TEST(BuildSpace, EveryLayerHasTheStepsThatItCanTake) {
  const auto space = Space(kSteps);
  const search::Unit& down = space.units[0];
  const search::Unit& q = space.units[1];
  ASSERT_EQ(down.menu.size(), 9u);
  ASSERT_EQ(q.menu.size(), 9u);  // 2048 +- 4 * 512 are 0 and all
  for (const search::Unit* unit : {&down, &q}) {
    for (size_t l = 0; l < 9; ++l) {
      EXPECT_EQ(unit->menu[l].costs[kNonzeros],
                unit->weights / 2 + (static_cast<int64_t>(l) - 4) * 512);
      EXPECT_EQ(unit->menu[l].costs[kCodeBits],
                unit->weights + 16 * unit->menu[l].costs[kNonzeros]);
      EXPECT_EQ(unit->menu[l].costs[kStoredBits],
                unit->menu[l].costs[kCodeBits]);
    }
    EXPECT_EQ(unit->menu[4].name, "sparsegpt:50");
  }
  EXPECT_EQ(Space("sparsegpt:50:steps4x1024").units[1].menu.size(), 5u);
}

TEST(BuildSpace, QuantizedLayersHaveNoZeros) {
  const auto space = Space("rtn:3:g32,keep,wanda:75:b4:g32");
  const search::Unit& down = space.units[0];
  EXPECT_EQ(down.menu[0].name, "wanda:75:b4:g32:asym");
  EXPECT_EQ(down.menu[0].costs[kNonzeros], down.weights / 4);
  // A position bit for all, four bits for a quarter; grids as for rtn.
  EXPECT_EQ(down.menu[0].costs[kCodeBits], 2 * down.weights);
  EXPECT_EQ(down.menu[0].costs[kStoredBits],
            2 * down.weights + 64 * (128 / 32) * (16 + 4));
  EXPECT_EQ(down.menu[1].costs[kNonzeros], down.weights);
  EXPECT_EQ(down.menu[2].costs[kNonzeros], down.weights);
}

TEST(BuildSpace, NamesTheLayerThatHasFewerWeightsThanZeros) {
  SpaceOptions options;
  options.menu = "wanda:z5000";
  const auto space = BuildSpace(Tensors(), options);
  ASSERT_EQ(space.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(space.status().message()),
              ::testing::AllOf(HasSubstr("q_proj"), HasSubstr("5000"),
                               HasSubstr("4096")));
}

BudgetOptions Sparsity(const std::string& share) {
  BudgetOptions options;
  options.target_sparsity = share;
  return options;
}

TEST(AddBudgets, TargetSparsityBoundsTheNonzeros) {
  auto space = Space(kSteps);
  ASSERT_TRUE(AddBudgets(Sparsity("0.5"), space).ok());
  ASSERT_EQ(space.budgets.size(), 1u);
  EXPECT_EQ(space.budgets[0].kind, kNonzeros);
  EXPECT_EQ(space.budgets[0].limit, TotalWeights(space) / 2);
  const auto uniform = FindUniformBaseline(space);
  ASSERT_TRUE(uniform.has_value());
  EXPECT_EQ(uniform->name, "uniform sparsegpt:50");
  EXPECT_EQ(Cost(space, uniform->assignment, kNonzeros),
            TotalWeights(space) / 2);
}

TEST(AddBudgets, UniformPercentagesMeetTheirSparsityWhateverTheRounding) {
  for (const char* percent : {"33.3333", "12.5", "0.1", "99.9"}) {
    SCOPED_TRACE(percent);
    auto space = Space(std::string("sparsegpt:") + percent);
    std::string share = std::to_string(std::stod(percent) / 100);
    ASSERT_TRUE(AddBudgets(Sparsity(share), space).ok());
    EXPECT_TRUE(FindUniformBaseline(space).has_value());
  }
}

TEST(AddBudgets, AnImpossibleSparsityPrintsTheReachableNonzeros) {
  auto space = Space("sparsegpt:50,keep");
  const absl::Status status = AddBudgets(Sparsity("0.6"), space);
  ASSERT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              ::testing::AllOf(
                  HasSubstr("nonzeros"),
                  HasSubstr(std::to_string(TotalWeights(space) / 2) + " to " +
                            std::to_string(TotalWeights(space)))));
  for (const char* text : {"50", "1.1", "-0.5", "half", "0.5x", ""}) {
    BudgetOptions options = Sparsity(text);
    if (options.target_sparsity.empty()) options.budgets = {"nonzeros=x"};
    EXPECT_EQ(AddBudgets(options, space).code(),
              absl::StatusCode::kInvalidArgument)
        << text;
  }
  BudgetOptions two = Sparsity("0.5");
  two.target_bits = "3";
  EXPECT_EQ(AddBudgets(two, space).code(), absl::StatusCode::kInvalidArgument);
}

TEST(FindUniformBaseline, IsTheDearestLevelThatFits) {
  auto space = Space();
  ASSERT_TRUE(AddBudgets(Bits("3.7"), space).ok());
  const auto uniform = FindUniformBaseline(space);
  ASSERT_TRUE(uniform.has_value());
  EXPECT_EQ(uniform->name, "uniform 3-bit");
  EXPECT_EQ(Cost(space, uniform->assignment, kCodeBits),
            3 * TotalWeights(space));
}

absl::StatusOr<search::SearchSpace> OuterSpace(const std::string& units,
                                               const std::string& menu,
                                               bool tied = false) {
  std::vector<TensorInfo> tensors = Tensors();
  if (tied) {
    std::erase_if(tensors, [](const TensorInfo& tensor) {
      return tensor.name == "lm_head.weight";
    });
  }
  SpaceOptions options;
  options.menu = menu;
  auto rule = ParseOuterRule(units);
  if (!rule.ok()) return rule.status();
  options.outer = *rule;
  return BuildSpace(tensors, options);
}

TEST(Outer, EmbeddingAndHeadAreUnitsWithExactCosts) {
  const auto plain = Space();
  const auto space = OuterSpace("embed,head", "rtn:2-4:g32,keep");
  ASSERT_TRUE(space.ok()) << space.status();
  ASSERT_EQ(space->units.size(), 8u);
  EXPECT_EQ(space->units.front().name, "model.embed_tokens");
  EXPECT_EQ(space->units.back().name, "lm_head");
  for (const search::Unit* unit :
       {&space->units.front(), &space->units.back()}) {
    EXPECT_EQ(unit->weights, 100 * 64);
    ASSERT_EQ(unit->menu.size(), 4u);
    EXPECT_EQ(unit->menu[1].costs[kCodeBits], 100 * 64 * 3);
    EXPECT_EQ(unit->menu[1].costs[kStoredBits],
              100 * 64 * 3 + 100 * (64 / 32) * (16 + 3));
    EXPECT_EQ(unit->menu[3].costs[kStoredBits], 100 * 64 * 16);
  }
  EXPECT_EQ(
      plain.constant_costs[kModelBits] - space->constant_costs[kModelBits],
      8 * 2 * 12800);
  EXPECT_EQ(OuterSpace("head", "rtn:2-4:g32")->units.size(), 7u);
  EXPECT_EQ(OuterSpace("", "rtn:2-4:g32")->units.size(), 6u);
}

TEST(Outer, ATiedMatrixIsOneUnitWhicheverUseIsNamed) {
  for (const char* units : {"embed", "head", "head,embed"}) {
    const auto space = OuterSpace(units, "gptq:2-4:g32", /*tied=*/true);
    ASSERT_TRUE(space.ok()) << space.status();
    ASSERT_EQ(space->units.size(), 7u);
    EXPECT_EQ(space->units[0].name, "model.embed_tokens");
    // The statistics are those of what the head reads.
    EXPECT_EQ(space->units[0].menu[0].name, "gptq:b2:g32:asym");
  }
}

TEST(Outer, AnEmbeddingOfItsOwnIsRoundedToNearest) {
  const auto space =
      OuterSpace("embed,head", "gptq:2-3:g32:actorder:search,rtn:3:g32,keep");
  ASSERT_TRUE(space.ok()) << space.status();
  std::vector<std::string> names;
  for (const auto& level : space->units[0].menu) names.push_back(level.name);
  EXPECT_THAT(
      names, ::testing::ElementsAre("rtn:b2:g32:asym:search", "rtn:b3:g32:asym",
                                    "rtn:b3:g32:asym:search", "keep"));
  EXPECT_EQ(space->units.back().menu[0].name,
            "gptq:b2:g32:asym:actorder:search");
  // A level that it does not repeat.
  EXPECT_EQ(OuterSpace("embed", "gptq:3:g32,rtn:3:g32")->units[0].menu.size(),
            1u);
}

TEST(Outer, UniformHasTheEmbeddingsOwnLevelOfTheSameBits) {
  auto space = OuterSpace("embed,head", "gptq:2-4:g32:actorder:search");
  ASSERT_TRUE(space.ok()) << space.status();
  ASSERT_TRUE(AddBudgets(Bits("3"), *space).ok());
  const auto uniform = FindUniformBaseline(*space);
  ASSERT_TRUE(uniform.has_value());
  EXPECT_EQ(uniform->name, "uniform 3-bit");
  EXPECT_EQ(Cost(*space, uniform->assignment, kCodeBits),
            3 * TotalWeights(*space));
}

TEST(Outer, PrunersThatNeedInputsRefuseTheEmbeddingByName) {
  const auto refused = OuterSpace("embed", "wanda:50");
  EXPECT_THAT(refused.status().message(), HasSubstr("model.embed_tokens"));
  EXPECT_THAT(refused.status().message(), HasSubstr("wanda:50"));
  EXPECT_TRUE(OuterSpace("head", "wanda:50").ok());
  EXPECT_TRUE(OuterSpace("embed", "magnitude:50").ok());
  EXPECT_TRUE(OuterSpace("embed", "wanda:50", /*tied=*/true).ok());
}

TEST(Outer, RefusesOtherWords) {
  EXPECT_THAT(ParseOuterRule("embed,router").status().message(),
              HasSubstr("router"));
}

absl::StatusOr<search::SearchSpace> DropSpace(
    const std::string& drop, const std::string& menu = "rtn:2-4:g32",
    std::vector<search::Tie> ties = {}) {
  SpaceOptions options;
  options.menu = menu;
  options.ties = std::move(ties);
  auto rule = ParseDropRule(drop);
  if (!rule.ok()) return rule.status();
  options.drop = *rule;
  return BuildSpace(Tensors(), options);
}

TEST(Modules, BecomeUnitsThatTheirLayersName) {
  const auto space = DropSpace("attn,mlp");
  ASSERT_TRUE(space.ok()) << space.status();
  ASSERT_EQ(space->units.size(), 12u);
  EXPECT_EQ(space->cost_kinds.back(), kModules);
  const search::Unit& layer = space->units[1];
  EXPECT_EQ(layer.name, "model.layers.0.self_attn.q_proj");
  const search::Unit& module = space->units[layer.module];
  EXPECT_EQ(module.name, "model.layers.0.self_attn");
  EXPECT_EQ(module.group, "self_attn");
  // The bias goes with the attention, the norm stays.
  EXPECT_EQ(module.menu[search::kKept].costs,
            (std::vector<int64_t>{0, 0, 256 * 8, 0, 1}));
  EXPECT_EQ(space->constant_costs[kModelBits],
            8 * (12800 + 12800 + 256 + 3 * 256));
  EXPECT_EQ(TotalWeights(*space), TotalWeights(Space()));
  const auto dearest = Dearest(*space);
  EXPECT_EQ(Cost(*space, dearest, kModelBits),
            Cost(Space(), Dearest(Space()), kModelBits));
  EXPECT_EQ(Cost(*space, dearest, 4), 6);
}

TEST(Modules, OfOneKindOnlyOrTiedToBlocks) {
  const auto attention = DropSpace("attn");
  ASSERT_TRUE(attention.ok()) << attention.status();
  EXPECT_EQ(attention->units.size(), 9u);
  EXPECT_EQ(attention->units[0].module, search::kNoModule);
  const auto blocks = DropSpace("block");
  ASSERT_TRUE(blocks.ok()) << blocks.status();
  ASSERT_EQ(blocks->units.size(), 9u);
  EXPECT_EQ(blocks->units[0].module, blocks->units[1].module);
  EXPECT_EQ(blocks->units[6].layers.size(), 2u);
  EXPECT_EQ(blocks->units[6].menu[search::kKept].costs.back(), 2);
}

TEST(Modules, RefuseTiesThatSpanThem) {
  const auto across = DropSpace("attn,mlp", "rtn:2-4:g32",
                                {{{"model.layers.*.self_attn.q_proj"}}});
  EXPECT_EQ(across.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(across.status().ToString().find("spans modules"), std::string::npos)
      << across.status();
  EXPECT_EQ(DropSpace("heads").status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DropSpace("block,attn").status().code(),
            absl::StatusCode::kInvalidArgument);
  const auto level = DropSpace("", "rtn:2-4:g32,drop");
  EXPECT_NE(level.status().ToString().find("--drop"), std::string::npos)
      << level.status();
}

TEST(Modules, DroppedOnesHaveNoWeightsLeft) {
  auto space = *DropSpace("attn,mlp", "sparsegpt:50,keep");
  BudgetOptions options;
  options.target_sparsity = "0.9";
  ASSERT_TRUE(AddBudgets(options, space).ok());
  search::Assignment none = search::Dearest(space);
  for (size_t m = 6; m < 12; ++m) none.levels[m] = search::kDropped;
  EXPECT_EQ(Cost(space, none, kNonzeros), 0);
  EXPECT_EQ(ReachableCosts(space, kNonzeros).min, 0);
}

TEST(Modules, AreBudgetedByShareOrNumberAndSteerOnlyAlone) {
  const auto limit = [](BudgetOptions options) {
    auto space = *DropSpace("attn,mlp");
    const absl::Status status = AddBudgets(options, space);
    EXPECT_TRUE(status.ok()) << status;
    return space.budgets;
  };
  BudgetOptions options;
  options.drop_share = "0.25";  // of 6: two must go
  EXPECT_EQ(limit(options), (std::vector<search::Budget>{{4, 4}}));
  options.target_bits = "3";
  EXPECT_EQ(limit(options)[0].kind, kCodeBits);
  EXPECT_EQ(limit(options)[1], (search::Budget{4, 4}));
  options = {};
  options.max_modules = "5";
  EXPECT_EQ(limit(options), (std::vector<search::Budget>{{4, 5}}));
  options = {};
  options.budgets = {"modules=4", "code_bits=100000"};
  EXPECT_EQ(limit(options)[0].kind, kCodeBits);
  auto plain = Space();
  options = {};
  options.drop_share = "0.25";
  EXPECT_EQ(AddBudgets(options, plain).code(),
            absl::StatusCode::kInvalidArgument);
  auto space = *DropSpace("attn,mlp");
  options.drop_share = "1.5";
  EXPECT_EQ(AddBudgets(options, space).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace evopress::client
