#include "worker/pretokenizer.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace evopress::worker {
namespace {

std::vector<std::string> Cut(const PretokenizerSteps& steps,
                             const std::string& text) {
  std::vector<std::string> out;
  const auto cut = Pretokenize(steps, text, /*first=*/true);
  EXPECT_TRUE(cut.ok()) << cut.status();
  if (!cut.ok()) return out;
  for (const auto& piece : cut->pieces) {
    out.push_back(cut->text.substr(piece.begin, piece.end - piece.begin));
  }
  return out;
}

std::vector<std::string> CutBy(const std::string& json,
                               const std::string& text) {
  auto steps = ParsePretokenizer(nlohmann::json::parse(json));
  EXPECT_TRUE(steps.ok()) << steps.status();
  return steps.ok() ? Cut(*steps, text) : std::vector<std::string>();
}

std::string SplitAtDash(const std::string& behavior, bool invert = false) {
  return R"({"type":"Split","pattern":{"String":"-"},"behavior":")" + behavior +
         R"(","invert":)" + (invert ? "true}" : "false}");
}

using Pieces = std::vector<std::string>;

// The example in the documentation of tokenizers' SplitDelimiterBehavior.
TEST(Split, BehaviorsTreatMatchesAsHuggingFaceDoes) {
  const std::string text = "the-final--countdown";
  EXPECT_EQ(CutBy(SplitAtDash("Removed"), text),
            (Pieces{"the", "final", "countdown"}));
  EXPECT_EQ(CutBy(SplitAtDash("Isolated"), text),
            (Pieces{"the", "-", "final", "-", "-", "countdown"}));
  EXPECT_EQ(CutBy(SplitAtDash("MergedWithPrevious"), text),
            (Pieces{"the-", "final-", "-", "countdown"}));
  EXPECT_EQ(CutBy(SplitAtDash("MergedWithNext"), text),
            (Pieces{"the", "-final", "-", "-countdown"}));
  EXPECT_EQ(CutBy(SplitAtDash("Contiguous"), text),
            (Pieces{"the", "-", "final", "--", "countdown"}));
  EXPECT_EQ(CutBy(SplitAtDash("Removed", true), text), (Pieces{"-", "-", "-"}));
}

TEST(Split, LookaroundsStopAtThePiece) {
  const std::string json = R"({"type":"Sequence","pretokenizers":[
    {"type":"Digits","individual_digits":true},
    {"type":"ByteLevel","add_prefix_space":false,"use_regex":true}]})";
  // The space before the digit ends its piece, so it takes the others along.
  EXPECT_EQ(CutBy(json, "a  1"), (Pieces{"a", "\u0120\u0120", "1"}));
  EXPECT_EQ(CutBy(json, "a  b"), (Pieces{"a", "\u0120",
                                         "\u0120"
                                         "b"}));
}

TEST(Regex, SpacesAndWordsAreThoseOfOniguruma) {
  const std::string spaces =
      R"({"type":"Split","pattern":{"Regex":"\\s"},"behavior":"Removed"})";
  EXPECT_EQ(CutBy(spaces, "a\u00a0b\u0085c\u2028d\u180e"),
            (Pieces{"a", "b", "c", "d\u180e"}));
  const std::string words =
      R"({"type":"Split","pattern":{"Regex":"[^\\w]"},"behavior":"Removed"})";
  EXPECT_EQ(CutBy(words, "cafe\u0301 x_y\u203fz"),
            (Pieces{"cafe\u0301", "x_y\u203fz"}));
}

TEST(Regex, RefusesWhatPcreWouldReadOtherwise) {
  EXPECT_EQ(Regex::Compile(R"([\p{L}&&[^a]])").status().code(),
            absl::StatusCode::kUnimplemented);
  EXPECT_EQ(Regex::Compile("(").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Regex, AnExplodingPatternGivesUp) {
  const auto regex = Regex::Compile("(a+)+$b");
  ASSERT_TRUE(regex.ok()) << regex.status();
  RegexScratch scratch;
  const auto status =
      (*regex)->FindAll(std::string(64, 'a'), scratch, [](size_t, size_t) {});
  EXPECT_TRUE(status.ok() ||
              status.code() == absl::StatusCode::kResourceExhausted);
}

TEST(Metaspace, PrependsWhereTheSchemeSays) {
  const auto json = [](const std::string& scheme) {
    return R"({"type":"Sequence","pretokenizers":[)" + SplitAtDash("Isolated") +
           R"(,{"type":"Metaspace","replacement":"_","prepend_scheme":")" +
           scheme + R"(","split":true}]})";
  };
  EXPECT_EQ(CutBy(json("first"), "a b-c"), (Pieces{"_a", "_b", "-", "c"}));
  EXPECT_EQ(CutBy(json("always"), "a b-c"), (Pieces{"_a", "_b", "_-", "_c"}));
  EXPECT_EQ(CutBy(json("never"), "a b-c"), (Pieces{"a", "_b", "-", "c"}));
  EXPECT_EQ(CutBy(json("always"), " a"), (Pieces{"_a"}));
}

TEST(GgufPretokenizer, CutsAsTheModelsDo) {
  const auto cut = [](const std::string& pre, const std::string& text) {
    auto steps = GgufPretokenizer(pre);
    EXPECT_TRUE(steps.ok()) << steps.status();
    return steps.ok() ? Cut(*steps, text) : Pieces();
  };
  EXPECT_EQ(cut("smollm", "in 2024"),
            (Pieces{"in", "\u0120", "2", "0", "2", "4"}));
  EXPECT_EQ(cut("gpt-2", "in 2024"), (Pieces{"in",
                                             "\u0120"
                                             "2024"}));
  EXPECT_EQ(cut("llama-bpe", "in 2024"), (Pieces{"in", "\u0120", "202", "4"}));
  EXPECT_EQ(cut("qwen2", "I'M 12"), (Pieces{"I", "'M", "\u0120", "1", "2"}));
  EXPECT_EQ(cut("tekken", "camelCase"), (Pieces{"camel", "Case"}));
  EXPECT_EQ(cut("deepseek-llm", "a, b1"), (Pieces{"a", ",",
                                                  "\u0120"
                                                  "b",
                                                  "1"}));
  for (const char* pre :
       {"gpt-4o", "deepseek-coder", "deepseek-v3", "qwen35"}) {
    Pieces pieces = cut(pre, "def f(x): return 12");
    std::string all;
    for (const std::string& piece : pieces) all += piece;
    EXPECT_EQ(all,
              "def\u0120f(x):\u0120return\u0120"
              "12")
        << pre;
  }
  EXPECT_EQ(GgufPretokenizer("nothing").status().code(),
            absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace evopress::worker
