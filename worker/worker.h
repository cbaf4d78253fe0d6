// The worker: leases tasks from a coordinator, runs them on an evaluator and
// sends the results back. Used by `evopress-worker` and embedded by
// `evopress search`.
#ifndef EVOPRESS_WORKER_WORKER_H_
#define EVOPRESS_WORKER_WORKER_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "worker/coordinator_link.h"
#include "worker/evaluator.h"

namespace evopress::worker {

struct WorkerOptions {
  std::string worker_id;         // unique in the fleet, stable over restarts
  std::string cache_dir;         // artifacts by hash; made if missing
  std::string evaluator_binary;  // path of evopress-evaluator-cpu
  EvaluatorOptions evaluator;
  std::string version;
  std::string host;  // for people
  // Where to look for files by hash before downloading, e.g. the artifact
  // folder of a coordinator on this machine. May be empty.
  std::string local_artifact_dir;
};

// Works until `stop` becomes true, the coordinator drains this worker, or an
// error that no retry can heal. While the coordinator is away it goes on with
// what it holds, buffers results and reconnects with backoff. Returns OK after
// a stop or a drain; leases are released and finished results delivered.
absl::Status RunWorker(std::shared_ptr<CoordinatorLink> link,
                       const WorkerOptions& options,
                       const std::atomic<bool>& stop);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_WORKER_H_
