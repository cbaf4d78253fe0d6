// Gram matrices against the plain X^T X: inputs that are more than one strip
// wide and samples that are more than one run of rows long.
#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "quant/checkpoint.h"
#include "tests/client/tiny_model.h"
#include "tests/worker/engine_fixture.h"
#include "worker/evaluator.h"

namespace evopress::worker {
namespace {

constexpr int64_t kHidden = 448;  // strips of 192, 192 and 64 columns

// What the first block's attention reads: normed embeddings.
std::vector<double> PlainGram(
    const std::vector<float>& embedding,
    const std::vector<std::vector<int32_t>>& samples) {
  std::vector<double> gram(kHidden * kHidden);
  for (const std::vector<int32_t>& sample : samples) {
    for (const int32_t token : sample) {
      const float* const x = embedding.data() + token * kHidden;
      double power = 0;
      for (int64_t i = 0; i < kHidden; ++i) power += double{x[i]} * x[i];
      const double scale = 1 / (power / kHidden + 1e-5);
      for (int64_t i = 0; i < kHidden; ++i) {
        for (int64_t j = 0; j < kHidden; ++j) {
          gram[i * kHidden + j] += scale * x[i] * x[j];
        }
      }
    }
  }
  return gram;
}

TEST(Capture, GramsAreThePlainProductForWideInputsAndLongSamples) {
  const client::TempDir tmp;
  client::MakeTinyModel(tmp / "model", /*seed=*/5, /*tied=*/true, kHidden);
  const auto model = quant::Checkpoint::Open(tmp / "model");
  ASSERT_TRUE(model.ok()) << model.status();
  std::vector<float> embedding(256 * kHidden);
  ASSERT_TRUE(
      (*model)
          ->ReadF32("model.embed_tokens.weight", absl::MakeSpan(embedding))
          .ok());
  CaptureRequest request;
  // Runs of 512, 512 and 276 rows; a short sample behind a long one, whose rows
  // must be gone; and one that ends with its run.
  request.samples = {MakeSample(1300, 1), MakeSample(100, 2),
                     MakeSample(512, 3)};
  request.layers = {"model.layers.0.self_attn.q_proj"};
  request.output_path = tmp / "statistics";
  const auto evaluator = OpenLocalEvaluator(tmp / "model", {.threads = 2});
  ASSERT_TRUE(evaluator.ok()) << evaluator.status();
  const absl::Status status = (*evaluator)->Capture(request, nullptr);
  ASSERT_TRUE(status.ok()) << status;
  const auto statistics = quant::ReadStatistics(request.output_path);
  ASSERT_TRUE(statistics.ok()) << statistics.status();
  ASSERT_EQ(statistics->sites.size(), 1u);
  const quant::Gram& gram = statistics->sites.begin()->second;
  ASSERT_EQ(gram.n, kHidden);
  EXPECT_EQ(gram.tokens, 1300 + 100 + 512);
  const std::vector<double> want = PlainGram(embedding, request.samples);
  double off = 0, all = 0;
  for (int64_t i = 0; i < kHidden; ++i) {
    for (int64_t j = 0; j < kHidden; ++j) {
      const double power =
          std::sqrt(want[i * kHidden + i]) * std::sqrt(want[j * kHidden + j]);
      const double error = gram.values[i * kHidden + j] - want[i * kHidden + j];
      // Inputs may be rounded to bfloat16.
      ASSERT_LE(std::abs(error), 4e-3 * power) << i << ", " << j;
      off += error * error;
      all += want[i * kHidden + j] * want[i * kHidden + j];
    }
  }
  EXPECT_LE(off, 1e-5 * all);
}

}  // namespace
}  // namespace evopress::worker
