// worker/evaluation.h
// The cpu engine: measures weight choices on samples, and captures Grams.
#ifndef EVOPRESS_WORKER_EVALUATION_H_
#define EVOPRESS_WORKER_EVALUATION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "quant/gram.h"
#include "worker/block_runner.h"
#include "worker/evaluator.h"
#include "worker/model.h"
#include "worker/model_walk.h"
#include "worker/progress_meter.h"
#include "worker/teacher_cache.h"
#include "worker/thread_arena.h"
#include "worker/weight_cache.h"

namespace evopress::worker {

// Thread-compatible: one call at a time. "model" and "arena" must outlive it.
class Engine {
 public:
  Engine(const Model& model, ThreadArena& arena,
         const EvaluatorOptions& options);

  // As Evaluator::Evaluate.
  absl::StatusOr<EvaluateResponse> Evaluate(const EvaluateRequest& request,
                                            const Progress& progress);

  // Second moments of the inputs of `layers`, by SiteName() or kHeadSite. An
  // expert's are those of the tokens that go to it. An embedding that is not
  // the head too has no such inputs, and gets no site.
  absl::StatusOr<quant::Statistics> Capture(
      const std::vector<std::vector<int32_t>>& samples,
      const std::vector<std::string>& layers, const Progress& progress);

  // As Evaluator::Profile.
  absl::StatusOr<ModelProfile> Profile(
      const std::vector<std::vector<int32_t>>& samples,
      const Progress& progress);

  // Thread time spent so far on unpacking levels and laying them out.
  double prepare_seconds() const { return weights_.prepare_seconds(); }

  // Memory of the levels laid out and kept.
  int64_t prepared_bytes() const { return weights_.bytes(); }

  // For tests: compute every assignment by itself.
  void set_share_prefixes(bool share) { share_prefixes_ = share; }

  // For benchmarks: no reference, so that only `nll` is filled in.
  void set_nll_alone(bool alone) { nll_alone_ = alone; }

 private:
  using Samples = std::vector<const std::vector<int32_t>*>;
  using Teachers = std::vector<std::shared_ptr<const TeacherStates>>;

  std::vector<Samples> ChunkSamples(
      const std::vector<std::vector<int32_t>>& samples, int64_t choices) const;
  AlignedVector<uint8_t> FinalNorm(absl::Span<const float> hidden);
  absl::StatusOr<Teachers> Teach(const Samples& samples, ProgressMeter& meter);
  absl::Status CaptureHead(const Samples& chunk, absl::Span<const float> hidden,
                           quant::Gram& gram);
  absl::Status Measure(absl::Span<const WeightChoice* const> choices,
                       const Samples& samples, const Teachers& teachers,
                       ProgressMeter& meter,
                       std::vector<std::vector<search::SampleSums>>& sums);
  absl::Status Compare(const LossHead& head,
                       absl::Span<const AlignedVector<uint8_t>* const> students,
                       const Samples& samples, const Teachers& teachers,
                       std::vector<std::vector<search::SampleSums>>& sums);

  const Model& model_;
  ThreadArena& arena_;
  const EvaluatorOptions options_;
  WeightCache weights_;
  TeacherCache teachers_;
  BlockRunner runner_;
  bool share_prefixes_ = true;
  bool nll_alone_ = false;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_EVALUATION_H_
