// One job for several budgets, and jobs that start from earlier ones, as users
// run them: coordinator, workers and evaluators over gRPC, a tiny random model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/client/run_evopress.h"

namespace evopress::client {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kWeights = 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 128 * 64);

class Pareto : public ::testing::Test {
 protected:
  void SetUp() override {
    MakeTinyModel(tmp_ / "model");
    WriteText(tmp_ / "text.txt", TinyText(6000, 3));
    WriteText(tmp_ / "wiki.txt", TinyText(2000, 4));
  }

  std::vector<std::string> Command(const std::string& data,
                                   const std::string& out,
                                   const std::vector<std::string>& more) {
    std::vector<std::string> args = {"search",
                                     tmp_ / "model",
                                     "--text",
                                     tmp_ / "text.txt",
                                     "--held-out",
                                     "wiki=" + (tmp_ / "wiki.txt"),
                                     "--held-out-tokens",
                                     "256",
                                     "--strategy",
                                     "guided",
                                     "--menu",
                                     "gptq:2-4:g32",
                                     "--races",
                                     "4",
                                     "--candidates",
                                     "6",
                                     "--tokens",
                                     "32,64,128",
                                     "--decision-tokens",
                                     "128",
                                     "--sequence-length",
                                     "32",
                                     "--statistics-tokens",
                                     "512",
                                     "--search-tokens",
                                     "1024",
                                     "--data",
                                     tmp_ / data,
                                     "--out",
                                     tmp_ / out,
                                     "--force",
                                     "--json"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  }

  nlohmann::json Search(const std::string& data, const std::string& out,
                        const std::vector<std::string>& more) {
    const RunResult r = RunEvoPress(Command(data, out, more));
    EXPECT_EQ(r.exit_code, 0) << r.err << r.out;
    auto json = nlohmann::json::parse(r.out, nullptr, false);
    EXPECT_FALSE(json.is_discarded()) << r.out;
    return json;
  }

  nlohmann::json Recipe(const std::string& dir) {
    return nlohmann::json::parse(ReadText(tmp_ / (dir + "/recipe.json")),
                                 nullptr, false);
  }

  // The plan of the same search, on the data directory "data".
  RunResult PlanRaw(const std::vector<std::string>& more) {
    std::vector<std::string> args = Command("data", "out", more);
    args[0] = "plan";
    args.erase(std::find(args.begin(), args.end(), "--force"));
    const auto out = std::find(args.begin(), args.end(), "--out");
    args.erase(out, out + 2);
    return RunEvoPress(args);
  }
  nlohmann::json Plan(const std::vector<std::string>& more) {
    const RunResult r = PlanRaw(more);
    EXPECT_EQ(r.exit_code, 0) << r.err << r.out;
    return nlohmann::json::parse(r.out, nullptr, false);
  }

  TempDir tmp_;
};

TEST_F(Pareto, OneJobHasAnExportedWinnerForEveryBudget) {
  const auto result = Search("data", "out", {"--target-bpw", "3,2.25,2.5,3.5"});
  ASSERT_TRUE(result.contains("results")) << result;
  const auto& rows = result["results"]["rows"];
  // Four winners, uniform at 2 and 3 bits, the reference.
  ASSERT_EQ(rows.size(), 7u) << rows;
  const std::vector<std::string> names = {"3", "2.25", "2.5", "3.5"};
  const std::vector<int64_t> limits = {3 * kWeights, kWeights * 9 / 4,
                                       kWeights * 5 / 2, kWeights * 7 / 2};
  for (size_t t = 0; t < names.size(); ++t) {
    SCOPED_TRACE(names[t]);
    EXPECT_EQ(rows[t]["name"], "winner " + names[t]);
    EXPECT_EQ(rows[t]["target"], names[t]);
    EXPECT_EQ(rows[t]["baseline"],
              t == 0 || t == 3 ? "uniform 3-bit" : "uniform 2-bit");
    EXPECT_LE(rows[t]["costs"]["code_bits"], limits[t]);
    EXPECT_GT(rows[t]["held_out"][0]["kl"]["mean"], 0);
    const auto recipe = Recipe("out/" + names[t]);
    EXPECT_EQ(recipe["target"], names[t]);
    EXPECT_EQ(recipe["budgets"][0]["limit"], limits[t]);
    int64_t bits = 0;
    for (const auto& layer : recipe["layers"]) {
      bits += layer["costs"]["code_bits"].get<int64_t>();
    }
    EXPECT_EQ(bits, rows[t]["costs"]["code_bits"]);
    EXPECT_TRUE(
        std::filesystem::exists(tmp_ / ("out/" + names[t] + "/levels.txt")));
  }
  const auto all = Recipe("out");
  EXPECT_EQ(all["format"], "evopress-frontier");
  ASSERT_EQ(all["targets"].size(), 4u);
  EXPECT_EQ(all["targets"][2]["limit"], limits[2]);

  // One of them again, from the job and from the directory.
  for (const std::string& source :
       {result["job"].get<std::string>(), std::string(tmp_ / "out")}) {
    const RunResult r = RunEvoPress(
        {"export", source, "--budget", "2.5", "--for", "evopress,json", "--out",
         tmp_ / "one", "--force", "--data", tmp_ / "data"});
    ASSERT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(ReadText(tmp_ / "one/levels.txt"),
              ReadText(tmp_ / "out/2.5/levels.txt"));
  }
  const RunResult wrong =
      RunEvoPress({"export", result["job"], "--budget", "7", "--for", "json",
                   "--out", tmp_ / "two", "--data", tmp_ / "data"});
  EXPECT_NE(wrong.exit_code, 0);
  EXPECT_THAT(wrong.err, HasSubstr("choose one of 3, 2.25, 2.5, 3.5"));

  const RunResult report =
      RunEvoPress({"report", result["job"], "--out", tmp_ / "report.html",
                   "--data", tmp_ / "data", "--json"});
  ASSERT_EQ(report.exit_code, 0) << report.err;
  EXPECT_THAT(report.out, HasSubstr("\"replayed\": true"));
  const std::string html = ReadText(tmp_ / "report.html");
  EXPECT_THAT(html, HasSubstr("One search served 4 budgets."));
  EXPECT_THAT(html, HasSubstr("a plain solution won"));
  EXPECT_THAT(html, HasSubstr("winner 2.25: code bits per weight"));

  const RunResult get =
      RunEvoPress({"jobs", "get", result["job"], "--data", tmp_ / "data"});
  EXPECT_THAT(get.out, HasSubstr("found by"));
  EXPECT_THAT(get.out, HasSubstr("tokens asked for"));
}

TEST_F(Pareto, TheHistoryIsTheSameWithOneAndTwoWorkersAndAfterKills) {
  const std::vector<std::string> flags = {"--target-bits", "2.25,2.5,3"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), flags.begin(), flags.end());
    return more;
  };
  const auto one = Search("one", "out1", with({"--workers", "1"}));
  const auto two = Search("two", "out2", with({"--workers", "2"}));
  ASSERT_TRUE(one.contains("history_hash"));
  EXPECT_EQ(one["history_hash"], two["history_hash"]);
  EXPECT_EQ(one["results"], two["results"]);
  for (const char* wrapper :
       {"timeout -s KILL 0.6", "timeout -s KILL 1.1", "timeout -s KILL 1.5"}) {
    RunEvoPress(Command("killed", "out3", flags), wrapper);
  }
  const auto killed = Search("killed", "out3", flags);
  EXPECT_EQ(killed["history_hash"], one["history_hash"]);
  EXPECT_EQ(killed["results"], one["results"]);
  EXPECT_EQ(killed["search_tokens"], one["search_tokens"]);
}

TEST_F(Pareto, TokensOfAllBudgetsAreBoundedTogether) {
  const std::vector<std::string> flags = {"--target-bits", "2.25,2.5,3"};
  const auto free = Search("data", "free", flags);
  const int64_t tokens = free["search_tokens"];
  const int64_t limit = tokens * 9 / 10;
  auto bounded = flags;
  bounded.insert(bounded.end(), {"--max-tokens", absl::StrCat(limit)});
  const auto cut = Search("data", "cut", bounded);
  EXPECT_LE(cut["search_tokens"].get<int64_t>(), limit);
  EXPECT_EQ(cut["results"]["rows"].size(), free["results"]["rows"].size());
}

TEST_F(Pareto, ALaterJobStartsFromWhatAnEarlierOneMeasured) {
  const auto first = Search("data", "first", {"--target-bits", "3"});
  const auto alone = Search("data", "alone", {"--target-bits", "2.5"});
  const std::vector<std::string> from = {"--target-bits", "2.5", "--from",
                                         first["job"]};
  const auto heir = Search("data", "heir", from);
  ASSERT_TRUE(heir.contains("history_hash"));
  EXPECT_NE(heir["history_hash"], alone["history_hash"]);
  EXPECT_LT(heir["search_tokens"].get<int64_t>(),
            alone["search_tokens"].get<int64_t>());
  EXPECT_EQ(heir["start_tokens"], first["search_tokens"]);
  EXPECT_EQ(first["start_tokens"], 0);
  // What `alone` has measured is not measured again, and so it is said.
  EXPECT_GT(heir["known_tokens"].get<int64_t>(), 0);

  // The same in another place, where jobs have other names; the source given
  // as a directory. What is known without being named changes nothing.
  const auto there = Search("elsewhere", "first2", {"--target-bits", "3"});
  EXPECT_EQ(there["history_hash"], first["history_hash"]);
  const auto again =
      Search("elsewhere", "heir2",
             {"--target-bits", "2.5", "--from", tmp_ / "first2"});
  EXPECT_EQ(again["history_hash"], heir["history_hash"]);
  EXPECT_EQ(again["results"], heir["results"]);
  EXPECT_EQ(again["search_tokens"], heir["search_tokens"]);

  // The same command finds the job that has ended, and its report replays.
  EXPECT_EQ(Search("data", "heir", from)["job"], heir["job"]);
  const RunResult report =
      RunEvoPress({"report", heir["job"], "--out", tmp_ / "report.html",
                   "--data", tmp_ / "data", "--json"});
  EXPECT_THAT(report.out, HasSubstr("\"replayed\": true"));
}

TEST_F(Pareto, ThePlanKnowsListsOfBudgets) {
  const auto one = Plan({"--target-bits", "3"});
  const auto three = Plan({"--target-bits", "2.25,2.5,3"});
  ASSERT_EQ(three["budgets"].size(), 3u) << three;
  EXPECT_EQ(three["budgets"][1]["limit"], kWeights * 9 / 4);
  const int64_t most = three["tokens"]["search_most"];
  EXPECT_GT(most, one["tokens"]["search_most"].get<int64_t>());
  const auto run = Search("data", "out", {"--target-bits", "2.25,2.5,3"});
  EXPECT_LE(run["search_tokens"].get<int64_t>(), most);
  // Three winners instead of one, and uniform at two widths, not one.
  EXPECT_EQ(three["tokens"]["report"].get<int64_t>(),
            one["tokens"]["report"].get<int64_t>() / 3 * 6);
}

TEST_F(Pareto, ThePlanTakesOffWhatEarlierJobsKnow) {
  RunResult r = PlanRaw({"--target-bits", "2.5", "--from", "jobs/none"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.out, HasSubstr("cannot start from jobs/none"));
  EXPECT_FALSE(std::filesystem::exists(tmp_ / "data")) << "nothing is spent";
  const std::string job =
      Search("data", "first", {"--target-bits", "3"})["job"];
  const auto alone = Plan({"--target-bits", "2.5"});
  const std::vector<std::string> flags = {"--target-bits", "2.5", "--from",
                                          job};
  const auto heir = Plan(flags);
  for (const char* const bound : {"search_least", "search", "search_most"}) {
    EXPECT_LT(heir["tokens"][bound].get<int64_t>(),
              alone["tokens"][bound].get<int64_t>())
        << bound;
  }
  const auto run = Search("data", "heir", flags);
  EXPECT_LE(run["search_tokens"].get<int64_t>(),
            heir["tokens"]["search_most"].get<int64_t>());
  EXPECT_GE(run["search_tokens"].get<int64_t>(),
            heir["tokens"]["search_least"].get<int64_t>());
  r = PlanRaw({"--target-bits", "2.5", "--from", job, "--tie", "*mlp*"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.out, HasSubstr("other units or menus"));
}

TEST_F(Pareto, StartsFromNothingThatDoesNotFit) {
  const auto first = Search("data", "first", {"--target-bits", "3"});
  const auto refusal = [&](const std::string& from, const std::string& flag,
                           const std::string& value) {
    std::vector<std::string> args =
        Command("data", "second", {"--target-bits", "2.5", "--from", from});
    const auto at = std::find(args.begin(), args.end(), flag);
    EXPECT_NE(at, args.end());
    *(at + 1) = value;
    const RunResult r = RunEvoPress(args);
    EXPECT_NE(r.exit_code, 0);
    return r.err + r.out;
  };
  EXPECT_THAT(refusal("jobs/none", "--races", "3"),
              HasSubstr("cannot start from jobs/none"));
  const std::string job = first["job"];
  EXPECT_THAT(refusal(job, "--menu", "gptq:2-5:g32"),
              HasSubstr("other units or menus"));
  EXPECT_THAT(refusal(job, "--search-tokens", "512"),
              HasSubstr("other search tokens"));
}

}  // namespace
}  // namespace evopress::client
