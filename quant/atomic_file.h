// quant/atomic_file.h
// Files that are either whole or absent: written under a temporary name beside
// the target, synced, then renamed over it.

#ifndef EVOPRESS_QUANT_ATOMIC_FILE_H_
#define EVOPRESS_QUANT_ATOMIC_FILE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace evopress::quant {

// A file in the making. Append in order, then Commit once; a writer destroyed
// before that leaves no trace. Not thread-safe.
class AtomicFile {
 public:
  // Creates the temporary file. The directory of `path` must exist.
  static absl::StatusOr<std::unique_ptr<AtomicFile>> Create(
      const std::string& path);

  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  // ResourceExhausted, naming the path, when the disk or quota is full. After
  // an error, Append and Commit return that error again.
  absl::Status Append(absl::string_view bytes);

  // Bytes appended so far.
  int64_t size() const { return size_; }

  // Syncs the file, renames it over the target, syncs the directory.
  absl::Status Commit();

 private:
  AtomicFile(int fd, const std::string& path, const std::string& temporary);
  absl::Status Flush();

  int fd_;
  std::string path_;
  std::string temporary_;
  std::string buffer_;
  int64_t size_ = 0;
  absl::Status status_;
};

// Writes the concatenation of `spans` to `path`, atomically and durably. Same
// errors as AtomicFile. Concurrent writers of one path do not mix: the last to
// commit wins.
absl::Status WriteFileAtomically(const std::string& path,
                                 absl::Span<const absl::string_view> spans);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_ATOMIC_FILE_H_
