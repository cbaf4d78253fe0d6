#include "client/local_service.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "client/version.h"
#include "worker/available_cores.h"
#include "worker/worker.h"

namespace evopress::client {
namespace {

namespace fs = std::filesystem;

constexpr char kEvaluatorName[] = "evopress-evaluator-cpu";

std::string ThisExecutable() {
  std::error_code error;
  const fs::path path = fs::read_symlink("/proc/self/exe", error);
  return error ? std::string() : path.string();
}

}  // namespace

std::string DefaultDataDir() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && cache[0] == '/') {
    return absl::StrCat(cache, "/evopress");
  }
  const char* home = std::getenv("HOME");
  return absl::StrCat(home != nullptr ? home : "/tmp", "/.cache/evopress");
}

absl::StatusOr<std::string> FindEvaluator(const std::string& given) {
  std::vector<std::string> candidates;
  if (!given.empty()) {
    candidates.push_back(given);
  } else {
    const fs::path folder = fs::path(ThisExecutable()).parent_path();
    candidates.push_back((folder / kEvaluatorName).string());
    candidates.push_back((folder / ".." / "worker" / kEvaluatorName)
                             .lexically_normal()
                             .string());
  }
  for (const auto& candidate : candidates) {
    std::error_code error;
    if (fs::is_regular_file(candidate, error)) return candidate;
  }
  return absl::NotFoundError(
      absl::StrCat("no evaluator at ", absl::StrJoin(candidates, " or "),
                   "; name ", kEvaluatorName, " with --evaluator"));
}

absl::StatusOr<std::unique_ptr<LocalService>> LocalService::Start(
    const LocalServiceOptions& options) {
  std::unique_ptr<LocalService> service(new LocalService);
  service->options_ = options;
  if (service->options_.data_dir.empty()) {
    service->options_.data_dir = DefaultDataDir();
  }
  if (options.workers > 0) {
    auto evaluator = FindEvaluator(options.evaluator_binary);
    if (!evaluator.ok()) return evaluator.status();
    service->options_.evaluator_binary = *evaluator;
  }
  std::error_code error;
  fs::create_directories(service->options_.data_dir, error);
  if (error) {
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot make the data directory ", service->options_.data_dir, ": ",
        error.message(), "; choose another with --data"));
  }
  server::CoordinatorOptions coordinator;
  coordinator.data_dir = service->options_.data_dir;
  coordinator.local_roots = options.local_roots;
  coordinator.fleet_patience = absl::ZeroDuration();  // nobody else will come
  auto started = server::Coordinator::Start(coordinator);
  if (!started.ok()) return started.status();
  service->coordinator_ = *std::move(started);
  service->link_ = std::make_shared<worker::CoordinatorLink>(
      service->coordinator_->InProcessChannel());
  return service;
}

LocalService::~LocalService() {
  stop_ = true;
  for (auto& thread : threads_) thread.join();
  link_.reset();
  if (coordinator_ != nullptr) coordinator_->Shutdown(absl::Seconds(5));
}

absl::Status LocalService::Provide(ServiceClient& client,
                                   const std::vector<LocalArtifact>& artifacts,
                                   const std::atomic<bool>& stop) {
  std::vector<LocalArtifact> uploads;
  for (const auto& artifact : artifacts) {
    if (artifact.path.empty()) {
      uploads.push_back(artifact);
      continue;
    }
    auto sha256 = coordinator_->RegisterLocalFile(artifact.path);
    if (!sha256.ok()) return sha256.status();
    if (*sha256 != artifact.sha256) {
      return absl::DataLossError(absl::StrCat(
          artifact.path, " changed while it was read; run the command again"));
    }
  }
  return UploadMissing(client, uploads, stop, nullptr);
}

void LocalService::StartWorkers() {
  const int workers = std::max(1, options_.workers);
  const int cores =
      options_.threads > 0 ? options_.threads : worker::AvailableCores();
  {
    std::lock_guard<std::mutex> lock(mu_);
    running_ = workers;
  }
  for (int i = 0; i < workers; ++i) {
    worker::WorkerOptions options;
    options.worker_id = absl::StrCat("local-", i);
    options.cache_dir = absl::StrCat(options_.data_dir, "/worker-cache/", i);
    options.evaluator_binary = options_.evaluator_binary;
    options.evaluator.threads = std::max(1, cores / workers);
    options.evaluator.memory_bytes = options_.memory_bytes / workers;
    options.version = kVersion;
    options.host = "this process";
    options.local_artifact_dir = absl::StrCat(options_.data_dir, "/artifacts");
    threads_.emplace_back([this, options] {
      const absl::Status status = worker::RunWorker(link_, options, stop_);
      std::lock_guard<std::mutex> lock(mu_);
      --running_;
      if (!status.ok() && failure_.ok()) failure_ = status;
    });
  }
}

absl::Status LocalService::alive() const {
  std::lock_guard<std::mutex> lock(mu_);
  if (running_ > 0 || stop_) return absl::OkStatus();
  if (!failure_.ok()) {
    return absl::Status(failure_.code(), absl::StrCat("no worker is left: ",
                                                      failure_.message()));
  }
  return absl::AbortedError("every worker was drained");
}

}  // namespace evopress::client
