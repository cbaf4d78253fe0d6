#include "quant/half.h"

#include <bit>
#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace evopress::quant {
namespace {

TEST(Half, EveryValueSurvivesTheWayToFloatAndBack) {
  for (uint32_t code = 0; code < 0x10000; ++code) {
    const auto half = static_cast<uint16_t>(code);
    const float value = HalfToFloat(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(HalfToFloat(FloatToHalf(value)))) << code;
    } else {
      EXPECT_EQ(FloatToHalf(value), half) << code;
    }
  }
}

TEST(Half, RoundsToTheNearestAndTiesToEven) {
  for (uint32_t code = 0; code < 0x7bff; ++code) {
    const float low = HalfToFloat(static_cast<uint16_t>(code));
    const float high = HalfToFloat(static_cast<uint16_t>(code + 1));
    const float middle = low + (high - low) / 2;  // exact in float
    EXPECT_EQ(FloatToHalf(middle), code % 2 == 0 ? code : code + 1) << code;
    EXPECT_EQ(FloatToHalf(std::nextafter(middle, 0.0f)), code) << code;
    EXPECT_EQ(FloatToHalf(std::nextafter(middle, 1e9f)), code + 1) << code;
    EXPECT_EQ(FloatToHalf(-middle), FloatToHalf(middle) | 0x8000) << code;
  }
}

TEST(Half, OverflowsToInfinityFrom65520On) {
  EXPECT_EQ(FloatToHalf(65519.996f), 0x7bff);
  EXPECT_EQ(FloatToHalf(65520.0f), 0x7c00);
  EXPECT_EQ(FloatToHalf(-std::numeric_limits<float>::infinity()), 0xfc00);
  EXPECT_EQ(FloatToHalf(std::numeric_limits<float>::denorm_min()), 0);
}

TEST(Bfloat, RoundsToTheNearestAndTiesToEven) {
  EXPECT_EQ(FloatToBfloat(1.0f), 0x3f80);
  EXPECT_EQ(FloatToBfloat(std::bit_cast<float>(0x3f808000u)), 0x3f80);
  EXPECT_EQ(FloatToBfloat(std::bit_cast<float>(0x3f808001u)), 0x3f81);
  EXPECT_EQ(FloatToBfloat(std::bit_cast<float>(0x3f818000u)), 0x3f82);
  EXPECT_EQ(FloatToBfloat(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_TRUE(std::isnan(
      BfloatToFloat(FloatToBfloat(std::bit_cast<float>(0x7f800001u)))));
}

TEST(Bfloat, EveryValueSurvivesTheWayToFloatAndBack) {
  for (uint32_t code = 0; code < 0x10000; ++code) {
    const float value = BfloatToFloat(static_cast<uint16_t>(code));
    if (!std::isnan(value)) {
      EXPECT_EQ(FloatToBfloat(value), code);
    }
  }
}

}  // namespace
}  // namespace evopress::quant
