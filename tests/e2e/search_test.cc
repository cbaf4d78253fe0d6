// `evopress search` as users run it: one process with a coordinator and
// workers over gRPC, evaluators as children, a tiny random model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <set>

#include "quant/checkpoint.h"
#include "tests/client/run_evopress.h"

namespace evopress::client {
namespace {

class Search : public ::testing::Test {
 protected:
  void SetUp() override {
    MakeTinyModel(tmp_ / "model");
    WriteText(tmp_ / "text.txt", TinyText(6000, 3));
    WriteText(tmp_ / "wiki.txt", TinyText(2000, 4));
  }

  // Of the flags that make a search small, those that are the strategy's.
  static std::vector<std::string> Sizes(const std::string& strategy) {
    std::vector<std::string> flags;
    const auto add = [&](const std::set<std::string>& users, const char* flag,
                         const char* value) {
      if (users.count(strategy)) flags.insert(flags.end(), {flag, value});
    };
    const std::set<std::string> evolving = {"evopress", "policy-gradient",
                                            "subnet-ga"};
    std::set<std::string> measuring = evolving;
    measuring.insert(
        {"guided", "random", "greedy", "weighted-dp", "brute-force"});
    add(evolving, "--generations", "3");
    add(evolving, "--offspring", "4");
    add({"random"}, "--offspring", "4");
    add({"evopress"}, "--survivors", "2,1");
    add(measuring, "--tokens", "32,64");
    return flags;
  }

  // Runs a search of 3 generations of 4 offspring, or as small, with a data
  // directory of its own.
  nlohmann::json Run(const std::string& name, int workers, int seed = 1,
                     const std::string& strategy = "evopress",
                     const std::vector<std::string>& space = {
                         "--menu", "gptq:2-4:g32", "--target-bits", "3"}) {
    std::vector<std::string> args = {"search",
                                     tmp_ / "model",
                                     "--text",
                                     tmp_ / "text.txt",
                                     "--held-out",
                                     "wiki=" + (tmp_ / "wiki.txt"),
                                     "--held-out-tokens",
                                     "256",
                                     "--strategy",
                                     strategy,
                                     "--sequence-length",
                                     "32",
                                     "--statistics-tokens",
                                     "512",
                                     "--search-tokens",
                                     "1024",
                                     "--seed",
                                     std::to_string(seed),
                                     "--workers",
                                     std::to_string(workers),
                                     "--threads",
                                     "2",
                                     "--data",
                                     tmp_ / ("data-" + name),
                                     "--out",
                                     tmp_ / ("out-" + name),
                                     "--for",
                                     "evopress,json,hf",
                                     "--force",
                                     "--json"};
    args.insert(args.end(), space.begin(), space.end());
    const std::vector<std::string> sizes = Sizes(strategy);
    args.insert(args.end(), sizes.begin(), sizes.end());
    const RunResult r = RunEvoPress(args);
    EXPECT_EQ(r.exit_code, 0) << r.err << r.out;
    const auto json = nlohmann::json::parse(r.out, nullptr, false);
    EXPECT_FALSE(json.is_discarded()) << r.out;
    return json;
  }

  // Perplexity of the model at `path` on what searches report on.
  double Perplexity(const std::string& path) {
    const RunResult r =
        RunEvoPress({"eval", path, "--text", "wiki=" + (tmp_ / "wiki.txt"),
                     "--text-tokens", "256", "--sequence-length", "32",
                     "--data", tmp_ / "data-eval", "--json"});
    EXPECT_EQ(r.exit_code, 0) << r.err << r.out;
    const auto json = nlohmann::json::parse(r.out, nullptr, false);
    return json["results"]["rows"][0]["held_out"][0]["perplexity"];
  }

  nlohmann::json Recipe(const std::string& name) {
    return nlohmann::json::parse(
        ReadText(tmp_ / ("out-" + name + "/recipe.json")), nullptr, false);
  }

  TempDir tmp_;
};

constexpr int64_t kWeights = 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 128 * 64);

TEST_F(Search, TheWinnerCostsWhatWasAskedAndBeatsNothingItCouldNotMeasure) {
  const auto result = Run("a", 1);
  ASSERT_TRUE(result.contains("results")) << result;
  const auto& rows = result["results"]["rows"];
  ASSERT_EQ(rows.size(), 3u);  // winner, uniform, reference
  EXPECT_EQ(rows[0]["name"], "winner");
  EXPECT_EQ(rows[1]["name"], "uniform 3-bit");
  EXPECT_EQ(rows[2]["name"], "reference");
  EXPECT_EQ(rows[0]["costs"]["code_bits"], 3 * kWeights);
  EXPECT_EQ(rows[1]["costs"]["code_bits"], 3 * kWeights);
  EXPECT_GT(rows[0]["held_out"][0]["kl"]["mean"], 0);
  EXPECT_NEAR(rows[2]["held_out"][0]["kl"]["mean"].get<double>(), 0, 1e-6);
  int64_t code_bits = 0;
  const auto recipe = Recipe("a");
  for (const auto& layer : recipe["layers"]) {
    code_bits += layer["costs"]["code_bits"].get<int64_t>();
    EXPECT_TRUE(layer.contains("blob")) << layer;
  }
  EXPECT_EQ(code_bits, 3 * kWeights);
  EXPECT_TRUE(std::filesystem::exists(tmp_ / "out-a/model.safetensors"));
}

TEST_F(Search, DropsHalfOfTheModulesAndWritesAModelThatLosesTheSame) {
  const auto result =
      Run("drop", 2, 1, "evopress",
          {"--menu", "keep", "--drop", "attn,mlp", "--drop-share", "0.5"});
  ASSERT_TRUE(result.contains("results")) << result;
  const auto& winner = result["results"]["rows"][0];
  EXPECT_EQ(winner["costs"]["modules"], 2);
  // One attention and one MLP of two blocks each, as EvoPress writes it.
  EXPECT_THAT(ReadText(tmp_ / "out-drop/evopress.txt"),
              ::testing::AnyOf("none\nattn+mlp\n", "attn+mlp\nnone\n",
                               "attn\nmlp\n", "mlp\nattn\n"));
  EXPECT_EQ(Recipe("drop")["modules"].size(), 4u);
  EXPECT_NEAR(Perplexity(tmp_ / "out-drop"),
              winner["held_out"][0]["perplexity"].get<double>(), 1e-3);
  EXPECT_THAT(ReadText(tmp_ / "out-drop/assignment.svg"),
              ::testing::HasSubstr("q_proj: dropped"));
}

TEST_F(Search, DropsModulesToReachFewerBitsThanAnyLevelHas) {
  const auto result = Run(
      "joint", 1, 1, "evopress",
      {"--menu", "rtn:2-4:g32", "--drop", "attn,mlp", "--target-bits", "1.75"});
  ASSERT_TRUE(result.contains("results")) << result;
  const auto& winner = result["results"]["rows"][0];
  EXPECT_LE(winner["costs"]["code_bits"], kWeights * 7 / 4);
  EXPECT_LT(winner["costs"]["modules"], 4);
  EXPECT_NEAR(Perplexity(tmp_ / "out-joint"),
              winner["held_out"][0]["perplexity"].get<double>(), 1e-3);
}

TEST_F(Search, TheHistoryIsTheSameWithOneAndTwoWorkersAndAgain) {
  const auto one = Run("one", 1);
  const auto two = Run("two", 2);
  ASSERT_TRUE(one.contains("history_hash") && two.contains("history_hash"));
  EXPECT_EQ(one["history_hash"].get<std::string>().size(), 64u);
  EXPECT_EQ(one["history_hash"], two["history_hash"]);
  EXPECT_EQ(one["results"], two["results"]);
  // The same command on the same data finds the job that has ended.
  const auto again = Run("one", 2);
  EXPECT_EQ(one["job"], again["job"]);
  EXPECT_EQ(one["history_hash"], again["history_hash"]);
  EXPECT_NE(Run("one", 1, /*seed=*/2)["history_hash"], one["history_hash"]);
}

TEST_F(Search, PrunesToAnExactSparsityAndExportsTheZeros) {
  const RunResult r = RunEvoPress({"search",
                                   tmp_ / "model",
                                   "--text",
                                   tmp_ / "text.txt",
                                   "--menu",
                                   "sparsegpt:50:steps2x512",
                                   "--target-sparsity",
                                   "0.5",
                                   "--strategy",
                                   "evopress",
                                   "--group",
                                   "none",
                                   "--generations",
                                   "3",
                                   "--offspring",
                                   "4",
                                   "--survivors",
                                   "2,1",
                                   "--tokens",
                                   "32,64",
                                   "--sequence-length",
                                   "32",
                                   "--statistics-tokens",
                                   "512",
                                   "--data",
                                   tmp_ / "data",
                                   "--out",
                                   tmp_ / "out",
                                   "--for",
                                   "evopress,json,hf",
                                   "--json"});
  ASSERT_EQ(r.exit_code, 0) << r.err << r.out;
  const auto result = nlohmann::json::parse(r.out, nullptr, false);
  const auto& rows = result["results"]["rows"];
  ASSERT_EQ(rows.size(), 3u) << result;
  EXPECT_EQ(rows[0]["costs"]["nonzeros"], kWeights / 2);
  EXPECT_EQ(rows[1]["name"], "uniform sparsegpt:50");
  EXPECT_EQ(rows[1]["costs"]["nonzeros"], kWeights / 2);
  const std::string levels = ReadText(tmp_ / "out/levels.txt");
  EXPECT_THAT(levels, ::testing::HasSubstr(".mlp.down_proj: sparsegpt:"));
  EXPECT_FALSE(std::filesystem::exists(tmp_ / "out/evopress.txt"));
  const auto model = quant::Checkpoint::Open(tmp_ / "out");
  ASSERT_TRUE(model.ok()) << model.status();
  const auto recipe =
      nlohmann::json::parse(ReadText(tmp_ / "out/recipe.json"), nullptr, false);
  for (const auto& layer : recipe["layers"]) {
    const std::string name = layer["layer"];
    const int64_t weights = layer["weights"];
    std::vector<float> values(weights);
    ASSERT_TRUE(
        (*model)->ReadF32(name + ".weight", absl::MakeSpan(values)).ok());
    EXPECT_EQ(weights - std::count(values.begin(), values.end(), 0.0f),
              layer["costs"]["nonzeros"].get<int64_t>())
        << name << " " << layer["level"];
  }
}

// The committed model with eight experts, under the tiny tokenizer.
TEST_F(Search, ExpertsAreLayersOfTheirOwnOrTied) {
  namespace fs = std::filesystem;
  fs::copy(std::string(EVOPRESS_SOURCE_DIR) + "/tests/golden/engine/qwen3_moe",
           tmp_ / "moe");
  fs::copy(tmp_ / "model/tokenizer.json", tmp_ / "moe/tokenizer.json");
  for (const bool tied : {false, true}) {
    SCOPED_TRACE(tied);
    const std::string out = tmp_ / (tied ? "tied" : "free");
    std::vector<std::string> command = {"search",
                                        tmp_ / "moe",
                                        "--text",
                                        tmp_ / "text.txt",
                                        "--menu",
                                        "gptq:2-4:g32",
                                        "--target-bits",
                                        "3",
                                        "--strategy",
                                        "evopress",
                                        "--generations",
                                        "3",
                                        "--offspring",
                                        "4",
                                        "--survivors",
                                        "2,1",
                                        "--tokens",
                                        "128,256",
                                        "--sequence-length",
                                        "64",
                                        "--statistics-tokens",
                                        "512",
                                        "--data",
                                        out + "-data",
                                        "--out",
                                        out,
                                        "--for",
                                        "json,hf",
                                        "--json"};
    if (tied)
      command.insert(command.end(), {"--tie", "*.layers.#.*.experts.*"});
    const RunResult r = RunEvoPress(command);
    ASSERT_EQ(r.exit_code, 0) << r.err;
    const auto recipe =
        nlohmann::json::parse(ReadText(out + "/recipe.json"), nullptr, false);
    ASSERT_EQ(recipe["layers"].size(), 7u + 4 + 3 * 8);
    int64_t bits = 0, weights = 0;
    std::set<std::string> levels_of_experts;
    for (const auto& layer : recipe["layers"]) {
      bits += layer["costs"]["code_bits"].get<int64_t>();
      weights += layer["weights"].get<int64_t>();
      const std::string name = layer["layer"];
      if (name.find("experts") != std::string::npos) {
        levels_of_experts.insert(layer["level"]);
      }
    }
    EXPECT_EQ(bits, 3 * weights);
    EXPECT_EQ(levels_of_experts.size() == 1, tied);
    EXPECT_TRUE(fs::exists(out + "/model.safetensors"));
  }
}

TEST_F(Search, KilledAndStartedAgainItEndsWithTheSameHistory) {
  const auto run = [&](const std::string& data, const std::string& wrapper) {
    return RunEvoPress({"search",
                        tmp_ / "model",
                        "--text",
                        tmp_ / "text.txt",
                        "--menu",
                        "gptq:2-4:g32",
                        "--target-bits",
                        "3",
                        "--strategy",
                        "evopress",
                        "--generations",
                        "15",
                        "--offspring",
                        "8",
                        "--survivors",
                        "2,1",
                        "--tokens",
                        "128,512",
                        "--sequence-length",
                        "32",
                        "--statistics-tokens",
                        "512",
                        "--data",
                        tmp_ / data,
                        "--out",
                        tmp_ / "out",
                        "--force",
                        "--json"},
                       wrapper);
  };
  const auto whole =
      nlohmann::json::parse(run("whole", "").out, nullptr, false);
  ASSERT_TRUE(whole.contains("history_hash")) << whole;
  // Wherever the kills fall, the journal leads to the same end.
  run("killed", "timeout -s KILL 0.5");
  run("killed", "timeout -s KILL 0.8");
  run("killed", "timeout -s INT 0.6");
  const auto killed =
      nlohmann::json::parse(run("killed", "").out, nullptr, false);
  ASSERT_TRUE(killed.contains("history_hash")) << killed;
  EXPECT_EQ(killed["history_hash"], whole["history_hash"]);
  EXPECT_EQ(killed["results"], whole["results"]);
}

TEST_F(Search, EvalMeasuresTheModelItselfAndUniformLevels) {
  const auto eval = [&](std::vector<std::string> more) {
    std::vector<std::string> all = {"eval",
                                    "--text",
                                    "wiki=" + (tmp_ / "wiki.txt"),
                                    tmp_ / "model",
                                    "--calibration",
                                    tmp_ / "text.txt",
                                    "--text-tokens",
                                    "256",
                                    "--sequence-length",
                                    "32",
                                    "--statistics-tokens",
                                    "512",
                                    "--menu",
                                    "gptq:2-4:g32",
                                    "--data",
                                    tmp_ / "data",
                                    "--json"};
    all.insert(all.end(), more.begin(), more.end());
    const RunResult r = RunEvoPress(all);
    EXPECT_EQ(r.exit_code, 0) << r.err << r.out;
    return nlohmann::json::parse(r.out, nullptr, false);
  };
  const auto model = eval({});
  ASSERT_TRUE(model.contains("results")) << model;
  ASSERT_EQ(model["results"]["rows"].size(), 1u);
  EXPECT_EQ(model["results"]["rows"][0]["name"], "reference");
  const auto uniform = eval({"--uniform", "3"});
  ASSERT_TRUE(uniform.contains("results")) << uniform;
  ASSERT_EQ(uniform["results"]["rows"].size(), 2u);
  EXPECT_EQ(uniform["results"]["rows"][0]["costs"]["code_bits"], 3 * kWeights);
  EXPECT_EQ(uniform["results"]["rows"][1]["held_out"][0]["nll"],
            model["results"]["rows"][0]["held_out"][0]["nll"]);
}

TEST_F(Search, WhatIsLearnedFromRoundsDependsOnNoWorker) {
  for (const std::string strategy : {"policy-gradient", "subnet-ga"}) {
    SCOPED_TRACE(strategy);
    const auto one = Run(strategy + "-one", 1, 1, strategy);
    const auto two = Run(strategy + "-two", 2, 1, strategy);
    ASSERT_TRUE(one.contains("history_hash") && two.contains("history_hash"));
    EXPECT_EQ(one["history_hash"], two["history_hash"]);
    EXPECT_EQ(one["results"], two["results"]);
  }
}

TEST_F(Search, BruteForceMeasuresEveryAssignmentOfTiedLayers) {
  const auto result =
      Run("brute", 1, 1, "brute-force",
          {"--menu", "gptq:2-4:g32", "--target-bits", "3", "--group", "none",
           "--tie", "*self_attn*", "--tie", "*mlp*"});
  ASSERT_TRUE(result.contains("results")) << result;
  EXPECT_EQ(result["rounds"], 1);
  EXPECT_LE(result["results"]["rows"][0]["costs"]["code_bits"].get<int64_t>(),
            3 * kWeights);
  EXPECT_LE(result["results"]["rows"][0]["fitness"].get<double>(),
            std::numeric_limits<double>::max());
}

TEST_F(Search, OwlSpendsTheSparsityWithoutMeasuringAnything) {
  const std::vector<std::string> space = {"--menu", "sparsegpt:50:steps8x64",
                                          "--target-sparsity", "0.5"};
  const auto owl = Run("owl", 1, 1, "owl", space);
  ASSERT_TRUE(owl.contains("results")) << owl;
  EXPECT_EQ(owl["rounds"], 0);
  EXPECT_EQ(owl["results"]["rows"][0]["costs"]["nonzeros"], kWeights / 2);
  // The blocks differ, so the winner is not uniform; and the profile of the
  // model does not depend on the worker.
  EXPECT_NE(owl["results"]["rows"][0]["held_out"],
            owl["results"]["rows"][1]["held_out"]);
  const auto two = Run("owl-two", 2, 1, "owl", space);
  EXPECT_EQ(two["results"], owl["results"]);
}

TEST_F(Search, DropScoresDropWhatIsAskedWithoutMeasuringAnything) {
  for (const std::string strategy :
       {"drop-cosine", "drop-norm", "drop-window"}) {
    SCOPED_TRACE(strategy);
    const bool window = strategy == "drop-window";
    const auto result =
        Run("scores", 1, 1, strategy,
            {"--menu", "keep", "--drop", window ? "block" : "attn,mlp",
             "--drop-share", "0.5"});
    ASSERT_TRUE(result.contains("results")) << result;
    EXPECT_EQ(result["rounds"], 0);
    const auto& winner = result["results"]["rows"][0];
    EXPECT_EQ(winner["costs"]["modules"], 2);
    EXPECT_GT(winner["held_out"][0]["kl"]["mean"], 0);
  }
}

TEST_F(Search, EmbeddingAndHeadAreSearchedAndWrittenAsMeasured) {
  constexpr int64_t kTable = 256 * 64;
  for (const bool tied : {true, false}) {
    SCOPED_TRACE(tied ? "tied" : "untied");
    MakeTinyModel(tmp_ / "model", 1, tied);
    const std::string name = tied ? "tied" : "untied";
    const std::vector<std::string> space = {"--menu",
                                            "gptq:2-5:g32",
                                            "--target-bits",
                                            "3",
                                            "--units",
                                            "embed,head",
                                            "--decision-tokens",
                                            "128",
                                            "--races",
                                            "2",
                                            "--candidates",
                                            "4"};
    const auto result = Run(name, 1, 1, "guided", space);
    ASSERT_TRUE(result.contains("results")) << result;
    const auto& rows = result["results"]["rows"];
    const int64_t weights = kWeights + (tied ? 1 : 2) * kTable;
    EXPECT_LE(rows[0]["costs"]["code_bits"].get<int64_t>(), 3 * weights);
    EXPECT_EQ(rows[1]["name"], "uniform 3-bit");
    EXPECT_EQ(rows[1]["costs"]["code_bits"], 3 * weights);
    // Two independent ways to what the winner loses: its levels, and a
    // checkpoint with the numbers they stand for.
    const double perplexity = rows[0]["held_out"][0]["perplexity"];
    EXPECT_NEAR(Perplexity(tmp_ / ("out-" + name)), perplexity,
                1e-3 * perplexity);
    std::set<std::string> layers;
    const auto recipe = Recipe(name);
    for (const auto& layer : recipe["layers"]) {
      layers.insert(layer["layer"].get<std::string>());
      EXPECT_TRUE(layer.contains("blob")) << layer;
    }
    EXPECT_TRUE(layers.contains("model.embed_tokens"));
    EXPECT_EQ(layers.contains("lm_head"), !tied);
    const std::string svg =
        ReadText(tmp_ / ("out-" + name) + "/assignment.svg");
    EXPECT_THAT(svg, ::testing::HasSubstr("model.embed_tokens: "));
    EXPECT_THAT(ReadText(tmp_ / ("out-" + name) + "/evopress.txt"),
                ::testing::HasSubstr("model.embed_tokens: "));
    const auto two = Run(name + "-two", 2, 1, "guided", space);
    EXPECT_EQ(two["history_hash"], result["history_hash"]);
    EXPECT_EQ(two["results"], result["results"]);
  }
}

TEST_F(Search, EvalTakesUniformLevelsOfTheOuterUnitsToo) {
  MakeTinyModel(tmp_ / "model", 1, /*tied=*/false);
  const auto eval = [&](const std::string& level) {
    const RunResult r = RunEvoPress({"eval",
                                     tmp_ / "model",
                                     "--text",
                                     "wiki=" + (tmp_ / "wiki.txt"),
                                     "--calibration",
                                     tmp_ / "text.txt",
                                     "--text-tokens",
                                     "256",
                                     "--sequence-length",
                                     "32",
                                     "--statistics-tokens",
                                     "512",
                                     "--menu",
                                     "gptq:2-4:g32:actorder",
                                     "--units",
                                     "embed,head",
                                     "--uniform",
                                     level,
                                     "--data",
                                     tmp_ / "data",
                                     "--json"});
    EXPECT_EQ(r.exit_code, 0) << r.err << r.out;
    return nlohmann::json::parse(r.out, nullptr, false)["results"]["rows"][0];
  };
  const auto width = eval("3");
  EXPECT_EQ(width["costs"]["code_bits"], 3 * (kWeights + 2 * 256 * 64));
  const auto level = eval("gptq:b3:g32:asym:actorder");
  EXPECT_EQ(level["held_out"], width["held_out"]);
  // An assignment of more units than the command has.
  WriteText(tmp_ / "levels.txt", "lm_head: 3\n");
  const RunResult r = RunEvoPress(
      {"eval", tmp_ / "model", "--text", tmp_ / "wiki.txt", "--assignment",
       tmp_ / "levels.txt", "--sequence-length", "32", "--text-tokens", "256",
       "--statistics-tokens", "512", "--data", tmp_ / "data"});
  EXPECT_NE(r.exit_code, 0);
  EXPECT_THAT(r.err, ::testing::HasSubstr("--units embed,head"));
  const RunResult owl =
      RunEvoPress({"plan", tmp_ / "model", "--text", tmp_ / "text.txt",
                   "--strategy", "owl", "--units", "head", "--menu",
                   "sparsegpt:50:steps8x64", "--target-sparsity", "0.5",
                   "--sequence-length", "32", "--statistics-tokens", "512"});
  EXPECT_NE(owl.exit_code, 0);
  EXPECT_THAT(owl.err, ::testing::HasSubstr("leave out --units"));
}

TEST_F(Search, EveryStrategyMeetsTheBudget) {
  for (const char* strategy : {"uniform", "random", "greedy", "dp",
                               "weighted-dp", "policy-gradient", "subnet-ga"}) {
    SCOPED_TRACE(strategy);
    const auto result = Run("strategies", 1, 1, strategy);
    ASSERT_TRUE(result.contains("results")) << result;
    EXPECT_LE(result["results"]["rows"][0]["costs"]["code_bits"].get<int64_t>(),
              3 * kWeights);
    const auto outer = Run(
        "strategies", 1, 1, strategy,
        {"--menu", "gptq:2-4:g32", "--target-bits", "3", "--units", "embed"});
    ASSERT_TRUE(outer.contains("results")) << outer;
    EXPECT_LE(outer["results"]["rows"][0]["costs"]["code_bits"].get<int64_t>(),
              3 * (kWeights + 256 * 64));
  }
}

}  // namespace
}  // namespace evopress::client
