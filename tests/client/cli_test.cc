// What the command line promises for bad input: exit code 2, and a message
// that names the value, the limit and what to do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/run_evopress.h"

namespace evopress::client {
namespace {

using ::testing::HasSubstr;

class Cli : public ::testing::Test {
 protected:
  void SetUp() override {
    MakeTinyModel(tmp_ / "model");
    WriteText(tmp_ / "text.txt", TinyText(20000, 3));
  }

  // A search that would be legal; `more` comes last and may override.
  RunResult Search(std::vector<std::string> more) {
    std::vector<std::string> all = {"search",
                                    tmp_ / "model",
                                    "--text",
                                    tmp_ / "text.txt",
                                    "--menu",
                                    "rtn:2-4:g32",
                                    "--sequence-length",
                                    "32",
                                    "--tokens",
                                    "32,64,128",
                                    "--statistics-tokens",
                                    "256",
                                    "--data",
                                    tmp_ / "data",
                                    "--out",
                                    tmp_ / "out"};
    all.insert(all.end(), more.begin(), more.end());
    return RunEvoPress(all);
  }

  TempDir tmp_;
};

TEST_F(Cli, HelpOfEveryCommandTeachesWithAnExample) {
  for (const char* command :
       {"plan", "search", "submit", "jobs", "workers", "inspect", "levels",
        "eval", "compare", "export", "report"}) {
    const RunResult r = RunEvoPress({command, "--help"});
    EXPECT_EQ(r.exit_code, 0) << command;
    EXPECT_THAT(r.out, HasSubstr("Example")) << command;
    EXPECT_THAT(r.out, HasSubstr(std::string("evopress ") + command));
  }
}

TEST_F(Cli, UnknownFlagsAndCommandsAreUsageErrors) {
  EXPECT_EQ(RunEvoPress({}).exit_code, 2);
  EXPECT_EQ(RunEvoPress({"serch"}).exit_code, 2);
  const RunResult r = Search({"--target-bits", "3", "--generatoins", "5"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.err, HasSubstr("--generatoins"));
}

TEST_F(Cli, AnImpossibleBudgetPrintsTheReachableRange) {
  const RunResult r = Search({"--target-bits", "1.5"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.err, HasSubstr("2.000 to 4.000 bits per weight"));
}

TEST_F(Cli, BudgetsThatExcludeEachOtherAreRefusedBeforeTheWork) {
  WriteText(tmp_ / "table",
            "kind=ns unit=ns\n* rtn:b2:g32 30\n* rtn:b3:g32 20\n"
            "* rtn:b4:g32 10\n");
  const RunResult r = Search({"--target-bits", "2", "--cost-table",
                              tmp_ / "table", "--budget", "ns=200"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.err, HasSubstr("200 ns"));
}

TEST_F(Cli, TooFewTokensForAnythingAreUsageErrors) {
  const RunResult r = Search(
      {"--strategy", "evopress", "--target-bits", "3", "--max-tokens", "64"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.err, HasSubstr("first round"));
}

TEST_F(Cli, ASmallSearchSetSaysWhatItIsToHold) {
  RunResult r = Search({"--target-bits", "3", "--search-tokens", "4096"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.err, HasSubstr("--search-tokens 4096"));
  EXPECT_THAT(r.err, HasSubstr("--tokens 128 and --decision-tokens 8192, "
                               "together 8320; raise it to 8320 or lower"));
  r = Search(
      {"--target-bits", "3", "--search-tokens", "96", "--strategy", "greedy"});
  EXPECT_THAT(r.err, HasSubstr("--tokens 128; raise it to 128"));
}

TEST_F(Cli, ASearchWithoutABudgetSaysHowToGiveOne) {
  const RunResult r = Search({});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.err, HasSubstr("--target-bits"));
}

TEST_F(Cli, AMissingModelIsNamed) {
  const RunResult r = RunEvoPress({"inspect", tmp_ / "nowhere.gguf"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.err, HasSubstr("nowhere.gguf"));
}

TEST_F(Cli, ATruncatedGgufIsRefused) {
  const std::string whole = ReadText(std::string(EVOPRESS_SOURCE_DIR) +
                                     "/tests/golden/tiny_llama.gguf");
  ASSERT_GT(whole.size(), 1000u);
  WriteText(tmp_ / "cut.gguf", whole.substr(0, whole.size() / 2));
  const RunResult r = RunEvoPress({"inspect", tmp_ / "cut.gguf"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.err, HasSubstr("cut.gguf"));
}

TEST_F(Cli, ErrorsAreJsonWhenAsked) {
  const RunResult r = RunEvoPress({"inspect", tmp_ / "nowhere", "--json"});
  EXPECT_EQ(r.exit_code, 2);
  const auto json = nlohmann::json::parse(r.out, nullptr, false);
  ASSERT_FALSE(json.is_discarded()) << r.out;
  EXPECT_EQ(json["error"]["code"], "NOT_FOUND");
}

TEST_F(Cli, ANonEmptyOutputDirectoryIsRefusedBeforeTheWork) {
  std::filesystem::create_directories(tmp_ / "out");
  WriteText(tmp_ / "out/thesis.txt", "x");
  for (const bool force : {false, true}) {
    std::vector<std::string> more = {"--target-bits", "3"};
    if (force) more.push_back("--force");
    const RunResult r = Search(more);
    EXPECT_EQ(r.exit_code, 2);
    EXPECT_THAT(r.err, HasSubstr("not empty"));
  }
  EXPECT_FALSE(std::filesystem::exists(tmp_ / "data"));
}

TEST_F(Cli, AnUnknownLayerOfAnAssignmentIsNamed) {
  WriteText(tmp_ / "a.txt", "model.layers.7.self_attn.q_proj: 3\n");
  const RunResult r = RunEvoPress(
      {"eval", tmp_ / "model", "--assignment", tmp_ / "a.txt", "--text",
       "t=" + (tmp_ / "text.txt"), "--menu", "rtn:2-4:g32", "--sequence-length",
       "32", "--text-tokens", "128", "--data", tmp_ / "data"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.err, HasSubstr("model.layers.7.self_attn.q_proj"));
}

TEST_F(Cli, AShortTextSaysHowManyTokensItHas) {
  WriteText(tmp_ / "short.txt", "only a few tokens");
  const RunResult r =
      Search({"--target-bits", "3", "--held-out", "s=" + (tmp_ / "short.txt")});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.err, HasSubstr("17 tokens"));
  EXPECT_THAT(r.err, HasSubstr("--held-out-tokens"));
}

TEST_F(Cli, ALevelThatALayerCannotTakeNamesTheLayer) {
  const RunResult r = RunEvoPress(
      {"search", tmp_ / "model", "--text", tmp_ / "text.txt", "--menu",
       "rtn:3:g48", "--target-bits", "3", "--out", tmp_ / "out"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.err, HasSubstr("model.layers.0."));
}

TEST_F(Cli, StagesThatDoNotMatchAreUsageErrors) {
  const RunResult r = Search(
      {"--strategy", "evopress", "--target-bits", "3", "--survivors", "8,1"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.err, HasSubstr("--survivors has 2 stages"));
}

TEST_F(Cli, AFlagOfAnotherStrategyIsRefusedWithThoseThatUseIt) {
  const auto refusal = [&](const std::vector<std::string>& more) {
    const RunResult r = Search(more);
    EXPECT_EQ(r.exit_code, 2) << r.out;
    return r.err;
  };
  EXPECT_THAT(refusal({"--target-bits", "3", "--survivors", "8,2,1"}),
              HasSubstr("--strategy guided has no use for --survivors, which "
                        "is for evopress"));
  EXPECT_THAT(refusal({"--target-bits", "3", "--strategy", "random", "--races",
                       "3", "--anchor", "a.txt"}),
              HasSubstr("--strategy random has no use for --races, which is "
                        "for guided"));
  EXPECT_THAT(refusal({"--target-bits", "3", "--strategy", "dp"}),
              HasSubstr("--strategy dp has no use for --tokens"));
  // With a budget or without one.
  for (const char* budget : {"--target-bits=3", "--seed=1"}) {
    const RunResult r =
        RunEvoPress({"plan", tmp_ / "model", "--text", tmp_ / "text.txt",
                     "--generations", "5", budget});
    EXPECT_EQ(r.exit_code, 2) << r.out;
    EXPECT_THAT(r.err, HasSubstr("--generations, which is for evopress, "
                                 "subnet-ga, policy-gradient"));
  }
}

TEST_F(Cli, AStrategyThatMeasuresNothingMindsNoTokens) {
  const RunResult r = RunEvoPress(
      {"plan", tmp_ / "model", "--held-out", "t=" + (tmp_ / "text.txt"),
       "--held-out-tokens", "300", "--sequence-length", "100", "--menu",
       "rtn:2-4:g32", "--strategy", "uniform", "--target-bits", "3"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
}

TEST_F(Cli, InspectCountsParameters) {
  const RunResult r = RunEvoPress({"inspect", tmp_ / "model", "--json"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  const auto json = nlohmann::json::parse(r.out);
  // q, o 64x64; k, v 32x64; gate, up, down 128x64; two blocks.
  EXPECT_EQ(json["searched_parameters"],
            2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 128 * 64));
  EXPECT_EQ(json["hash"].get<std::string>().size(), 64u);
  EXPECT_TRUE(json["warnings"].empty());
}

TEST_F(Cli, AnUnreachableServerFailsWithAdvice) {
  const RunResult r = RunEvoPress({"jobs", "get", "x", "--data", "/nowhere"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.err, HasSubstr("/nowhere"));
}

}  // namespace
}  // namespace evopress::client
