// The cpu engine in this process, behind the evaluator seam.
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "quant/gram.h"
#include "worker/evaluation.h"
#include "worker/evaluator.h"
#include "worker/model.h"
#include "worker/request_check.h"
#include "worker/thread_arena.h"

namespace evopress::worker {
namespace {

class LocalEvaluator : public Evaluator {
 public:
  LocalEvaluator(std::unique_ptr<ThreadArena> arena, Model model,
                 const EvaluatorOptions& options)
      : arena_(std::move(arena)),
        model_(std::move(model)),
        engine_(model_, *arena_, options) {
    info_.numeric_class = NumericClass(model_.arithmetic);
    info_.capabilities = {"evaluate", "capture", "drop", "profile", "outer"};
    info_.model_type = model_.architecture.model_type;
    info_.vocab_size = model_.architecture.vocab;
    info_.outer_layers = OuterLayers(model_.architecture);
    for (const BlockSpec& block : model_.architecture.blocks) {
      info_.modules.push_back(block.attention);
      info_.modules.push_back(block.mlp);
      for (const LinearSpec& linear : block.linears) {
        info_.layers.push_back(linear.name);
      }
    }
  }

  const EvaluatorInfo& info() const override { return info_; }

  absl::StatusOr<EvaluateResponse> Evaluate(const EvaluateRequest& request,
                                            const Progress& progress) override {
    try {
      return engine_.Evaluate(request, progress);
    } catch (const std::bad_alloc&) {
      return absl::ResourceExhaustedError("out of memory evaluating");
    }
  }

  absl::Status Capture(const CaptureRequest& request,
                       const Progress& progress) override {
    try {
      auto statistics =
          engine_.Capture(request.samples, request.layers, progress);
      if (!statistics.ok()) return statistics.status();
      return quant::WriteStatistics(*statistics, request.output_path);
    } catch (const std::bad_alloc&) {
      return absl::ResourceExhaustedError("out of memory capturing");
    }
  }

  absl::StatusOr<ModelProfile> Profile(
      const std::vector<std::vector<int32_t>>& samples,
      const Progress& progress) override {
    try {
      return engine_.Profile(samples, progress);
    } catch (const std::bad_alloc&) {
      return absl::ResourceExhaustedError("out of memory profiling");
    }
  }

 private:
  std::unique_ptr<ThreadArena> arena_;
  Model model_;
  Engine engine_;
  EvaluatorInfo info_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Evaluator>> OpenLocalEvaluator(
    const std::string& path, const EvaluatorOptions& options) {
  if (absl::Status s = CheckOptions(options); !s.ok()) return s;
  try {
    auto arena = std::make_unique<ThreadArena>(options.threads);
    auto model = LoadModel(path, DetectArithmetic(), *arena);
    if (!model.ok()) return model.status();
    return std::make_unique<LocalEvaluator>(std::move(arena), *std::move(model),
                                            options);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        absl::StrCat("out of memory opening '", path, "'"));
  }
}

}  // namespace evopress::worker
