#include "server/standing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace evopress::server {
namespace {

search::Standing Led(search::PairedDifference lead) {
  return {search::Assignment{{0}}, 8, {0.5, 0.25}, lead};
}

TEST(DescribeStanding, TheNeededTokensWouldMakeTheLeadTwoStandardErrors) {
  v1::Candidate candidate;
  DescribeStanding(Led({-0.25, 0.5, 8}), 1024, candidate);
  EXPECT_THAT(candidate.calibration(), testing::ElementsAre(0.5, 0.25));
  const v1::Lead& lead = candidate.lead();
  EXPECT_EQ(lead.difference(), -0.25);
  EXPECT_EQ(lead.standard_error(), 0.25);
  EXPECT_EQ(lead.sequences(), 8);
  EXPECT_EQ(lead.tokens(), 8 * 1024);
  // 32 samples: 0.25 = 2 * sqrt(0.5 / 32).
  EXPECT_EQ(lead.needed_tokens(), 32 * 1024);
}

TEST(DescribeStanding, ALeadThatIsSureTakesOneSampleAndNoneNeverWould) {
  v1::Candidate candidate;
  DescribeStanding(Led({-0.25, 0, 8}), 1024, candidate);
  EXPECT_EQ(candidate.lead().needed_tokens(), 1024);
  DescribeStanding(Led({0, 0.5, 8}), 1024, candidate);
  EXPECT_EQ(candidate.lead().needed_tokens(), 0);
  DescribeStanding(Led({1e-300, 0.5, 8}), 1024, candidate);
  EXPECT_EQ(candidate.lead().needed_tokens(),
            std::numeric_limits<int64_t>::max());
  EXPECT_EQ(candidate.calibration_size(), 2);
  DescribeStanding({search::Assignment{{0}}, 1, {0.5}, std::nullopt}, 1024,
                   candidate);
  EXPECT_FALSE(candidate.has_lead());
}

}  // namespace
}  // namespace evopress::server
