// Several calibration texts through the real service, on a tiny model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/client/run_evopress.h"

namespace evopress::client {
namespace {

using ::testing::HasSubstr;

class Domains : public ::testing::Test {
 protected:
  void SetUp() override {
    MakeTinyModel(tmp_ / "model");
    WriteText(tmp_ / "c4.txt", TinyText(6000, 3));
    WriteText(tmp_ / "code.txt", TinyText(6000, 5));
    WriteText(tmp_ / "wiki.txt", TinyText(2000, 4));
  }

  RunResult RunRaw(const std::string& command,
                   const std::vector<std::string>& more) {
    std::vector<std::string> all = {command,
                                    tmp_ / "model",
                                    "--menu",
                                    "gptq:2-4:g32",
                                    "--sequence-length",
                                    "32",
                                    "--statistics-tokens",
                                    "512",
                                    "--json"};
    if (command != "levels") {
      all.insert(all.end(), {"--held-out", "wiki=" + (tmp_ / "wiki.txt"),
                             "--held-out-tokens", "256", "--target-bits", "3",
                             "--tokens", "64,128", "--search-tokens", "1024"});
    }
    if (command == "search") all.push_back("--force");
    if (command != "levels" &&
        std::find(more.begin(), more.end(), "--strategy") == more.end()) {
      all.insert(all.end(), {"--strategy", "evopress", "--generations", "3",
                             "--offspring", "4", "--survivors", "2,1"});
    }
    all.insert(all.end(), more.begin(), more.end());
    return RunEvoPress(all);
  }

  nlohmann::json Run(const std::string& command,
                     const std::vector<std::string>& more) {
    const RunResult r = RunRaw(command, more);
    EXPECT_EQ(r.exit_code, 0) << r.err << r.out;
    return nlohmann::json::parse(r.out, nullptr, false);
  }

  std::vector<std::string> Search(const std::string& name,
                                  const std::vector<std::string>& more) {
    std::vector<std::string> flags = {"--data", tmp_ / ("data-" + name),
                                      "--out", tmp_ / ("out-" + name)};
    flags.insert(flags.end(), more.begin(), more.end());
    return flags;
  }

  std::vector<std::string> Both(const std::string& fitness = "mean") {
    return {"--calibration",     tmp_ / "c4.txt:3",  "--calibration",
            tmp_ / "code.txt:1", "--domain-fitness", fitness};
  }

  TempDir tmp_;
};

TEST_F(Domains, TheWinnerIsToldByDomainWhateverTheWorkers) {
  for (const std::string fitness : {"mean", "worst"}) {
    SCOPED_TRACE(fitness);
    auto flags = Both(fitness);
    const auto one = Run("search", Search("one-" + fitness, flags));
    flags.insert(flags.end(), {"--workers", "2"});
    const auto two = Run("search", Search("two-" + fitness, flags));
    ASSERT_TRUE(one.contains("standing")) << one;
    EXPECT_EQ(one["history_hash"], two["history_hash"]);
    EXPECT_EQ(one["results"], two["results"]);
    EXPECT_EQ(one["standing"], two["standing"]);
    const auto& domains = one["standing"]["calibration"];
    ASSERT_EQ(domains.size(), 2u);
    EXPECT_EQ(domains[0]["domain"], "c4");
    EXPECT_EQ(domains[1]["domain"], "code");
    if (fitness == "mean") {
      EXPECT_NEAR(one["results"]["rows"][0]["fitness"].get<double>(),
                  0.75 * domains[0]["fitness"].get<double>() +
                      0.25 * domains[1]["fitness"].get<double>(),
                  1e-9);
    }
    EXPECT_GT(one["standing"]["lead"]["sequences"], 1);
    const auto recipe = nlohmann::json::parse(
        ReadText(tmp_ / ("out-one-" + fitness + "/recipe.json")), nullptr,
        false);
    EXPECT_EQ(recipe["calibration"]["fitness"], fitness);
    EXPECT_EQ(recipe["calibration"]["domains"][0]["sequences"], 24);
    EXPECT_EQ(recipe["standing"], one["standing"]);
    const RunResult html =
        RunEvoPress({"report", one["job"], "--data",
                     tmp_ / ("data-one-" + fitness), "--out", tmp_ / "r.html"});
    ASSERT_EQ(html.exit_code, 0) << html.err;
    const std::string page = ReadText(tmp_ / "r.html");
    EXPECT_THAT(page, HasSubstr("On the calibration texts"));
    EXPECT_THAT(page, HasSubstr("Checked by replay"));
    EXPECT_THAT(page, HasSubstr("two standard errors"));
  }
}

TEST_F(Domains, OneTextIsTheSameJobHoweverItIsNamed) {
  const auto text = Run("search", Search("same", {"--text", tmp_ / "c4.txt"}));
  const auto calibration =
      Run("search", Search("same", {"--calibration", tmp_ / "c4.txt:0.5"}));
  EXPECT_EQ(text["job"], calibration["job"]);
  EXPECT_EQ(text["history_hash"], calibration["history_hash"]);
}

TEST_F(Domains, GuidedAndPlanKnowThem) {
  auto flags = Both();
  flags.insert(flags.end(), {"--strategy", "guided", "--races", "2",
                             "--candidates", "4", "--decision-tokens", "128"});
  const auto plan = Run("plan", flags);
  ASSERT_TRUE(plan.contains("tokens")) << plan;
  const auto result = Run("search", Search("guided", flags));
  ASSERT_TRUE(result.contains("standing")) << result;
  EXPECT_EQ(result["standing"]["calibration"].size(), 2u);
}

TEST_F(Domains, LevelsAreBuiltFromAllOfThem) {
  const auto build = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all = {"levels",
                                    "build",
                                    tmp_ / "model",
                                    "--menu",
                                    "gptq:3:g32",
                                    "--sequence-length",
                                    "32",
                                    "--statistics-tokens",
                                    "512",
                                    "--data",
                                    tmp_ / "data-levels",
                                    "--json"};
    all.insert(all.end(), more.begin(), more.end());
    const RunResult r = RunEvoPress(all);
    EXPECT_EQ(r.exit_code, 0) << r.err << r.out;
    return nlohmann::json::parse(r.out, nullptr, false);
  };
  const auto one = build({"--text", tmp_ / "c4.txt"});
  const auto both = build(
      {"--calibration", tmp_ / "c4.txt", "--calibration", tmp_ / "code.txt"});
  ASSERT_EQ(one["levels"].size(), both["levels"].size());
  EXPECT_NE(one["levels"][0]["sha256"], both["levels"][0]["sha256"]);
}

TEST_F(Domains, WhatIsWrongIsNamed) {
  RunResult r = RunRaw(
      "search", {"--calibration", tmp_ / "c4.txt:0", "--out", tmp_ / "out"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.out, HasSubstr("is not a positive number"));
  auto flags = Both();
  flags.insert(flags.end(),
               {"--calibration", tmp_ / "wiki.txt", "--out", tmp_ / "out"});
  r = RunRaw("search", flags);
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.out, HasSubstr("fewer than the 3 calibration domains"));
}

}  // namespace
}  // namespace evopress::client
