#include "client/calibration_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/job_flags.h"

namespace evopress::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ParseCalibration, ReadsNameFileAndWeightAndNormalizesWeights) {
  auto texts = ParseCalibration({"a/c4.txt:6", "py=b/code.txt:3", "wiki.txt"});
  ASSERT_TRUE(texts.ok()) << texts.status();
  ASSERT_EQ(texts->size(), 3u);
  EXPECT_EQ((*texts)[0].file.name, "c4");
  EXPECT_EQ((*texts)[0].file.path, "a/c4.txt");
  EXPECT_DOUBLE_EQ((*texts)[0].weight, 0.6);
  EXPECT_EQ((*texts)[1].file.name, "py");
  EXPECT_EQ((*texts)[1].file.path, "b/code.txt");
  EXPECT_DOUBLE_EQ((*texts)[1].weight, 0.3);
  EXPECT_DOUBLE_EQ((*texts)[2].weight, 0.1);
  auto colon = ParseCalibration({"a:b.txt:1"});
  ASSERT_TRUE(colon.ok());
  EXPECT_EQ((*colon)[0].file.path, "a:b.txt");
}

TEST(ParseCalibration, NamesTheTextAndTheWeightThatIsWrong) {
  for (const char* weight : {"0", "-1", "nan", "inf", "x", ""}) {
    const auto texts =
        ParseCalibration({"c4.txt:1", std::string("code.txt:") + weight});
    EXPECT_EQ(texts.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(texts.status().message()),
                HasSubstr(std::string("\"code.txt:") + weight + "\""));
    EXPECT_THAT(std::string(texts.status().message()), HasSubstr("positive"));
  }
  EXPECT_THAT(std::string(ParseCalibration({":0.5"}).status().message()),
              HasSubstr("names no file"));
  EXPECT_THAT(
      std::string(ParseCalibration({"a/t.txt", "b/t.txt"}).status().message()),
      HasSubstr("two calibration texts are called \"t\""));
  EXPECT_THAT(
      std::string(ParseCalibration(std::vector<std::string>(65, "a.txt"))
                      .status()
                      .message()),
      HasSubstr("at most 64"));
  EXPECT_FALSE(ParseCalibration({"a.txt:1e308", "b.txt:1e308"}).ok());
}

TEST(RaiseDefaultTokens, GivesEveryStageASequenceOfEachText) {
  StrategyFlags flags;
  EXPECT_EQ(RaiseDefaultTokens(1, 1024, flags), "");
  EXPECT_EQ(flags.tokens, kDefaultTokens);
  EXPECT_THAT(RaiseDefaultTokens(2, 1024, flags), HasSubstr("2048,4096,8192"));
  EXPECT_THAT(flags.tokens, ElementsAre(2048, 4096, 8192));
  flags.tokens = {1024, 2048};
  EXPECT_EQ(RaiseDefaultTokens(2, 1024, flags), "");
  EXPECT_THAT(flags.tokens, ElementsAre(1024, 2048));
}

}  // namespace
}  // namespace evopress::client
