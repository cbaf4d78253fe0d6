#include "quant/smallest.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evopress::quant {
namespace {

std::vector<int> Kept(const std::vector<float>& scores, int64_t count) {
  std::vector<uint8_t> kept(scores.size(), 7);
  DropSmallest(scores.data(), static_cast<int64_t>(scores.size()), count,
               kept.data());
  return {kept.begin(), kept.end()};
}

TEST(DropSmallest, IsWhatAStableSortWouldDrop) {
  std::mt19937_64 rng(1);
  for (const int64_t n : {1, 2, 4, 31, 257, 5000}) {
    for (const int distinct : {1, 3, 1 << 20}) {
      std::vector<float> scores(n);
      for (float& s : scores) {
        s = static_cast<float>(rng() % distinct) * 0.37f;
      }
      std::vector<int64_t> order(n);
      for (int64_t i = 0; i < n; ++i) order[i] = i;
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        return scores[a] < scores[b];
      });
      for (const int64_t count : {int64_t{0}, n / 3, n / 2, n - 1, n}) {
        std::vector<int> want(n, 1);
        for (int64_t i = 0; i < count; ++i) want[order[i]] = 0;
        EXPECT_EQ(Kept(scores, count), want) << n << " " << count;
      }
    }
  }
}

TEST(DropSmallest, TakesInfinityAndNanAsTheLargest) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> scores = {NAN, inf, 0.0f, 3.0f, 1e-45f, -NAN};
  EXPECT_THAT(Kept(scores, 1), testing::ElementsAre(1, 1, 0, 1, 1, 1));
  EXPECT_THAT(Kept(scores, 3), testing::ElementsAre(1, 1, 0, 0, 0, 1));
  EXPECT_THAT(Kept(scores, 4), testing::ElementsAre(1, 0, 0, 0, 0, 1));
  EXPECT_THAT(Kept(scores, 5), testing::ElementsAre(0, 0, 0, 0, 0, 1));
}

}  // namespace
}  // namespace evopress::quant
