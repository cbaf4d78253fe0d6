// Files named by the SHA-256 of their bytes: <dir>/<first two digits>/<sha>.
//
// An artifact is whole or absent: it is written to <dir>/tmp, hashed on the
// way, synced and renamed. Files elsewhere on this machine can be artifacts in
// place (local files); their size and modification time are checked at every
// use, so a changed file counts as absent.
#ifndef EVOPRESS_SERVER_ARTIFACT_STORE_H_
#define EVOPRESS_SERVER_ARTIFACT_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "search/sha256.h"
#include "server/artifact_set.h"
#include "server/journal.h"
#include "server/mutex.h"

namespace evopress::server {

class ArtifactStore;

// One upload; destroyed before Commit it leaves no trace. Not thread-safe.
class ArtifactWriter {
 public:
  ~ArtifactWriter();
  ArtifactWriter(const ArtifactWriter&) = delete;
  ArtifactWriter& operator=(const ArtifactWriter&) = delete;

  // ResourceExhausted naming the path if the disk is full; DataLoss once the
  // bytes exceed the announced size.
  absl::Status Append(absl::string_view bytes);
  // DataLoss unless size and hash are as announced; nothing is stored then.
  absl::Status Commit();

 private:
  friend class ArtifactStore;
  ArtifactWriter(int fd, const std::string& temporary,
                 const std::string& target, const std::string& sha256,
                 int64_t size);

  int fd_;
  std::string temporary_;
  const std::string target_;
  const std::string sha256_;
  const int64_t expected_size_;
  int64_t size_ = 0;
  search::Sha256 hash_;
};

// Reads one artifact; stays readable if the artifact is removed meanwhile.
class ArtifactReader {
 public:
  ~ArtifactReader();
  ArtifactReader(const ArtifactReader&) = delete;
  ArtifactReader& operator=(const ArtifactReader&) = delete;

  int64_t size() const { return size_; }
  // Up to `limit` bytes from `offset`; fewer only at the end.
  absl::StatusOr<std::string> Read(int64_t offset, int64_t limit) const;

 private:
  friend class ArtifactStore;
  ArtifactReader(int fd, const std::string& path, int64_t size)
      : fd_(fd), path_(path), size_(size) {}

  const int fd_;
  const std::string path_;
  const int64_t size_;
};

// Thread-safe.
class ArtifactStore : public ArtifactSet {
 public:
  // Makes `dir` if missing and removes what interrupted uploads left behind.
  // No other process may use `dir`.
  static absl::StatusOr<std::unique_ptr<ArtifactStore>> Open(
      const std::string& dir, int64_t max_artifact_bytes);

  int64_t Size(const std::string& sha256) const override;

  // InvalidArgument for a malformed hash or a negative size,
  // ResourceExhausted above the size limit.
  absl::StatusOr<std::unique_ptr<ArtifactWriter>> Create(
      const std::string& sha256, int64_t size);
  absl::StatusOr<std::string> Put(absl::string_view bytes) override;

  // NotFound if absent.
  absl::StatusOr<std::unique_ptr<ArtifactReader>> OpenForReading(
      const std::string& sha256) const;
  // ResourceExhausted if larger than `limit`; DataLoss if damaged.
  absl::StatusOr<std::string> ReadAll(const std::string& sha256,
                                      int64_t limit) const;

  // Hashes a file in place. The caller journals it, then calls AddLocalFile.
  static absl::StatusOr<LocalFileRecord> HashLocalFile(const std::string& path);
  void AddLocalFile(const LocalFileRecord& file) override;

 private:
  ArtifactStore(const std::string& dir, int64_t max_artifact_bytes)
      : dir_(dir), max_artifact_bytes_(max_artifact_bytes) {}
  std::string PathOf(const std::string& sha256) const;

  const std::string dir_;
  const int64_t max_artifact_bytes_;
  mutable Mutex mutex_;
  std::map<std::string, LocalFileRecord> local_files_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_ARTIFACT_STORE_H_
