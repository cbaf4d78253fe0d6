// Texts made into token sets, by domain.
#include "client/token_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "client/job_plan.h"
#include "tests/client/tiny_model.h"
#include "worker/token_set.h"

namespace evopress::client {
namespace {

using ::testing::HasSubstr;

constexpr int kLength = 32;

class TokenDataTest : public ::testing::Test {
 protected:
  void SetUp() override {
    MakeTinyModel(tmp_ / "model");
    // The tiny tokenizer knows bytes: each text has letters of its own.
    WriteText(tmp_ / "a.txt", std::string(4096, 'a'));
    WriteText(tmp_ / "b.txt", std::string(4096, 'b'));
    auto model = OpenModel(tmp_ / "model");
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *std::move(model);
    flags_.sequence_length = kLength;
    flags_.statistics_tokens = 10 * kLength;
    flags_.search_tokens = 20 * kLength;
    needs_.search = {{"--tokens", 4 * kLength}};
  }

  // The first token of every sequence of the set of this role.
  std::vector<int32_t> Letters(const TokenData& data,
                               v1::TokenSetRef::Role role) {
    std::vector<int32_t> letters;
    for (size_t i = 0; i < data.sets.size(); ++i) {
      if (data.sets[i].role() != role) continue;
      auto set = worker::TokenSet::Parse(data.artifacts[i].bytes);
      EXPECT_TRUE(set.ok()) << set.status();
      for (int64_t s = 0; s < set->num_sequences(); ++s) {
        letters.push_back(set->sequence(s)[kLength - 1]);
      }
    }
    return letters;
  }

  std::string Refused() {
    return std::string(
        BuildTokenData(*model_, flags_, needs_).status().message());
  }

  TempDir tmp_;
  std::unique_ptr<quant::Checkpoint> model_;
  DataFlags flags_;
  TokenNeeds needs_;
};

TEST_F(TokenDataTest, EachDomainGivesItsShareOfStatisticsAndSearch) {
  flags_.calibration = {tmp_ / "a.txt:6", "other=" + (tmp_ / "b.txt:4")};
  auto data = BuildTokenData(*model_, flags_, needs_);
  ASSERT_TRUE(data.ok()) << data.status();
  const auto statistics = Letters(*data, v1::TokenSetRef::STATISTICS);
  const auto search = Letters(*data, v1::TokenSetRef::SEARCH);
  ASSERT_EQ(statistics.size(), 10u);
  ASSERT_EQ(search.size(), 20u);
  const int32_t a = search.front();
  const int32_t b = search.back();
  ASSERT_NE(a, b);
  EXPECT_EQ(std::count(statistics.begin(), statistics.end(), a), 6);
  // Any beginning is in proportion.
  EXPECT_EQ(std::count(statistics.begin(), statistics.begin() + 5, a), 3);
  EXPECT_EQ(std::count(search.begin(), search.begin() + 12, a), 12);
  EXPECT_EQ(std::count(search.begin() + 12, search.end(), b), 8);
  ASSERT_TRUE(data->calibration.has_value());
  ASSERT_EQ(data->calibration->domains_size(), 2);
  EXPECT_EQ(data->calibration->domains(0).name(), "a");
  EXPECT_DOUBLE_EQ(data->calibration->domains(0).weight(), 0.6);
  EXPECT_EQ(data->calibration->domains(0).sequences(), 12);
  EXPECT_EQ(data->calibration->domains(1).name(), "other");
  EXPECT_EQ(data->labels.count("text.search.other"), 1u);
}

TEST_F(TokenDataTest, OneCalibrationTextIsWhatTextIs) {
  flags_.text = tmp_ / "a.txt";
  auto text = BuildTokenData(*model_, flags_, needs_);
  flags_.text.clear();
  flags_.calibration = {tmp_ / "a.txt:0.3"};
  auto calibration = BuildTokenData(*model_, flags_, needs_);
  ASSERT_TRUE(text.ok() && calibration.ok());
  EXPECT_FALSE(calibration->calibration.has_value());
  EXPECT_EQ(calibration->labels, text->labels);
  ASSERT_EQ(calibration->sets.size(), text->sets.size());
  for (size_t i = 0; i < text->sets.size(); ++i) {
    EXPECT_EQ(calibration->sets[i].SerializeAsString(),
              text->sets[i].SerializeAsString());
  }
}

TEST_F(TokenDataTest, ByDefaultTheScarcestTextEndsTheSearchSet) {
  WriteText(tmp_ / "b.txt", std::string(10 * kLength, 'b'));
  flags_.search_tokens = 0;
  flags_.calibration = {tmp_ / "a.txt:6", tmp_ / "b.txt:4"};
  auto data = BuildTokenData(*model_, flags_, needs_);
  ASSERT_TRUE(data.ok()) << data.status();
  // The statistics leave six sequences of b.
  EXPECT_EQ(data->calibration->domains(1).sequences(), 6);
  EXPECT_NEAR(data->calibration->domains(0).sequences(), 9, 1);
}

TEST_F(TokenDataTest, WhatIsShortOrAmbiguousIsNamed) {
  EXPECT_THAT(Refused(), HasSubstr("--calibration"));
  flags_.calibration = {tmp_ / "a.txt:6", tmp_ / "b.txt:4"};
  flags_.statistics_tokens = kLength;
  EXPECT_THAT(Refused(), HasSubstr("fewer than the 2 calibration texts"));
  flags_.statistics_tokens = 10 * kLength;
  flags_.search_tokens = 1000 * kLength;
  EXPECT_THAT(Refused(), HasSubstr("a.txt"));
  EXPECT_THAT(Refused(), HasSubstr("--search-tokens"));
  flags_.search_tokens = int64_t{1} << 40;
  EXPECT_THAT(Refused(), HasSubstr("at most 16777216"));
  flags_.text = tmp_ / "a.txt";
  EXPECT_THAT(Refused(), HasSubstr("both name what to calibrate on"));
}

}  // namespace
}  // namespace evopress::client
