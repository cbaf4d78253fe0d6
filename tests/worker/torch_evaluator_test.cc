// The torch engine, on the CPU, by the promises of every evaluator.
#include <cstdlib>
#include <string>

#include "tests/conformance/evaluator_suite.h"
#include "tests/worker/golden_losses.h"
#include "worker/torch/device_weights.h"
#include "worker/torch/evaluator.h"

namespace evopress::worker {
namespace {

const char kTorch[] = EVOPRESS_BINARY_DIR "/worker/evopress-evaluator-torch";
const char kCpu[] = EVOPRESS_BINARY_DIR "/worker/evopress-evaluator-cpu";

struct Bfloat {
  static auto Open(const std::string& path, const EvaluatorOptions& options) {
    return OpenTorchEvaluator(path, options, {});
  }
};

struct Float {
  static auto Open(const std::string& path, const EvaluatorOptions& options) {
    return OpenTorchEvaluator(path, options, {.precision = "f32"});
  }
};

struct Process {
  static auto Open(const std::string& path, const EvaluatorOptions& options) {
    return OpenEvaluatorProcess(kTorch, path, options);
  }
};

using Cases =
    testing::Types<Case<Bfloat, DenseModel>, Case<Float, DenseModel>,
                   Case<Float, TiedModel>, Case<Process, DenseModel>,
                   Case<Bfloat, ExpertsModel>, Case<Process, ExpertsModel>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Torch, EvaluatorSuite, Cases);

class TinyModel : public testing::TestWithParam<std::string> {};

TEST_P(TinyModel, LosesAsMuchAsInTransformersAtEveryPosition) {
  for (const bool exact : {true, false}) {
    auto evaluator = OpenTorchEvaluator(GoldenPath(GetParam()), {},
                                        {.precision = exact ? "f32" : "bf16"});
    ASSERT_TRUE(evaluator.ok()) << evaluator.status();
    ExpectGoldenLosses(**evaluator, GetParam(),
                       exact ? kFloat32Bound : BfloatBound(GetParam()));
  }
}

INSTANTIATE_TEST_SUITE_P(Architectures, TinyModel,
                         testing::ValuesIn(GoldenArchitectures()),
                         [](const auto& info) { return info.param; });

class TorchOn : public testing::TestWithParam<std::string> {
 protected:
  // Some layers of the model at a few bits, on samples of several lengths.
  EvaluateRequest Request() {
    const auto model = quant::Checkpoint::Open(GoldenPath(GetParam()));
    EXPECT_TRUE(model.ok()) << model.status();
    auto evaluator = OpenTorchEvaluator(GoldenPath(GetParam()), {}, {});
    EXPECT_TRUE(evaluator.ok()) << evaluator.status();
    EvaluateRequest request;
    request.assignments.resize(3);
    for (const std::string& layer : (*evaluator)->info().layers) {
      const char* const levels[] = {"rtn:b4:g16:asym", "rtn:b5:g16:sym"};
      for (int a : {0, 1}) {
        request.assignments[a].blob_of_layer[layer] =
            MakeBlob(**model, layer, levels[a], directory_.path());
      }
    }
    request.samples = {MakeSample(200, 1), MakeSample(33, 2)};
    return request;
  }

  ScratchDirectory directory_;
};

TEST_P(TorchOn, AgreesWithTheCpuEngine) {
  const EvaluateRequest request = Request();
  auto theirs = OpenEvaluatorProcess(kCpu, GoldenPath(GetParam()), {});
  auto ours = OpenEvaluatorProcess(kTorch, GoldenPath(GetParam()), {});
  ASSERT_TRUE(theirs.ok() && ours.ok());
  const auto want = (*theirs)->Evaluate(request, nullptr);
  const auto got = (*ours)->Evaluate(request, nullptr);
  ASSERT_TRUE(want.ok()) << want.status();
  ASSERT_TRUE(got.ok()) << got.status();
  for (size_t a = 0; a < 2; ++a) {
    for (size_t s = 0; s < request.samples.size(); ++s) {
      const search::SampleSums& x = want->results[a][s];
      const search::SampleSums& y = got->results[a][s];
      // bf16 rounds at other places in the two engines.
      EXPECT_NEAR(y.kl, x.kl, 0.05 * x.kl) << a << " " << s;
      EXPECT_NEAR(y.topk_kl, x.topk_kl, 0.05 * x.topk_kl) << a << " " << s;
      EXPECT_NEAR(y.nll, x.nll, 0.02 * x.nll) << a << " " << s;
    }
  }
}

TEST_P(TorchOn, LittleDeviceMemoryChangesNoBits) {
  const EvaluateRequest request = Request();
  auto rich = OpenTorchEvaluator(GoldenPath(GetParam()), {}, {});
  auto starved =
      OpenTorchEvaluator(GoldenPath(GetParam()), {}, {.device_memory = 1});
  ASSERT_TRUE(rich.ok() && starved.ok());
  const auto a = (*rich)->Evaluate(request, nullptr);
  const auto b = (*starved)->Evaluate(request, nullptr);
  ASSERT_TRUE(a.ok()) << a.status();
  ASSERT_TRUE(b.ok()) << b.status();
  EXPECT_EQ(a->results, b->results);
}

INSTANTIATE_TEST_SUITE_P(Architectures, TorchOn,
                         testing::Values("qwen3", "gemma3"),
                         [](const auto& info) { return info.param; });

TEST(UnpackOnDevice, IsUnpackBitForBit) {
  const auto model = quant::Checkpoint::Open(GoldenPath("qwen3"));
  ASSERT_TRUE(model.ok()) << model.status();
  const ScratchDirectory directory;
  const std::string layer = "model.layers.0.mlp.gate_proj";
  for (int bits = 2; bits <= 8; ++bits) {
    for (const char* scheme : {":g16:asym", ":g16:sym", ":asym"}) {
      const std::string level = "rtn:b" + std::to_string(bits) + scheme;
      SCOPED_TRACE(level);
      auto packed =
          quant::ReadBlob(MakeBlob(**model, layer, level, directory.path()));
      ASSERT_TRUE(packed.ok()) << packed.status();
      if (packed->groups() > 1 && bits == 3) {
        // As act-order leaves it: groups in another order than columns.
        packed->group_of_column.resize(packed->cols);
        for (int64_t c = 0; c < packed->cols; ++c) {
          packed->group_of_column[c] = (c * 7) % packed->groups();
        }
      }
      std::vector<float> want(packed->rows * packed->cols);
      ASSERT_TRUE(quant::Unpack(*packed, absl::MakeSpan(want)).ok());
      const at::Tensor got = UnpackOnDevice(*packed, {}).contiguous();
      ASSERT_EQ(got.numel(), static_cast<int64_t>(want.size()));
      const float* const values = got.const_data_ptr<float>();
      EXPECT_EQ(std::vector<float>(values, values + got.numel()), want);
    }
  }
}

TEST(UnpackOnDevice, IsUnpackBitForBitOfPrunedWeights) {
  const auto model = quant::Checkpoint::Open(GoldenPath("qwen3"));
  ASSERT_TRUE(model.ok()) << model.status();
  const ScratchDirectory directory;
  const std::string layer = "model.layers.0.mlp.gate_proj";
  for (const std::string level :
       {"magnitude:50", "magnitude:z1", "magnitude:0", "magnitude:100",
        "magnitude:2of4", "magnitude:37:b3:g16:asym", "magnitude:2of4:b4:sym",
        "magnitude:100:b5:asym"}) {
    SCOPED_TRACE(level);
    const auto packed =
        quant::ReadBlob(MakeBlob(**model, layer, level, directory.path()));
    ASSERT_TRUE(packed.ok()) << packed.status();
    std::vector<float> want(packed->rows * packed->cols);
    ASSERT_TRUE(quant::Unpack(*packed, absl::MakeSpan(want)).ok());
    const at::Tensor got = UnpackOnDevice(*packed, {}).contiguous();
    ASSERT_EQ(got.numel(), static_cast<int64_t>(want.size()));
    const float* const values = got.const_data_ptr<float>();
    EXPECT_EQ(std::vector<float>(values, values + got.numel()), want);
  }
}

TEST(TorchDevice, RefusesWhatItDoesNotHave) {
  const auto open = [](const TorchOptions& options) {
    return OpenTorchEvaluator(GoldenPath("qwen3"), {}, options).status();
  };
  EXPECT_TRUE(absl::IsInvalidArgument(open({.device = "abacus"})));
  EXPECT_TRUE(absl::IsInvalidArgument(open({.precision = "f8"})));
  EXPECT_TRUE(absl::IsInvalidArgument(open({.device_memory = -1})));
  EXPECT_TRUE(absl::IsUnavailable(open({.device = "cuda:77"})));
}

TEST(TorchProcess, PrintsTheNumericClassOfItsDevice) {
  const auto name = EvaluatorNumericClass(kTorch);
  ASSERT_TRUE(name.ok()) << name.status();
  const auto device = OpenTorchDevice({});
  ASSERT_TRUE(device.ok()) << device.status();
  EXPECT_EQ(*name, TorchNumericClass(*device));
  EXPECT_EQ(name->rfind("torch-", 0), 0u) << *name;
}

}  // namespace
}  // namespace evopress::worker
