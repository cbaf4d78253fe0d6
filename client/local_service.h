// A whole service in this process: one coordinator and some workers, each
// with its evaluator as a child process. What `evopress search` runs on.
#ifndef EVOPRESS_CLIENT_LOCAL_SERVICE_H_
#define EVOPRESS_CLIENT_LOCAL_SERVICE_H_

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/artifact_transfer.h"
#include "server/coordinator.h"
#include "worker/coordinator_link.h"

namespace evopress::client {

struct LocalServiceOptions {
  std::string data_dir;              // see DefaultDataDir()
  int workers = 1;                   // 0: only to read what earlier runs left
  int threads = 0;                   // of all workers together; 0: all cores
  int64_t memory_bytes = 4LL << 30;  // of all workers together
  std::string evaluator_binary;      // empty: beside this executable
  std::vector<std::string> local_roots;  // where model files lie
};

// $XDG_CACHE_HOME/evopress or ~/.cache/evopress.
std::string DefaultDataDir();

// `given` if not empty, else evopress-evaluator-cpu in the folder of this
// executable or in ../worker beside it (the build tree). NotFound tells both.
absl::StatusOr<std::string> FindEvaluator(const std::string& given);

// Thread-safe after Start. The destructor stops the workers, which release
// what they hold, and then the coordinator; the journal keeps everything.
class LocalService {
 public:
  static absl::StatusOr<std::unique_ptr<LocalService>> Start(
      const LocalServiceOptions& options);
  ~LocalService();

  std::shared_ptr<worker::CoordinatorLink> link() { return link_; }

  // Makes the artifacts known: files in place, bytes as uploads.
  absl::Status Provide(ServiceClient& client,
                       const std::vector<LocalArtifact>& artifacts,
                       const std::atomic<bool>& stop);

  // Starts the workers. Call once.
  void StartWorkers();

  // Not OK, naming the reason, once no worker is left to do the work.
  absl::Status alive() const;

  const std::string& data_dir() const { return options_.data_dir; }

 private:
  LocalService() = default;

  LocalServiceOptions options_;
  std::unique_ptr<server::Coordinator> coordinator_;
  std::shared_ptr<worker::CoordinatorLink> link_;
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
  mutable std::mutex mu_;
  int running_ = 0;       // guarded by mu_
  absl::Status failure_;  // guarded by mu_; of the worker that ended first
};

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_LOCAL_SERVICE_H_
