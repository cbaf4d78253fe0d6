#include "quant/gram.h"

#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/quant/random_layer.h"

namespace evopress::quant {
namespace {

std::string Path() { return testing::TempDir() + "/evopress_gram_test.stats"; }

Statistics SmallStatistics() {
  Statistics statistics;
  statistics.sites["attention"] = MakeRandomLayer(1, 1, 4, 9).gram;
  statistics.sites["mlp"] = MakeRandomLayer(2, 1, 3, 9).gram;
  statistics.sites["mlp"].values[1] += 1;  // not symmetric: stored whole
  statistics.site_of_layer = {
      {"q", "attention"}, {"k", "attention"}, {"down", "mlp"}};
  return statistics;
}

std::string Contents() {
  std::ifstream in(Path(), std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Statistics, ComeBackBitForBit) {
  const Statistics want = SmallStatistics();
  ASSERT_TRUE(WriteStatistics(want, Path()).ok());
  const auto got = ReadStatistics(Path());
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->site_of_layer, want.site_of_layer);
  ASSERT_EQ(got->sites.size(), 2u);
  for (const auto& [site, gram] : want.sites) {
    EXPECT_EQ(got->sites.at(site).n, gram.n);
    EXPECT_EQ(got->sites.at(site).tokens, gram.tokens);
    EXPECT_EQ(got->sites.at(site).values, gram.values);
  }
  std::remove(Path().c_str());
}

TEST(Statistics, EveryTruncationAndDamagedByteIsDataLoss) {
  ASSERT_TRUE(WriteStatistics(SmallStatistics(), Path()).ok());
  const std::string good = Contents();
  for (size_t i = 0; i < good.size(); ++i) {
    std::ofstream(Path(), std::ios::binary) << good.substr(0, i);
    EXPECT_TRUE(absl::IsDataLoss(ReadStatistics(Path()).status())) << i;
    std::string damaged = good;
    damaged[i] ^= 0x10;
    std::ofstream(Path(), std::ios::binary) << damaged;
    const absl::Status status = ReadStatistics(Path()).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << i;
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(Path()));
  }
  std::remove(Path().c_str());
  EXPECT_TRUE(absl::IsNotFound(ReadStatistics(Path()).status()));
}

TEST(Statistics, NonFiniteValuesAndUnknownSitesAreNotWritten) {
  Statistics statistics = SmallStatistics();
  statistics.sites["mlp"].values[3] = NAN;
  EXPECT_EQ(WriteStatistics(statistics, Path()).code(),
            absl::StatusCode::kInvalidArgument);
  statistics = SmallStatistics();
  statistics.site_of_layer["up"] = "nowhere";
  EXPECT_EQ(WriteStatistics(statistics, Path()).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::IsNotFound(ReadStatistics(Path()).status()));
}

}  // namespace
}  // namespace evopress::quant
