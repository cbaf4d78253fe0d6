#include "worker/worker.h"

#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "worker/artifact_cache.h"
#include "worker/rpc_retry.h"
#include "worker/session.h"
#include "worker/task_runner.h"

namespace evopress::worker {
namespace {

constexpr absl::Duration kLastDelivery = absl::Seconds(5);

const char* KindOf(const v1::Task& task) {
  return task.has_build() ? "build" : "evaluate";
}

}  // namespace

absl::Status RunWorker(std::shared_ptr<CoordinatorLink> link,
                       const WorkerOptions& options,
                       const std::atomic<bool>& stop) {
  absl::StatusOr<std::string> numeric_class =
      EvaluatorNumericClass(options.evaluator_binary);
  if (!numeric_class.ok()) return numeric_class.status();
  absl::StatusOr<std::unique_ptr<ArtifactCache>> cache = ArtifactCache::Open(
      options.cache_dir, options.local_artifact_dir, link, stop);
  if (!cache.ok()) return cache.status();

  v1::OpenSessionRequest identity;
  identity.set_worker_id(options.worker_id);
  identity.set_numeric_class(*numeric_class);
  identity.add_capabilities("evaluate");
  identity.add_capabilities("capture");
  identity.add_capabilities("drop");
  identity.add_capabilities("outer");
  identity.set_version(options.version);
  identity.set_host(options.host);
  Session session(link, identity, stop);
  TaskRunner runner(options, **cache);

  absl::Status ended = absl::OkStatus();
  for (;;) {
    absl::StatusOr<std::unique_ptr<Session::Work>> work = session.NextWork();
    if (!work.ok()) {
      if (!absl::IsCancelled(work.status())) ended = work.status();
      break;
    }
    if (*work == nullptr) break;  // drained
    const v1::Task& task = (*work)->lease.task();
    const absl::Time begin = SteadyNow();
    absl::StatusOr<v1::TaskResult> result =
        runner.Run(task, [&stop, &work](double done) {
          *(*work)->progress = done;
          return !stop && !*(*work)->cancelled;
        });
    const absl::Duration spent = SteadyNow() - begin;
    // What stopped us may have hit the evaluator, too: no fault of the task.
    if (stop && !result.ok()) result = absl::CancelledError("stopped");
    if (result.ok()) {
      spdlog::debug("{} task {:.12} done in {:.2f} s", KindOf(task), task.id(),
                    absl::ToDoubleSeconds(spent));
    } else if (!absl::IsCancelled(result.status())) {
      spdlog::warn("{} task {:.12} failed: {}", KindOf(task), task.id(),
                   result.status().ToString());
    }
    session.Complete(**work, std::move(result), spent);
  }
  session.Close(kLastDelivery);
  return ended;
}

}  // namespace evopress::worker
