// Small files that are replaced as a whole and that only their owner may read.
#ifndef EVOPRESS_SERVER_SECRET_FILE_H_
#define EVOPRESS_SERVER_SECRET_FILE_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace evopress::server {

// Writes beside `path`, syncs and renames: readers see the old or the new
// content. Errors name the path, never the content.
absl::Status ReplaceFile(const std::string& path, const std::string& content,
                         mode_t mode);

// NotFound if there is no such file; ResourceExhausted above `limit` bytes.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path,
                                          size_t limit = 1 << 20);

// FailedPrecondition if others than the owner may read or write `path`.
absl::Status CheckIsPrivate(const std::string& path);

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_SECRET_FILE_H_
