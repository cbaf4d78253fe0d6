#include "search/rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace evopress::search {
namespace {

using Block = std::array<uint32_t, 4>;

// Known answers of the Random123 distribution (kat_vectors, philox4x32 10).
TEST(Philox, GivesTheKnownAnswersOfRandom123) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}),
            (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                       {0xffffffff, 0xffffffff}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                       {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Rng, StreamsAreNamedBySeedRoundAndSlotAlone) {
  std::set<uint64_t> first;
  for (uint64_t seed = 0; seed < 5; ++seed) {
    for (uint64_t round = 0; round < 5; ++round) {
      for (uint32_t slot = 0; slot < 5; ++slot) {
        Rng a(seed, round, slot), b(seed, round, slot);
        const uint64_t value = a.Next();
        EXPECT_EQ(value, b.Next());
        first.insert(value);
      }
    }
  }
  EXPECT_EQ(first.size(), 125u);
}

TEST(Rng, BelowIsUniformAndInRange) {
  Rng rng(3);
  std::vector<int> counts(7);
  for (int i = 0; i < 70000; ++i) ++counts[rng.Below(7)];
  for (int count : counts) EXPECT_NEAR(count, 10000, 500);
  EXPECT_EQ(rng.Below(0), 0u);
  EXPECT_EQ(rng.Below(1), 0u);
}

TEST(Rng, BelowIsUnbiasedForHugeRanges) {
  // Plain `% n` would put two thirds of the draws into the lower half.
  const uint64_t n = (uint64_t{1} << 63) + (uint64_t{1} << 62);
  Rng rng(4);
  int low = 0;
  for (int i = 0; i < 10000; ++i) low += rng.Below(n) < n / 3 ? 1 : 0;
  EXPECT_NEAR(low, 3333, 200);
}

TEST(Rng, BetweenIncludesBothEndsAndTakesAnyRange) {
  Rng rng(5);
  std::set<int64_t> seen;
  for (int i = 0; i < 200; ++i) seen.insert(rng.Between(-2, 1));
  EXPECT_EQ(seen, (std::set<int64_t>{-2, -1, 0, 1}));
  EXPECT_EQ(rng.Between(4, 4), 4);
  EXPECT_EQ(rng.Between(4, 3), 4);
  rng.Between(INT64_MIN, INT64_MAX);
}

TEST(Rng, UniformStaysBelowOne) {
  Rng rng(6);
  double sum = 0;
  for (int i = 0; i < 10000; ++i) {
    const double value = rng.Uniform();
    ASSERT_GE(value, 0);
    ASSERT_LT(value, 1);
    sum += value;
  }
  EXPECT_NEAR(sum / 10000, 0.5, 0.02);
}

TEST(Rng, SamplesWithoutReplacementAreDistinctAndFair) {
  std::vector<int> counts(10);
  for (uint64_t seed = 0; seed < 10000; ++seed) {
    Rng rng(seed);
    const std::vector<int32_t> drawn = rng.SampleWithoutReplacement(10, 3);
    ASSERT_EQ(std::set<int32_t>(drawn.begin(), drawn.end()).size(), 3u);
    for (int32_t value : drawn) ++counts[value];
  }
  for (int count : counts) EXPECT_NEAR(count, 3000, 250);
  Rng rng(1);
  EXPECT_EQ(rng.SampleWithoutReplacement(3, 9).size(), 3u);
  EXPECT_TRUE(rng.SampleWithoutReplacement(0, 2).empty());
  EXPECT_TRUE(rng.SampleWithoutReplacement(-4, -2).empty());
}

}  // namespace
}  // namespace evopress::search
