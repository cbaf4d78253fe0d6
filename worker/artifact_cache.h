// A worker's local copies of artifacts, by hash: fetched from the coordinator
// when missing, verified before first use, and put there when made here.
#ifndef EVOPRESS_WORKER_ARTIFACT_CACHE_H_
#define EVOPRESS_WORKER_ARTIFACT_CACHE_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "evopress/v1/artifacts.pb.h"
#include "evopress/v1/tasks.pb.h"
#include "worker/coordinator_link.h"

namespace evopress::worker {

// Thread-safe. Several processes may share one directory: files appear under
// their final name complete or not at all.
class ArtifactCache {
 public:
  // `directory` is made if missing. `stop` ends retries early and must outlive
  // this. `local_artifact_dir` (may be empty) is a coordinator's artifact
  // folder on this machine: files found there are linked, not transferred.
  static absl::StatusOr<std::unique_ptr<ArtifactCache>> Open(
      const std::string& directory, const std::string& local_artifact_dir,
      std::shared_ptr<CoordinatorLink> link, const std::atomic<bool>& stop);

  // Path of a verified local copy. Unavailable if the coordinator stays away or
  // a disk is full, here or there: that says nothing of the work that asks for
  // it. NotFound if the coordinator has no such artifact.
  absl::StatusOr<std::string> Fetch(const std::string& sha256);

  // The bytes of a small artifact, verified.
  absl::StatusOr<std::string> Read(const std::string& sha256);

  // Stores `bytes` here and at the coordinator; returns their hash.
  absl::StatusOr<std::string> Put(const std::string& bytes);

  // A folder that holds the model's files under their own names; returns what
  // to open: the entry file, or the folder itself.
  absl::StatusOr<std::string> FetchModel(const v1::ModelRef& model);

  // Forgets a copy that turned out damaged, so that it is fetched again.
  void Drop(const std::string& sha256);

  // A path in this cache for a file that only this process uses.
  std::string ScratchPath(const std::string& name) const;

 private:
  ArtifactCache(std::string directory, std::string local_artifact_dir,
                std::shared_ptr<CoordinatorLink> link,
                const std::atomic<bool>& stop);

  std::string PathOf(const std::string& sha256) const;
  absl::Status LinkLocal(const std::string& sha256);
  absl::Status Download(const std::string& sha256);
  absl::Status Upload(const std::string& sha256, const std::string& bytes);

  const std::string directory_;
  const std::string local_artifact_dir_;
  const std::shared_ptr<CoordinatorLink> link_;
  const std::atomic<bool>& stop_;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_ARTIFACT_CACHE_H_
