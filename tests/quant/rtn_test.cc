#include "quant/rtn.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/quant/random_layer.h"

namespace evopress::quant {
namespace {

using testing::HasSubstr;

std::vector<float> Unpacked(const PackedWeight& weight) {
  std::vector<float> out(weight.rows * weight.cols);
  EXPECT_TRUE(Unpack(weight, absl::MakeSpan(out)).ok());
  return out;
}

TEST(Rtn, EveryWeightIsWithinHalfAStepOfItsValue) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    const RandomLayer layer = MakeRandomLayer(seed, 67, 96, 8);
    for (int bits = 2; bits <= 8; ++bits) {
      const search::LevelName level = MakeLevel("rtn", bits, 32);
      const auto made = RtnCompressor().Compress(layer.Context(), {level});
      ASSERT_TRUE(made.ok()) << made.status();
      const PackedWeight& packed = (*made)[0].weight;
      ASSERT_TRUE(Validate(packed).ok()) << Validate(packed);
      const std::vector<float> values = Unpacked(packed);
      for (int64_t i = 0; i < 67 * 96; ++i) {
        const int64_t first = i / 32 * 32;
        float low = 0;
        float high = 0;
        for (int64_t k = first; k < first + 32; ++k) {
          low = std::min(low, layer.weight[k]);
          high = std::max(high, layer.weight[k]);
        }
        // Rounding the zero and the float16 scale may clip the ends.
        const float step = (high - low) / static_cast<float>((1 << bits) - 1);
        ASSERT_LE(std::abs(values[i] - layer.weight[i]),
                  0.5f * step + 0.5f * step + 0.001f * (high - low));
      }
    }
  }
}

TEST(Rtn, SearchNeverRaisesTheErrorItMinimizes) {
  for (uint64_t seed = 0; seed < 3; ++seed) {
    const RandomLayer layer = MakeRandomLayer(seed, 40, 128, 64);
    LayerContext context = layer.Context();
    context.gram = nullptr;
    for (const bool symmetric : {false, true}) {
      for (int bits = 2; bits <= 6; ++bits) {
        const auto made = RtnCompressor().Compress(
            context, {MakeLevel("rtn", bits, 64, symmetric),
                      MakeLevel("rtn", bits, 64, symmetric, false, true)});
        ASSERT_TRUE(made.ok()) << made.status();
        EXPECT_LT((*made)[1].relative_error, (*made)[0].relative_error);
      }
    }
  }
}

TEST(Rtn, TheRelativeErrorIsThatOfThePackedWeight) {
  const RandomLayer layer = MakeRandomLayer(7, 70, 144, 32);
  for (const Gram* gram : {&layer.gram, static_cast<const Gram*>(nullptr)}) {
    LayerContext context = layer.Context();
    context.gram = gram;
    const auto made = RtnCompressor().Compress(
        context, {MakeLevel("rtn", 2, 48), MakeLevel("rtn", 5, 0, true)});
    ASSERT_TRUE(made.ok()) << made.status();
    for (const CompressedLayer& level : *made) {
      const double want =
          ErrorOf(level.weight, context, gram) / EnergyOf(context, gram);
      EXPECT_NEAR(level.relative_error, want, 1e-9 * want);
    }
  }
}

TEST(Rtn, ExtremeWeightsKeepFiniteValues) {
  RandomLayer layer = MakeRandomLayer(3, 3, 32, 4);
  for (int64_t c = 0; c < 32; ++c) {
    layer.weight[c] = 0;                                    // all zero
    layer.weight[32 + c] = 1e-30f * static_cast<float>(c);  // below float16
    layer.weight[64 + c] = c == 0 ? -60000.0f : 1.0f;
  }
  for (const bool symmetric : {false, true}) {
    const auto made = RtnCompressor().Compress(
        layer.Context(), {MakeLevel("rtn", 4, 32, symmetric)});
    ASSERT_TRUE(made.ok()) << made.status();
    const std::vector<float> values = Unpacked((*made)[0].weight);
    for (int64_t c = 0; c < 64; ++c) EXPECT_EQ(values[c], 0.0f);
    EXPECT_NEAR(values[64], -60000.0f, 5000.0f);
  }
}

TEST(Rtn, ScalesBeyondFloat16AreRefused) {
  RandomLayer layer = MakeRandomLayer(3, 3, 32, 4);
  layer.weight[40] = 3e38f;
  const auto made =
      RtnCompressor().Compress(layer.Context(), {MakeLevel("rtn", 4, 32)});
  EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(made.status().message()), HasSubstr("random"));
}

TEST(Rtn, NonFiniteWeightsAreRefusedWithLayerAndIndex) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity()}) {
    RandomLayer layer = MakeRandomLayer(3, 3, 32, 4);
    layer.weight[37] = bad;
    const auto made =
        RtnCompressor().Compress(layer.Context(), {MakeLevel("rtn", 4, 32)});
    EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(made.status().message()),
                testing::AllOf(HasSubstr("random"), HasSubstr("37")));
  }
}

TEST(Rtn, GroupsThatDoNotDivideTheColumnsAreRefused) {
  const RandomLayer layer = MakeRandomLayer(3, 3, 36, 4);
  const auto made =
      RtnCompressor().Compress(layer.Context(), {MakeLevel("rtn", 4, 32)});
  EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      std::string(made.status().message()),
      testing::AllOf(HasSubstr("random"), HasSubstr("36"), HasSubstr("32")));
  EXPECT_FALSE(
      RtnCompressor().Compress(layer.Context(), {MakeLevel("rtn", 9, 0)}).ok());
  EXPECT_FALSE(RtnCompressor()
                   .Compress(layer.Context(), {MakeLevel("rtn", 4, -3)})
                   .ok());
  EXPECT_FALSE(
      RtnCompressor()
          .Compress(layer.Context(), {MakeLevel("rtn", 4, 0, false, true)})
          .ok());
}

}  // namespace
}  // namespace evopress::quant
