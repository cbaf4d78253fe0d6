#include "worker/calibration.h"

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace evopress::worker {
namespace {

using Ids = std::vector<int32_t>;

class Calibration : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ifstream in(std::string(EVOPRESS_SOURCE_DIR) +
                     "/tests/golden/tokenizer_qwen2.json");
    std::stringstream text;
    text << in.rdbuf();
    quant::HfTokenizerSource source;
    source.tokenizer_json = text.str();
    source.tokenizer_config_json = R"({"eos_token":"<|endoftext|>"})";
    auto made = Tokenizer::Make(source);
    ASSERT_TRUE(made.ok()) << made.status();
    tokenizer_ = *std::move(made);
  }

  absl::StatusOr<Ids> Read(const std::string& content,
                           CalibrationFormat format) {
    return TokenizeCalibration(content, format, *tokenizer_);
  }
  Ids Encode(const std::string& text) {
    return *tokenizer_->Encode(text, true);
  }

  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(Calibration, ATextIsTokenizedWhole) {
  EXPECT_EQ(*Read("a\nb\n", CalibrationFormat::kText), Encode("a\nb\n"));
}

TEST_F(Calibration, JsonLinesAreJoinedByTheEndOfText) {
  const auto ids = Read(
      "{\"text\":\"one\"}\n\n"
      "{\"prompt\":\"two \",\"completion\":\"three\"}\r\n"
      "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
      CalibrationFormat::kJsonl);
  ASSERT_TRUE(ids.ok()) << ids.status();
  EXPECT_EQ(*ids, Encode("one<|endoftext|>two three<|endoftext|>"
                         "<|im_start|>user\nhi<|im_end|>\n"));
}

TEST_F(Calibration, AWrongLineIsNamed) {
  for (const char* line : {"{", "[]", "{\"other\":1}", "{\"text\":1}",
                           "{\"messages\":[{\"role\":\"user\"}]}"}) {
    const auto ids = Read(std::string("{\"text\":\"ok\"}\n") + line,
                          CalibrationFormat::kJsonl);
    EXPECT_EQ(ids.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(ids.status().message().find("line 2"), std::string::npos) << line;
  }
}

TEST_F(Calibration, TokenIdsComeAsArraysOrPlainNumbers) {
  for (const char* text :
       {"1 2 3", "1,2\n3", "[1, 2, 3]", "[[1,2],[3]]", "[1]\n[2,3]\n"}) {
    const auto ids = Read(text, CalibrationFormat::kTokens);
    ASSERT_TRUE(ids.ok()) << ids.status();
    EXPECT_EQ(*ids, (Ids{1, 2, 3})) << text;
  }
  for (const char* text : {"1 x", "-1", "1000000", "[1", "1]", "1.5",
                           "99999999999999999999", "[[[1]]]", "\"1\""}) {
    EXPECT_EQ(Read(text, CalibrationFormat::kTokens).status().code(),
              absl::StatusCode::kInvalidArgument)
        << text;
  }
}

TEST(CutSequences, DisjointRangesShareNoTokenAndCoverTheFile) {
  Ids tokens(1003);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int>(i);
  CutOptions options;
  options.length = 10;
  options.domain = "wiki";
  EXPECT_EQ(AvailableSequences(1003, options), 100);
  Ids joined;
  for (const auto& [start, count] :
       std::vector<std::pair<int, int>>{{0, 7}, {7, 50}, {57, -1}}) {
    options.start = start;
    options.count = count;
    const auto set = CutSequences(tokens, 1003, options);
    ASSERT_TRUE(set.ok()) << set.status();
    EXPECT_EQ(set->domain(), "wiki");
    for (int64_t i = 0; i < set->num_sequences(); ++i) {
      const auto sequence = set->sequence(i);
      joined.insert(joined.end(), sequence.begin(), sequence.end());
    }
  }
  tokens.resize(1000);
  EXPECT_EQ(joined, tokens);
}

TEST(CutSequences, ThePrefixStandsBeforeEachSequence) {
  CutOptions options;
  options.length = 3;
  options.prefix = {9};
  const auto set = CutSequences({1, 2, 3, 4, 5}, 10, options);
  ASSERT_TRUE(set.ok()) << set.status();
  ASSERT_EQ(set->num_sequences(), 2);
  EXPECT_EQ(set->sequence(0), absl::MakeConstSpan(Ids{9, 1, 2}));
  EXPECT_EQ(set->sequence(1), absl::MakeConstSpan(Ids{9, 3, 4}));
}

TEST(CutSequences, TooFewTokensSayHowManySequencesThereAre) {
  CutOptions options;
  options.length = 2;
  options.start = 1;
  options.count = 2;
  const auto set = CutSequences({1, 2, 3, 4, 5}, 10, options);
  EXPECT_EQ(set.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_NE(set.status().message().find("only 2"), std::string::npos);
  options.prefix = {1, 2};
  EXPECT_EQ(CutSequences({1}, 10, options).status().code(),
            absl::StatusCode::kInvalidArgument);
  options.prefix = {};
  options.start = -1;
  EXPECT_FALSE(CutSequences({1}, 10, options).ok());
}

TEST(GuessCalibrationFormat, GoesByTheName) {
  EXPECT_EQ(GuessCalibrationFormat("a.jsonl"), CalibrationFormat::kJsonl);
  EXPECT_EQ(GuessCalibrationFormat("a.json"), CalibrationFormat::kTokens);
  EXPECT_EQ(GuessCalibrationFormat("c4.utf8"), CalibrationFormat::kText);
}

}  // namespace
}  // namespace evopress::worker
