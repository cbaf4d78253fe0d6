// The evaluator seam: measures how much assignments hurt a model, and
// collects the statistics that compressors need.
//
// Implementations: LocalEvaluator (an engine in this process) and
// EvaluatorProcess (the same behind the process protocol of
// evaluator_protocol.h, so that a crash is reported and not shared). One
// conformance suite, tests/conformance/evaluator_suite.h, runs on both.
#ifndef EVOPRESS_WORKER_EVALUATOR_H_
#define EVOPRESS_WORKER_EVALUATOR_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "search/strategy.h"
#include "worker/model_profile.h"

namespace evopress::worker {

struct EvaluatorOptions {
  int threads = 0;                   // 0: one per available core
  int64_t memory_bytes = 4LL << 30;  // bound of the prepared-weights cache
  int32_t top_k = 64;                // entries of the top-k KL
};

// What an evaluator can do, and the name of its arithmetic. Measurements of
// different numeric classes are never mixed.
struct EvaluatorInfo {
  std::string numeric_class;  // e.g. "cpu-3:bf16:avx512_core_bf16:onednn-2.6.3"
  std::vector<std::string> capabilities;  // "evaluate", "capture", "drop",
                                          // "profile", "outer"
  std::string model_type;                 // as in config.json
  std::vector<std::string> layers;        // linear layers that levels apply to
  int64_t vocab_size = 0;
  std::vector<std::string> modules;  // what can be dropped
  // The embedding and the output head, one layer if tied: levels apply to them
  // too if "outer" is among the capabilities.
  std::vector<std::string> outer_layers = {};
};

// Which blob each layer uses. Layers not named keep the model's weights. That
// of a tied embedding is the head's too. Two equal paths mean the same weights.
// A dropped module adds nothing to the hidden states and costs no time; blobs
// of its layers are not looked at.
struct WeightChoice {
  std::map<std::string, std::string> blob_of_layer;  // layer -> blob path
  std::set<std::string> dropped = {};                // modules

  bool IsReference() const { return blob_of_layer.empty() && dropped.empty(); }
  auto operator<=>(const WeightChoice&) const = default;
};

struct EvaluateRequest {
  std::vector<WeightChoice> assignments;
  std::vector<std::vector<int32_t>> samples;  // token ids, each 2 or more
};

// results[a][s]: assignment a on sample s. Position p of a sample is scored
// against token p+1, so a sample of n tokens has n-1 positions.
struct EvaluateResponse {
  std::vector<std::vector<search::SampleSums>> results;
};

struct CaptureRequest {
  std::vector<std::vector<int32_t>> samples;
  // Whose inputs to capture; an embedding that is not the head too has none,
  // and is left out.
  std::vector<std::string> layers;
  std::string output_path;  // a statistics file (quant/gram.h)
};

// Called now and then with the share done, 0…1; returning false cancels
// (the call then fails with Cancelled).
using Progress = std::function<bool(double)>;

// Thread-compatible: one call at a time.
class Evaluator {
 public:
  virtual ~Evaluator() = default;
  virtual const EvaluatorInfo& info() const = 0;

  // A (choice, sample) pair gives the same bits whatever else is in the
  // request and with any number of threads.
  virtual absl::StatusOr<EvaluateResponse> Evaluate(
      const EvaluateRequest& request, const Progress& progress) = 0;

  virtual absl::Status Capture(const CaptureRequest& request,
                               const Progress& progress) = 0;

  // The profile of the uncompressed model on `samples`; the same bits with any
  // number of threads.
  virtual absl::StatusOr<ModelProfile> Profile(
      const std::vector<std::vector<int32_t>>& samples,
      const Progress& progress) = 0;
};

// Opens the model at `path` (GGUF file or Hugging Face directory) on the cpu
// engine in this process.
absl::StatusOr<std::unique_ptr<Evaluator>> OpenLocalEvaluator(
    const std::string& path, const EvaluatorOptions& options);

// Starts `binary` (evopress-evaluator-cpu) as a child and opens the model
// there. A child that dies makes the running call fail with Unavailable,
// naming the signal or exit code and its last stderr lines; with
// ResourceExhausted if somebody else killed it (signal 9), as the system does
// when memory is out. The next call starts it anew.
absl::StatusOr<std::unique_ptr<Evaluator>> OpenEvaluatorProcess(
    const std::string& binary, const std::string& path,
    const EvaluatorOptions& options);

// The numeric class that `binary` would measure in on this machine, without a
// model: what it prints when run with --numeric-class. Unavailable, with what
// it said, if it cannot be run.
absl::StatusOr<std::string> EvaluatorNumericClass(const std::string& binary);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_EVALUATOR_H_
