// Runs one leased task: builds levels or measures assignments. Knows nothing
// of leases, sessions or time.
#ifndef EVOPRESS_WORKER_TASK_RUNNER_H_
#define EVOPRESS_WORKER_TASK_RUNNER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "evopress/v1/tasks.pb.h"
#include "worker/artifact_cache.h"
#include "worker/evaluator.h"
#include "worker/worker.h"

namespace evopress::worker {

// Thread-compatible: one task at a time. Keeps the model of the last task open
// and the tables and token sets of its job in memory.
class TaskRunner {
 public:
  // `cache` must outlive this.
  TaskRunner(const WorkerOptions& options, ArtifactCache& cache);

  // InvalidArgument, NotFound, DataLoss or Unimplemented for work that would
  // fail anywhere; Internal if the evaluator died; Unavailable if the
  // coordinator stays away or a local copy was damaged; ResourceExhausted for
  // memory or disk; Cancelled if `progress` said so.
  absl::StatusOr<v1::TaskResult> Run(const v1::Task& task,
                                     const Progress& progress);

 private:
  absl::Status OpenModel(const v1::ModelRef& model);
  absl::StatusOr<std::vector<std::vector<int32_t>>> Samples(
      const v1::TokenSetRef& set, const std::vector<int32_t>& sequences);
  absl::StatusOr<v1::BuildResult> Build(const v1::BuildTask& task,
                                        const Progress& progress);
  absl::StatusOr<v1::BuildResult> Profile(const v1::BuildTask& task,
                                          const Progress& progress);
  absl::StatusOr<std::vector<std::vector<int32_t>>> AllSamples(
      const v1::TokenSetRef& set);
  absl::StatusOr<v1::EvaluateResult> Evaluate(const v1::EvaluateTask& task,
                                              const Progress& progress);
  // What each layer uses under `levels` (one index per unit of the table).
  absl::StatusOr<WeightChoice> Choice(const v1::LevelTable& table,
                                      const std::string& levels);

  const WorkerOptions options_;
  ArtifactCache& cache_;
  std::string model_hash_;
  std::string model_path_;
  std::unique_ptr<Evaluator> evaluator_;
  std::string table_sha256_;
  v1::LevelTable table_;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_TASK_RUNNER_H_
