#include "quant/gptq.h"

#include <oneapi/tbb/global_control.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "quant/gram_factor.h"
#include "quant/rtn.h"
#include "tests/quant/gptq_oracle.h"
#include "tests/quant/random_layer.h"

namespace evopress::quant {
namespace {

using testing::HasSubstr;

std::vector<CompressedLayer> Compressed(
    const LayerContext& layer, const std::vector<search::LevelName>& levels) {
  auto made = GptqCompressor().Compress(layer, levels);
  EXPECT_TRUE(made.ok()) << made.status();
  return made.ok() ? *std::move(made) : std::vector<CompressedLayer>();
}

TEST(Gptq, LayerErrorsAreWithinOnePercentOfAFloat64Oracle) {
  struct Case {
    int64_t rows, cols, group;
  };
  for (const Case& test :
       {Case{96, 192, 64}, Case{96, 192, 0}, Case{70, 160, 32},
        Case{64, 320, 160}, Case{64, 288, 96}, Case{40, 144, 16}}) {
    const RandomLayer layer =
        MakeRandomLayer(test.cols + test.group, test.rows, test.cols, 400);
    std::vector<search::LevelName> levels;
    for (const int bits : {2, 3, 4}) {
      levels.push_back(MakeLevel("gptq", bits, test.group));
    }
    levels.push_back(MakeLevel("gptq", 3, test.group, /*symmetric=*/true));
    levels.push_back(MakeLevel("gptq", 3, test.group, false, true));
    const auto made = Compressed(layer.Context(), levels);
    ASSERT_EQ(made.size(), levels.size());
    for (size_t l = 0; l < levels.size(); ++l) {
      SCOPED_TRACE(testing::Message() << test.rows << "x" << test.cols << " g"
                                      << test.group << " level " << l);
      const double want = OracleError(layer, levels[l]);
      const double got = ErrorOf(made[l].weight, layer.Context(), &layer.gram);
      EXPECT_NEAR(got, want, 0.01 * want);
    }
  }
}

TEST(Gptq, BeatsRoundToNearestOnEveryLayer) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    SCOPED_TRACE(seed);
    const RandomLayer layer = MakeRandomLayer(seed, 64, 128, 200);
    for (int bits = 2; bits <= 4; ++bits) {
      for (const bool search : {false, true}) {
        const auto gptq =
            Compressed(layer.Context(),
                       {MakeLevel("gptq", bits, 64, false, false, search),
                        MakeLevel("gptq", bits, 64, true, false, search),
                        MakeLevel("gptq", bits, 64, false, true, search)});
        const auto rtn = RtnCompressor().Compress(
            layer.Context(),
            {MakeLevel("rtn", bits, 64, false, false, search),
             MakeLevel("rtn", bits, 64, true, false, search),
             MakeLevel("rtn", bits, 64, false, false, search)});
        ASSERT_TRUE(rtn.ok());
        ASSERT_EQ(gptq.size(), 3u);
        for (int i = 0; i < 3; ++i) {
          EXPECT_LT(gptq[i].relative_error, (*rtn)[i].relative_error);
        }
      }
    }
  }
}

TEST(Gptq, BitsDoNotDependOnThreadsNorOnTheOtherLevels) {
  const RandomLayer layer = MakeRandomLayer(11, 200, 320, 100);
  const std::vector<search::LevelName> levels = {
      MakeLevel("gptq", 2, 64), MakeLevel("gptq", 3, 32, true),
      MakeLevel("gptq", 4, 0, false, true),
      MakeLevel("gptq", 3, 160, false, false, true)};
  std::vector<std::string> want;
  std::vector<double> errors;
  for (const search::LevelName& level : levels) {
    const auto alone = Compressed(layer.Context(), {level});
    want.push_back(SerializeBlob(alone.at(0).weight));
    errors.push_back(alone.at(0).relative_error);
  }
  for (const size_t threads : {1, 2, 3, 8}) {
    tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                              threads);
    const auto together = Compressed(layer.Context(), levels);
    ASSERT_EQ(together.size(), levels.size());
    for (size_t l = 0; l < levels.size(); ++l) {
      EXPECT_EQ(SerializeBlob(together[l].weight), want[l]);
      EXPECT_EQ(together[l].relative_error, errors[l]);
    }
  }
}

TEST(Gptq, RowsDoNotDependOnTheRowsBesideThem) {
  const RandomLayer layer = MakeRandomLayer(12, 131, 64, 100);
  const auto all = Compressed(layer.Context(), {MakeLevel("gptq", 3, 32)});
  for (const int64_t row : {0, 63, 64, 130}) {
    LayerContext one = layer.Context();
    one.shape.rows = 1;
    one.weight = one.weight.subspan(row * 64, 64);
    const auto alone = Compressed(one, {MakeLevel("gptq", 3, 32)});
    ASSERT_EQ(alone.size(), 1u);
    const int64_t bytes = 64 * 3 / 8;
    EXPECT_EQ(
        alone[0].weight.codes,
        std::vector<uint8_t>(all[0].weight.codes.begin() + row * bytes,
                             all[0].weight.codes.begin() + (row + 1) * bytes));
  }
}

TEST(Gptq, ScalingTheGramChangesNothing) {
  RandomLayer layer = MakeRandomLayer(13, 64, 96, 100);
  const auto before = Compressed(layer.Context(), {MakeLevel("gptq", 3, 32)});
  for (float& value : layer.gram.values) value *= 1024;
  const auto after = Compressed(layer.Context(), {MakeLevel("gptq", 3, 32)});
  EXPECT_EQ(before.at(0).weight.codes, after.at(0).weight.codes);
  EXPECT_DOUBLE_EQ(before[0].relative_error, after[0].relative_error);
}

TEST(Gptq, DeadInputsGetWeightZeroAndDoNoHarm) {
  RandomLayer layer = MakeRandomLayer(14, 20, 64, 100);
  for (const int64_t dead : {0, 17, 63}) {
    for (int64_t i = 0; i < 64; ++i) {
      layer.gram.values[dead * 64 + i] = 0;
      layer.gram.values[i * 64 + dead] = 0;
    }
    for (int64_t r = 0; r < 20; ++r) {
      layer.weight[r * 64 + dead] = 1000;  // must not stretch a grid
    }
  }
  for (const bool act_order : {false, true}) {
    const auto made = Compressed(layer.Context(),
                                 {MakeLevel("gptq", 3, 0, false, false),
                                  MakeLevel("gptq", 3, 16, true, act_order)});
    ASSERT_EQ(made.size(), 2u);
    for (const CompressedLayer& level : made) {
      std::vector<float> values(20 * 64);
      ASSERT_TRUE(Unpack(level.weight, absl::MakeSpan(values)).ok());
      for (int64_t r = 0; r < 20; ++r) {
        for (const int64_t dead : {0, 17, 63}) {
          EXPECT_EQ(values[r * 64 + dead], 0.0f);
        }
      }
      EXPECT_LT(level.relative_error, 0.1);
    }
  }
}

TEST(Gptq, AGramOfZerosIsRoundToNearest) {
  RandomLayer layer = MakeRandomLayer(15, 20, 64, 10);
  std::fill(layer.gram.values.begin(), layer.gram.values.end(), 0.0f);
  const auto gptq = Compressed(layer.Context(), {MakeLevel("gptq", 3, 32)});
  const auto rtn =
      RtnCompressor().Compress(layer.Context(), {MakeLevel("rtn", 3, 32)});
  ASSERT_TRUE(rtn.ok());
  EXPECT_EQ(gptq.at(0).weight.codes, (*rtn)[0].weight.codes);
  EXPECT_NEAR(gptq[0].relative_error, (*rtn)[0].relative_error,
              1e-5 * (*rtn)[0].relative_error);
}

// The error falls out of GPTQ's own float32 feedback; with fewer samples than
// inputs, most of it is damping that must be taken off again.
TEST(Gptq, TheRelativeErrorIsThatOfThePackedWeight) {
  for (const int64_t samples : {400, 40}) {
    RandomLayer layer = MakeRandomLayer(17, 70, 144, samples);
    for (int64_t i = 0; i < 144; ++i) {
      layer.gram.values[5 * 144 + i] = layer.gram.values[i * 144 + 5] = 0;
    }
    const auto made = Compressed(
        layer.Context(),
        {MakeLevel("gptq", 2, 48), MakeLevel("gptq", 3, 0, true, true),
         MakeLevel("gptq", 6, 48, false, true, true)});
    ASSERT_EQ(made.size(), 3u);
    for (const CompressedLayer& level : made) {
      const double want = ErrorOf(level.weight, layer.Context(), &layer.gram) /
                          EnergyOf(layer.Context(), &layer.gram);
      EXPECT_NEAR(level.relative_error, want, 1e-4 * want);
    }
  }
}

TEST(Gptq, OneTokenIsEnough) {
  const RandomLayer layer = MakeRandomLayer(16, 20, 64, 1);
  const auto made = Compressed(layer.Context(), {MakeLevel("gptq", 4, 32)});
  ASSERT_EQ(made.size(), 1u);
  EXPECT_EQ(made[0].damping, 0.01);
  EXPECT_GE(made[0].relative_error, 0);
  EXPECT_LT(made[0].relative_error, 0.1);
}

TEST(Gptq, SlightlyIndefiniteGramsAreDampedMoreAndItIsReported) {
  RandomLayer layer = MakeRandomLayer(17, 20, 64, 200);
  double mean = 0;
  for (int64_t i = 0; i < 64; ++i) mean += layer.gram.values[i * 65] / 64;
  // A diagonal entry below zero by 5 % of the mean, alone in its row.
  for (int64_t i = 0; i < 64; ++i) {
    layer.gram.values[9 * 64 + i] = layer.gram.values[i * 64 + 9] = 0;
  }
  layer.gram.values[9 * 65] = static_cast<float>(-0.05 * mean);
  const auto made = Compressed(layer.Context(), {MakeLevel("gptq", 4, 32)});
  ASSERT_EQ(made.size(), 1u);
  EXPECT_NEAR(made[0].damping, 0.1, 1e-12);
}

TEST(Gptq, WildGramsAreRefusedWithTheLayersName) {
  RandomLayer layer = MakeRandomLayer(18, 20, 64, 200);
  for (int64_t i = 0; i < 64; ++i) layer.gram.values[i * 65] *= -1;
  auto made =
      GptqCompressor().Compress(layer.Context(), {MakeLevel("gptq", 4, 32)});
  EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(made.status().message()), HasSubstr("random"));
  layer.gram.values[70] = std::numeric_limits<float>::quiet_NaN();
  made = GptqCompressor().Compress(layer.Context(), {MakeLevel("gptq", 4, 32)});
  EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument);
  layer.gram.n = 63;
  made = GptqCompressor().Compress(layer.Context(), {MakeLevel("gptq", 4, 32)});
  EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Gptq, AMissingGramIsAFailedPrecondition) {
  const RandomLayer layer = MakeRandomLayer(19, 2, 64, 2);
  LayerContext context = layer.Context();
  context.gram = nullptr;
  const auto made =
      GptqCompressor().Compress(context, {MakeLevel("gptq", 4, 32)});
  EXPECT_EQ(made.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Gptq, NonFiniteWeightsAndBadGroupsAreRefused) {
  RandomLayer layer = MakeRandomLayer(20, 3, 64, 10);
  EXPECT_EQ(GptqCompressor()
                .Compress(layer.Context(), {MakeLevel("gptq", 4, 48)})
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
  layer.weight[100] = std::numeric_limits<float>::quiet_NaN();
  const auto made =
      GptqCompressor().Compress(layer.Context(), {MakeLevel("gptq", 4, 32)});
  EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(made.status().message()),
              testing::AllOf(HasSubstr("random"), HasSubstr("100")));
}

TEST(GramFactor, TimesItsTransposeItInvertsTheDampedGram) {
  for (const int64_t n : {1, 5, 128, 129, 300}) {
    const RandomLayer layer = MakeRandomLayer(n, 1, n, 500);
    for (const bool by_diagonal : {false, true}) {
      const auto factor = FactorInverse(layer.gram, by_diagonal);
      ASSERT_TRUE(factor.ok()) << factor.status();
      double mean = 0;
      for (int64_t i = 0; i < n; ++i) {
        mean += layer.gram.values[i * (n + 1)] / static_cast<double>(n);
      }
      // V^T H V = I.
      double worst = 0;
      std::vector<double> hv(n * n);
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t k = 0; k < n; ++k) {
          const double h =
              layer.gram.values[factor->order[i] * n + factor->order[k]] /
                  mean +
              (i == k ? factor->damping : 0.0);
          for (int64_t j = 0; j <= k; ++j) {
            hv[i * n + j] += h * factor->v[k * n + j];
          }
        }
      }
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          double sum = 0;
          for (int64_t k = i; k < n; ++k) {
            sum += factor->v[k * n + i] * hv[k * n + j];
          }
          worst = std::max(worst, std::abs(sum - (i == j ? 1.0 : 0.0)));
        }
      }
      EXPECT_LT(worst, 1e-3);
      if (by_diagonal) {
        for (int64_t i = 1; i < n; ++i) {
          EXPECT_GE(layer.gram.values[factor->order[i - 1] * (n + 1)],
                    layer.gram.values[factor->order[i] * (n + 1)]);
        }
      }
    }
  }
}

}  // namespace
}  // namespace evopress::quant
