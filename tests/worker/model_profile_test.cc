#include "worker/model_profile.h"

#include <gtest/gtest.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "quant/checkpoint.h"
#include "tests/worker/golden_losses.h"
#include "worker/layer_outliers.h"
#include "worker/ops/arithmetic.h"

namespace evopress::worker {
namespace {

// How far flows are off where factors are rounded to bfloat16.
constexpr double kBfloatBound = 0.01;

TEST(MeasureFlow, IsWhatTheNumbersSay) {
  // Nine numbers a state: more than one run of sums. By hand: doubled, turned
  // by a right angle, reversed, and a state of zeros.
  std::vector<float> from(4 * 9), to(4 * 9);
  from[0] = 3;
  to[0] = 6;
  from[9 + 1] = 1;
  to[9 + 8] = 2;
  from[18 + 4] = 2;
  to[18 + 4] = -1;
  from[27] = 1;
  const Flow doubled = MeasureFlow(from.data(), to.data(), 1, 9);
  EXPECT_DOUBLE_EQ(doubled.cosine, 1);
  EXPECT_DOUBLE_EQ(doubled.angle, 0);
  EXPECT_DOUBLE_EQ(doubled.magnitude, 0.5);
  const Flow turned = MeasureFlow(from.data() + 9, to.data() + 9, 1, 9);
  EXPECT_DOUBLE_EQ(turned.cosine, 0);
  EXPECT_DOUBLE_EQ(turned.angle, 0.5);
  EXPECT_DOUBLE_EQ(turned.magnitude, std::sqrt(5.0) / 2);
  const Flow reversed = MeasureFlow(from.data() + 18, to.data() + 18, 1, 9);
  EXPECT_DOUBLE_EQ(reversed.cosine, -1);
  EXPECT_DOUBLE_EQ(reversed.angle, 1);
  EXPECT_DOUBLE_EQ(reversed.magnitude, 3);
  const Flow vanished = MeasureFlow(from.data() + 27, to.data() + 27, 1, 9);
  EXPECT_EQ(vanished, (Flow{0, 0.5, 1}));
  Flow sum;
  for (const Flow& flow : {doubled, turned, reversed, vanished}) sum.Add(flow);
  EXPECT_EQ(MeasureFlow(from.data(), to.data(), 4, 9), sum);
}

// One of flows.json: means of 1 - cosine, angle and magnitude.
void ExpectFlow(const Flow& got, const nlohmann::json& want, int64_t tokens,
                double bound) {
  const auto n = static_cast<double>(tokens);
  EXPECT_NEAR(1 - got.cosine / n, want[0].get<double>(), bound);
  EXPECT_NEAR(got.angle / n, want[1].get<double>(), bound);
  EXPECT_NEAR(got.magnitude / n, want[2].get<double>(), bound);
}

class Profile : public testing::TestWithParam<std::string> {};

TEST_P(Profile, TurnsHiddenStatesAsInTransformers) {
  const auto evaluator = OpenLocalEvaluator(GoldenPath(GetParam()), {});
  ASSERT_TRUE(evaluator.ok()) << evaluator.status();
  const std::vector<int32_t> sample =
      ReadGolden("nll.json")[GetParam()][0]["tokens"];
  const auto profile = (*evaluator)->Profile({sample}, nullptr);
  ASSERT_TRUE(profile.ok()) << profile.status();
  const nlohmann::json golden = ReadGolden("flows.json")[GetParam()];
  ASSERT_EQ(golden.size(), profile->blocks.size());
  // Whatever the arithmetic, far less than between any two of a model's flows.
  const double bound =
      DetectArithmetic() == Arithmetic::kF32 ? 1e-5 : kBfloatBound;
  for (size_t b = 0; b < golden.size(); ++b) {
    const BlockProfile& block = profile->blocks[b];
    for (size_t m = 0; m < block.modules.size(); ++m) {
      SCOPED_TRACE(block.modules[m].name);
      ExpectFlow(block.modules[m].flow, golden[b]["modules"][m],
                 profile->tokens, bound);
    }
    ASSERT_EQ(golden[b]["windows"].size(), block.windows.size());
    for (size_t w = 0; w < block.windows.size(); ++w) {
      SCOPED_TRACE(absl::StrCat("window of ", w + 1, " from ", b));
      ExpectFlow(block.windows[w], golden[b]["windows"][w], profile->tokens,
                 bound);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Architectures, Profile,
                         testing::ValuesIn(GoldenArchitectures()),
                         [](const auto& info) { return info.param; });

// The definition, with all scores of a block in memory.
double Oracle(const quant::Checkpoint& model, const BlockProfile& block) {
  std::vector<double> scores;
  double sum = 0;
  for (const auto& layer : block.layers) {
    const quant::TensorInfo* info = model.Find(layer.name + ".weight");
    std::vector<float> weights(info->elements());
    EXPECT_TRUE(model.ReadF32(info->name, absl::MakeSpan(weights)).ok());
    const auto& powers = block.input_powers[layer.site];
    for (size_t i = 0; i < weights.size(); ++i) {
      scores.push_back(std::abs(weights[i]) *
                       std::sqrt(powers[i % powers.size()]));
      sum += scores.back();
    }
  }
  double outliers = 0;
  for (const double score : scores) {
    outliers += score > 5 * sum / static_cast<double>(scores.size());
  }
  return outliers / static_cast<double>(scores.size());
}

TEST(OutlierShare, CountsScoresFarAboveTheBlocksMean) {
  const std::string path = GoldenPath("qwen3");
  const auto model = quant::Checkpoint::Open(path);
  ASSERT_TRUE(model.ok()) << model.status();
  const auto evaluator = OpenLocalEvaluator(path, {.threads = 1});
  ASSERT_TRUE(evaluator.ok()) << evaluator.status();
  auto profile = (*evaluator)->Profile({MakeSample(60, 1)}, nullptr);
  ASSERT_TRUE(profile.ok()) << profile.status();
  for (BlockProfile& block : profile->blocks) {
    const auto plain = OutlierShare(**model, block);
    ASSERT_TRUE(plain.ok()) << plain.status();
    EXPECT_EQ(*plain, Oracle(**model, block));
    // Inputs that are far stronger than all others.
    for (auto& powers : block.input_powers) powers[3] *= 1e4;
    const auto strong = OutlierShare(**model, block);
    ASSERT_TRUE(strong.ok()) << strong.status();
    EXPECT_EQ(*strong, Oracle(**model, block));
    EXPECT_GT(*strong, *plain);
  }
  BlockProfile unknown = profile->blocks[0];
  unknown.layers[0].name = "no.such.layer";
  EXPECT_TRUE(absl::IsNotFound(OutlierShare(**model, unknown).status()));
  unknown = profile->blocks[0];
  unknown.input_powers[0].pop_back();
  EXPECT_TRUE(absl::IsNotFound(OutlierShare(**model, unknown).status()));
}

}  // namespace
}  // namespace evopress::worker
