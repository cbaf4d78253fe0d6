// GPTQ on layers of a real model. The inputs of the first block's q, k and v
// are known without running the model: normalized embeddings.
//   EVOPRESS_TEST_MODEL=/path/to/SmolLM2-135M-Instruct.Q4_1.gguf
#include <cmath>
#include <cstdlib>
#include <random>

#include "gtest/gtest.h"
#include "quant/checkpoint.h"
#include "quant/gptq.h"
#include "quant/rtn.h"
#include "tests/quant/gptq_oracle.h"
#include "tests/quant/random_layer.h"

namespace evopress::quant {
namespace {

constexpr int kTokens = 1000;
constexpr int64_t kMaxRows = 192;

std::vector<float> ReadTensor(const Checkpoint& model,
                              const std::string& name) {
  const TensorInfo* info = model.Find(name);
  if (info == nullptr) return {};
  std::vector<float> values(info->elements());
  const absl::Status status = model.ReadF32(name, absl::MakeSpan(values));
  EXPECT_TRUE(status.ok()) << status;
  return values;
}

// Of kTokens tokens drawn alike; what real text repeats only sharpens it.
Gram FirstGram(const Checkpoint& model) {
  const std::vector<float> table =
      ReadTensor(model, "model.embed_tokens.weight");
  const std::vector<float> norm =
      ReadTensor(model, "model.layers.0.input_layernorm.weight");
  Gram gram;
  gram.n = static_cast<int64_t>(norm.size());
  gram.tokens = kTokens;
  if (gram.n == 0) return gram;
  std::mt19937_64 rng(1);
  std::vector<double> sum(gram.n * gram.n);
  std::vector<float> x(gram.n);
  for (int t = 0; t < kTokens; ++t) {
    const float* row = table.data() + rng() % (table.size() / gram.n) * gram.n;
    float square = 0;
    for (int64_t i = 0; i < gram.n; ++i) square += row[i] * row[i];
    const float scale =
        1.0f / std::sqrt(square / static_cast<float>(gram.n) + 1e-5f);
    for (int64_t i = 0; i < gram.n; ++i) x[i] = row[i] * scale * norm[i];
    for (int64_t i = 0; i < gram.n; ++i) {
      for (int64_t j = 0; j < gram.n; ++j) {
        sum[i * gram.n + j] += static_cast<double>(x[i]) * x[j];
      }
    }
  }
  gram.values.assign(sum.begin(), sum.end());
  return gram;
}

TEST(GptqOnAModel, MatchesTheOracleAndBeatsRoundToNearest) {
  const char* path = std::getenv("EVOPRESS_TEST_MODEL");
  if (path == nullptr) {
    GTEST_SKIP() << "set EVOPRESS_TEST_MODEL to a model (GGUF) to run this";
  }
  const auto model = Checkpoint::Open(path);
  ASSERT_TRUE(model.ok()) << model.status();
  const Gram gram = FirstGram(**model);
  ASSERT_GT(gram.n, 0);
  const int64_t group = gram.n % 64 == 0 ? 64 : 0;
  for (const std::string part : {"q_proj", "k_proj", "v_proj"}) {
    SCOPED_TRACE(part);
    RandomLayer layer;
    layer.weight =
        ReadTensor(**model, "model.layers.0.self_attn." + part + ".weight");
    ASSERT_FALSE(layer.weight.empty());
    layer.shape.cols = gram.n;
    layer.shape.rows =
        std::min(kMaxRows, static_cast<int64_t>(layer.weight.size()) / gram.n);
    layer.weight.resize(layer.shape.rows * layer.shape.cols);
    layer.gram = gram;
    std::vector<search::LevelName> gptq_levels;
    std::vector<search::LevelName> rtn_levels;
    for (const int bits : {2, 3, 4}) {
      gptq_levels.push_back(MakeLevel("gptq", bits, group));
      rtn_levels.push_back(MakeLevel("rtn", bits, group));
    }
    const auto gptq = GptqCompressor().Compress(layer.Context(), gptq_levels);
    const auto rtn = RtnCompressor().Compress(layer.Context(), rtn_levels);
    ASSERT_TRUE(gptq.ok()) << gptq.status();
    ASSERT_TRUE(rtn.ok()) << rtn.status();
    for (size_t l = 0; l < gptq_levels.size(); ++l) {
      SCOPED_TRACE(gptq_levels[l].bits);
      EXPECT_LT((*gptq)[l].relative_error, (*rtn)[l].relative_error);
      if (gptq_levels[l].bits != 3) continue;  // the oracle is slow
      const double want = OracleError(layer, gptq_levels[l]);
      EXPECT_NEAR(ErrorOf((*gptq)[l].weight, layer.Context(), &gram), want,
                  0.01 * want);
    }
  }
}

}  // namespace
}  // namespace evopress::quant
