// `evopress plan`, limits, cost tables and the report, as users run them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/client/run_evopress.h"

namespace evopress::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Plan : public ::testing::Test {
 protected:
  void SetUp() override {
    MakeTinyModel(tmp_ / "model");
    WriteText(tmp_ / "text.txt", TinyText(6000, 3));
    WriteText(tmp_ / "wiki.txt", TinyText(2000, 4));
  }

  nlohmann::json Run(const std::string& command,
                     const std::vector<std::string>& more,
                     const std::string& data = "data") {
    std::vector<std::string> all = {command,
                                    tmp_ / "model",
                                    "--text",
                                    tmp_ / "text.txt",
                                    "--held-out",
                                    "wiki=" + (tmp_ / "wiki.txt"),
                                    "--held-out-tokens",
                                    "256",
                                    "--menu",
                                    "gptq:2-4:g32",
                                    "--tokens",
                                    "32,64",
                                    "--sequence-length",
                                    "32",
                                    "--statistics-tokens",
                                    "512",
                                    "--search-tokens",
                                    "1024",
                                    "--threads",
                                    "2",
                                    "--data",
                                    tmp_ / data,
                                    "--json"};
    if (std::find(more.begin(), more.end(), "--strategy") == more.end()) {
      all.insert(all.end(), {"--strategy", "evopress", "--generations", "4",
                             "--offspring", "6", "--survivors", "2,1"});
    }
    all.insert(all.end(), more.begin(), more.end());
    if (command == "search") {
      all.insert(all.end(), {"--out", tmp_ / "out", "--force"});
    }
    const RunResult r = RunEvoPress(all);
    EXPECT_EQ(r.exit_code, 0) << r.err << r.out;
    const auto json = nlohmann::json::parse(r.out, nullptr, false);
    EXPECT_FALSE(json.is_discarded()) << r.out;
    return json;
  }

  nlohmann::json Recipe() {
    return nlohmann::json::parse(ReadText(tmp_ / "out/recipe.json"), nullptr,
                                 false);
  }

  TempDir tmp_;
};

TEST_F(Plan, PredictsTokensAndDiskOfTheSearchAndSeesWhatIsBuilt) {
  const std::vector<std::string> budget = {"--target-bits", "3"};
  const auto plan = Run("plan", budget);
  ASSERT_TRUE(plan.contains("tokens")) << plan;
  EXPECT_FALSE(std::filesystem::exists(tmp_ / "data")) << "nothing is spent";
  EXPECT_EQ(plan["budgets"][0]["holds"], true);
  EXPECT_EQ(plan["gain_unlikely"], false);
  EXPECT_EQ(plan["levels"]["present"], 0);
  EXPECT_GT(plan["seconds"]["total"].get<double>(), 0);
  const auto search = Run("search", budget);
  const double measured = search["evaluated_tokens"].get<double>();
  const double planned = plan["tokens"]["measured"].get<double>();
  EXPECT_LT(planned, 1.5 * measured);
  EXPECT_LT(measured, 1.5 * planned);
  const auto again = Run("plan", budget);
  EXPECT_EQ(again["levels"]["present"], again["levels"]["all"]);
  EXPECT_EQ(again["levels"]["missing_bytes"], 0);
  EXPECT_EQ(again["seconds"]["build"], 0.0);
}

TEST_F(Plan, CountsEmbeddingAndHead) {
  MakeTinyModel(tmp_ / "model", 1, /*tied=*/false);
  const std::vector<std::string> budget = {"--target-bits", "3"};
  const auto plain = Run("plan", budget);
  std::vector<std::string> outer = budget;
  outer.insert(outer.end(), {"--units", "embed,head"});
  const auto plan = Run("plan", outer);
  EXPECT_EQ(
      plan["levels"]["all"].get<int>() - plain["levels"]["all"].get<int>(),
      2 * 3);
  // 2, 3 and 4 bits with 16-bit scales and zeros for groups of 32.
  EXPECT_EQ(plan["levels"]["bytes"].get<int64_t>() -
                plain["levels"]["bytes"].get<int64_t>(),
            2 * 256 * (64 * (2 + 3 + 4) + 2 * (3 * 16 + 2 + 3 + 4)) / 8);
  EXPECT_GT(plan["seconds"]["total"].get<double>(), 0);
  EXPECT_GT(plan["memory_bytes"].get<int64_t>(), 0);
  const auto search = Run("search", outer);
  EXPECT_EQ(Run("plan", outer)["levels"]["missing_bytes"], 0);
}

TEST_F(Plan, WithoutABudgetTellsTheReachAlone) {
  const auto plan = Run("plan", {});
  EXPECT_EQ(plan["reachable"].size(), 4u);
  EXPECT_EQ(plan["reachable"][0]["min_per_weight"], 2.0);
  EXPECT_FALSE(plan.contains("tokens"));
}

TEST_F(Plan, TwoBudgetsHoldWithATableOfOnesOwn) {
  WriteText(tmp_ / "table",
            "kind=ns unit=ns constant=7\n* gptq:b2:g32 100\n"
            "* gptq:b3:g32 160\n* gptq:b4:g32 230\n"
            "*.down_proj gptq:b8:g32 1\n");
  for (const bool evolves : {true, false}) {
    SCOPED_TRACE(evolves);
    std::vector<std::string> flags = {"--target-bits", "3",
                                      "--cost-table",  tmp_ / "table",
                                      "--budget",      "ns=2100"};
    if (!evolves) flags.insert(flags.end(), {"--strategy", "weighted-dp"});
    const auto search = Run("search", flags);
    const auto& costs = search["results"]["rows"][0]["costs"];
    EXPECT_LE(costs["ns"].get<int64_t>(), 2100);
    EXPECT_GT(costs["ns"].get<int64_t>(), 2000) << "and are spent";
    EXPECT_EQ(Recipe()["budgets"].size(), 2u);
    EXPECT_THAT(Recipe()["labels"]["cost_table.ns"].get<std::string>(),
                HasSubstr("ns of"));
  }
}

TEST_F(Plan, LimitsEndASearchWithTheBestSoFar) {
  const auto whole = Run("search", {"--target-bits", "3"});
  EXPECT_EQ(whole["stopped_by"], "");
  EXPECT_EQ(whole["reproducible"], true);
  const auto tokens =
      Run("search", {"--target-bits", "3", "--max-tokens", "1000"}, "tokens");
  EXPECT_EQ(tokens["stopped_by"], "max_tokens");
  EXPECT_LE(tokens["search_tokens"].get<int64_t>(), 1000);
  EXPECT_LT(tokens["rounds"], whole["rounds"]);
  EXPECT_EQ(Recipe()["reproducible"], true);
  const auto hours =
      Run("search", {"--target-bits", "3", "--max-hours", "0.000001"}, "hours");
  EXPECT_EQ(hours["stopped_by"], "deadline");
  EXPECT_EQ(hours["reproducible"], false);
  EXPECT_EQ(Recipe()["reproducible"], false);
  EXPECT_EQ(Recipe()["stopped_by"], "deadline");
}

TEST_F(Plan, TheReportTellsEveryRound) {
  const auto search = Run("search", {"--target-bits", "3"});
  const RunResult r =
      RunEvoPress({"report", search["job"].get<std::string>(), "--data",
                   tmp_ / "data", "--out", tmp_ / "report.html", "--json"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  const auto json = nlohmann::json::parse(r.out);
  EXPECT_EQ(json["replayed"], true);
  EXPECT_EQ(json["rounds"], search["rounds"]);
  const std::string html = ReadText(tmp_ / "report.html");
  EXPECT_THAT(html, HasSubstr("Checked by replay"));
  EXPECT_THAT(html, HasSubstr(search["history_hash"].get<std::string>()));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
}

}  // namespace
}  // namespace evopress::client
