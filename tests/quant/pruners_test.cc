// What every pruner promises.
#include <oneapi/tbb/global_control.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "quant/compressor.h"
#include "quant/pruned_layer.h"
#include "tests/quant/random_layer.h"

namespace evopress::quant {
namespace {

using testing::HasSubstr;

class Pruner : public testing::TestWithParam<const char*> {
 protected:
  search::LevelName Level(const std::string& options) {
    const auto level =
        search::ParseLevel(std::string(GetParam()) + ":" + options);
    EXPECT_TRUE(level.ok()) << level.status();
    return *level;
  }

  absl::StatusOr<std::vector<CompressedLayer>> TryCompress(
      const LayerContext& layer, const std::vector<std::string>& levels) {
    std::vector<search::LevelName> parsed;
    for (const std::string& level : levels) parsed.push_back(Level(level));
    return (*FindCompressor(GetParam()))->Compress(layer, parsed);
  }

  std::vector<CompressedLayer> Compress(
      const RandomLayer& layer, const std::vector<std::string>& levels) {
    auto made = TryCompress(layer.Context(), levels);
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? *std::move(made) : std::vector<CompressedLayer>();
  }
};

bool IsKept(const PackedWeight& weight, int64_t row, int64_t col) {
  const int64_t i = row * weight.cols + col;
  return (weight.positions[i / 8] >> (i % 8) & 1) != 0;
}

std::vector<float> Unpacked(const PackedWeight& weight) {
  std::vector<float> values(weight.rows * weight.cols);
  EXPECT_TRUE(Unpack(weight, absl::MakeSpan(values)).ok());
  return values;
}

TEST_P(Pruner, ZerosAndCostsAreExactAtEveryLevel) {
  for (const auto& [rows, cols] : {std::pair{70, 144}, {64, 320}, {3, 96}}) {
    const RandomLayer layer = MakeRandomLayer(rows, rows, cols, 100);
    const int64_t weights = rows * cols;
    std::vector<std::string> levels = {
        "0",    "0.01", "33.3333",
        "50",   "87.5", "100",
        "z1",   "z7",   "z" + std::to_string(weights - 1),
        "2of4", "1of4", "4of8",
        "1of16"};
    for (const char* quantized : {":b4", ":b2:g16:sym", ":b3:g48:search"}) {
      if (cols % 48 != 0 &&
          std::string(quantized).find("48") != std::string::npos)
        continue;
      levels.push_back(std::string("50") + quantized);
      levels.push_back(std::string("z5") + quantized);
      levels.push_back(std::string("2of4") + quantized);
    }
    const auto made = Compress(layer, levels);
    ASSERT_EQ(made.size(), levels.size());
    for (size_t l = 0; l < levels.size(); ++l) {
      SCOPED_TRACE(testing::Message()
                   << rows << "x" << cols << " " << levels[l]);
      const search::LevelName level = Level(levels[l]);
      const PackedWeight& weight = made[l].weight;
      const int64_t zeros = *search::ZerosOf(level.sparsity, weights);
      ASSERT_TRUE(Validate(weight).ok()) << Validate(weight);
      EXPECT_EQ(KeptWeights(weight), weights - zeros);
      EXPECT_EQ(made[l].costs.nonzeros, weights - zeros);
      EXPECT_EQ(made[l].costs.code_bits,
                weights + (weights - zeros) * level.bits);
      EXPECT_EQ(made[l].costs.stored_bits, StoredBits(weight));
      const auto costs = CostsOf(layer.shape, level);
      ASSERT_TRUE(costs.ok());
      EXPECT_EQ(costs->stored_bits, StoredBits(weight));
      EXPECT_EQ(costs->nonzeros, weights - zeros);
      const std::vector<float> values = Unpacked(weight);
      EXPECT_GE(std::count(values.begin(), values.end(), 0.0f), zeros);
      const double error = ErrorOf(weight, layer.Context(), &layer.gram) /
                           EnergyOf(layer.Context(), &layer.gram);
      EXPECT_NEAR(made[l].relative_error, error, 1e-6 + 1e-4 * error);
    }
  }
}

TEST_P(Pruner, PatternsHoldInEveryGroup) {
  const RandomLayer layer = MakeRandomLayer(2, 66, 192, 100);
  for (const char* text : {"2of4", "1of4", "5of8", "2of4:b3:g64"}) {
    SCOPED_TRACE(text);
    const search::Sparsity sparsity = Level(text).sparsity;
    const auto made = Compress(layer, {text});
    ASSERT_EQ(made.size(), 1u);
    for (int64_t r = 0; r < 66; ++r) {
      for (int64_t c = 0; c < 192; c += sparsity.group) {
        int64_t kept = 0;
        for (int64_t i = 0; i < sparsity.group; ++i) {
          kept += IsKept(made[0].weight, r, c + i);
        }
        ASSERT_EQ(kept, sparsity.amount) << r << " " << c;
      }
    }
  }
}

TEST_P(Pruner, ErrorsRiseWithSparsity) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    const RandomLayer layer = MakeRandomLayer(seed, 80, 160, 300);
    std::vector<std::string> levels;
    for (int percent = 0; percent <= 100; percent += 10) {
      levels.push_back(std::to_string(percent));
    }
    const auto made = Compress(layer, levels);
    ASSERT_EQ(made.size(), levels.size());
    for (size_t l = 1; l < levels.size(); ++l) {
      EXPECT_GT(made[l].relative_error, made[l - 1].relative_error)
          << seed << " " << levels[l];
    }
    // Nothing is pruned, but float16 rounds; and all of it is lost.
    EXPECT_LT(made.front().relative_error, 1e-6);
    EXPECT_NEAR(made.back().relative_error, 1, 1e-6);
  }
}

TEST_P(Pruner, BitsDoNotDependOnThreadsNorOnTheOtherLevels) {
  const RandomLayer layer = MakeRandomLayer(11, 200, 320, 100);
  const std::vector<std::string> levels = {"50", "z12345", "2of4", "50:b3:g64",
                                           "2of4:b2:g160:search"};
  std::vector<std::string> want;
  std::vector<double> errors;
  for (const std::string& level : levels) {
    const auto alone = Compress(layer, {level});
    want.push_back(SerializeBlob(alone.at(0).weight));
    errors.push_back(alone.at(0).relative_error);
  }
  for (const size_t threads : {1, 2, 5}) {
    tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                              threads);
    const auto together = Compress(layer, levels);
    ASSERT_EQ(together.size(), levels.size());
    for (size_t l = 0; l < levels.size(); ++l) {
      EXPECT_EQ(SerializeBlob(together[l].weight), want[l]);
      EXPECT_EQ(together[l].relative_error, errors[l]);
    }
  }
}

TEST_P(Pruner, BlobsRoundTrip) {
  const RandomLayer layer = MakeRandomLayer(12, 33, 96, 100);
  for (const CompressedLayer& made : Compress(
           layer, {"50", "100", "0", "2of4", "z1:b3:g32", "100:b5:g32:sym"})) {
    const std::string blob = SerializeBlob(made.weight);
    const auto parsed =
        ParseBlob({reinterpret_cast<const uint8_t*>(blob.data()), blob.size()});
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(SerializeBlob(*parsed), blob);
    EXPECT_EQ(Unpacked(*parsed), Unpacked(made.weight));
  }
}

TEST_P(Pruner, DeadInputsGoFirstAndDoNoHarm) {
  RandomLayer layer = MakeRandomLayer(14, 20, 64, 100);
  for (const int64_t dead : {0, 17, 63}) {
    for (int64_t i = 0; i < 64; ++i) {
      layer.gram.values[dead * 64 + i] = 0;
      layer.gram.values[i * 64 + dead] = 0;
    }
    for (int64_t r = 0; r < 20; ++r) layer.weight[r * 64 + dead] = 1;
  }
  for (const CompressedLayer& made :
       Compress(layer, {"25", "25:b4:g32", "2of4"})) {
    EXPECT_LT(made.relative_error, 1);
    for (int64_t r = 0; r < 20; ++r) {
      for (const int64_t dead : {0, 17, 63}) {
        // Magnitude knows nothing of inputs.
        if (std::string(GetParam()) == "magnitude") continue;
        EXPECT_FALSE(IsKept(made.weight, r, dead));
      }
    }
  }
}

TEST_P(Pruner, AGramOfZerosIsPruningByMagnitude) {
  RandomLayer layer = MakeRandomLayer(15, 20, 64, 10);
  std::fill(layer.gram.values.begin(), layer.gram.values.end(), 0.0f);
  const auto made = Compress(layer, {"2of4"});
  const auto magnitude =
      (*FindCompressor("magnitude"))
          ->Compress(layer.Context(), {*search::ParseLevel("magnitude:2of4")});
  ASSERT_TRUE(magnitude.ok());
  EXPECT_EQ(made.at(0).weight.positions, (*magnitude)[0].weight.positions);
  EXPECT_EQ(made[0].weight.codes, (*magnitude)[0].weight.codes);
  EXPECT_EQ(made[0].relative_error, (*magnitude)[0].relative_error);
}

TEST_P(Pruner, ConstantWeightsLoseExactlyTheirShare) {
  RandomLayer layer = MakeRandomLayer(16, 30, 64, 50);
  std::fill(layer.weight.begin(), layer.weight.end(), 0.0f);
  for (const CompressedLayer& made : Compress(layer, {"37", "2of4:b3:g32"})) {
    EXPECT_EQ(KeptWeights(made.weight), made.costs.nonzeros);
    EXPECT_EQ(made.relative_error, 0);
  }
}

TEST_P(Pruner, WeightsThatAreNotFiniteOrTooLargeAreRefused) {
  RandomLayer layer = MakeRandomLayer(20, 3, 64, 10);
  layer.weight[100] = std::numeric_limits<float>::quiet_NaN();
  auto made = TryCompress(layer.Context(), {"50"});
  EXPECT_TRUE(absl::IsInvalidArgument(made.status())) << made.status();
  EXPECT_THAT(std::string(made.status().message()),
              testing::AllOf(HasSubstr("random"), HasSubstr("100")));
  for (const float large :
       {70000.0f, 1e30f, std::numeric_limits<float>::max()}) {
    layer.weight[100] = large;
    made = TryCompress(layer.Context(), {"50"});
    EXPECT_TRUE(absl::IsInvalidArgument(made.status())) << made.status();
    EXPECT_THAT(std::string(made.status().message()), HasSubstr("random"));
  }
}

TEST_P(Pruner, LevelsThatDoNotFitTheShapeAreRefused) {
  const RandomLayer layer = MakeRandomLayer(21, 3, 66, 10);
  for (const char* level :
       {"2of4", "50:b4:g64", "z199", "2of3:b4:g22", "2of11:b4:g33:sym"}) {
    const auto made = TryCompress(layer.Context(), {level});
    const bool fits = std::string(level) == "2of11:b4:g33:sym";
    EXPECT_EQ(made.ok(), fits) << level << " " << made.status();
    EXPECT_EQ(CostsOf(layer.shape, Level(level)).ok(), fits) << level;
  }
  search::LevelName nothing;
  nothing.method = GetParam();
  EXPECT_FALSE(CostsOf(layer.shape, nothing).ok());
}

TEST_P(Pruner, AMissingGramIsAFailedPreconditionWhereItIsNeeded) {
  const RandomLayer layer = MakeRandomLayer(22, 2, 64, 2);
  LayerContext context = layer.Context();
  context.gram = nullptr;
  const auto made = TryCompress(context, {"50"});
  if ((*FindCompressor(GetParam()))->needs_gram()) {
    EXPECT_TRUE(absl::IsFailedPrecondition(made.status())) << made.status();
  } else {
    EXPECT_TRUE(made.ok()) << made.status();
  }
}

INSTANTIATE_TEST_SUITE_P(All, Pruner,
                         testing::Values("sparsegpt", "wanda", "magnitude",
                                         "admm"),
                         [](const auto& info) { return info.param; });

TEST(ShareOf, SharesSumToTheWholeAndAreFair) {
  for (const int64_t zeros : {0, 1, 6, 7, 99, 100}) {
    int64_t sum = 0;
    for (int64_t i = 0; i < 7; ++i) {
      const int64_t share = ShareOf(zeros, i, i + 1, 7);
      EXPECT_GE(share, zeros / 7);
      EXPECT_LE(share, zeros / 7 + 1);
      sum += share;
    }
    EXPECT_EQ(sum, zeros);
  }
}

TEST(Wanda, ComparesWithinRows) {
  // The second row's weights are all smaller than the first's.
  RandomLayer layer = MakeRandomLayer(23, 2, 64, 50);
  for (int64_t c = 0; c < 64; ++c) {
    layer.weight[c] = 1.0f + 0.01f * static_cast<float>(c);
    layer.weight[64 + c] = 1e-3f * layer.weight[c];
  }
  const auto kept = [&](const char* level) {
    const auto parsed = search::ParseLevel(level);
    const auto made =
        (*FindCompressor(parsed->method))->Compress(layer.Context(), {*parsed});
    EXPECT_TRUE(made.ok()) << made.status();
    int64_t first = 0;
    for (int64_t c = 0; c < 64; ++c) first += IsKept((*made)[0].weight, 0, c);
    return first;
  };
  EXPECT_EQ(kept("wanda:50"), 32);
  EXPECT_EQ(kept("magnitude:50"), 64);
}

TEST(Wanda, KeepsWeightsAsTheyWereAndChoosesByInputNorm) {
  RandomLayer layer = MakeRandomLayer(24, 8, 64, 50);
  const auto made =
      (*FindCompressor("wanda"))
          ->Compress(layer.Context(), {*search::ParseLevel("wanda:50")});
  ASSERT_TRUE(made.ok());
  const std::vector<float> values = Unpacked((*made)[0].weight);
  for (int64_t r = 0; r < 8; ++r) {
    double worst_kept = INFINITY, best_dropped = 0;
    for (int64_t c = 0; c < 64; ++c) {
      const double w = layer.weight[r * 64 + c];
      const double score = std::abs(w) * std::sqrt(layer.gram.values[c * 65]);
      if (IsKept((*made)[0].weight, r, c)) {
        worst_kept = std::min(worst_kept, score);
        EXPECT_NEAR(values[r * 64 + c], w, 1e-3 * std::abs(w));
      } else {
        best_dropped = std::max(best_dropped, score);
        EXPECT_EQ(values[r * 64 + c], 0);
      }
    }
    EXPECT_GE(worst_kept, best_dropped * (1 - 1e-6));
  }
}

}  // namespace
}  // namespace evopress::quant
