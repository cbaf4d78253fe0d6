// quant/mapped_file.h
// A whole file mapped read-only into memory.

#ifndef EVOPRESS_QUANT_MAPPED_FILE_H_
#define EVOPRESS_QUANT_MAPPED_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace evopress::quant {

// Immutable and thread-safe. The file must not shrink while it is mapped: the
// kernel answers reads past its new end with SIGBUS.
class MappedFile {
 public:
  // Maps a regular file; an empty one gives empty bytes(). NotFound,
  // PermissionDenied ... as the system says; InvalidArgument for directories
  // and devices.
  static absl::StatusOr<std::unique_ptr<MappedFile>> Open(
      const std::string& path);

  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  const std::string& path() const { return path_; }
  absl::Span<const uint8_t> bytes() const { return {data_, size_}; }

 private:
  MappedFile(const std::string& path, const uint8_t* data, size_t size);

  std::string path_;
  const uint8_t* data_;
  size_t size_;
};

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_MAPPED_FILE_H_
