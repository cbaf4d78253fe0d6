#include "server/secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"

namespace evopress::server {
namespace {

absl::Status Errno(const char* what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat(what, " ", path));
}

absl::Status WriteAndSync(int fd, const std::string& path,
                          const std::string& content, mode_t mode) {
  if (::fchmod(fd, mode) != 0) return Errno("cannot set the mode of", path);
  for (size_t done = 0; done < content.size();) {
    const ssize_t n = ::write(fd, content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Errno("cannot write", path);
    done += static_cast<size_t>(n);
  }
  if (::fsync(fd) != 0) return Errno("cannot sync", path);
  return absl::OkStatus();
}

}  // namespace

absl::Status ReplaceFile(const std::string& path, const std::string& content,
                         mode_t mode) {
  std::string temporary = absl::StrCat(path, ".XXXXXX");
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);  // mode 0600
  if (fd < 0) return Errno("cannot write", path);
  absl::Status status = WriteAndSync(fd, path, content, mode);
  ::close(fd);
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) {
    status = Errno("cannot replace", path);
  }
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  const size_t slash = path.rfind('/');
  const std::string folder =
      slash == path.npos ? "." : path.substr(0, std::max<size_t>(slash, 1));
  const int directory =
      ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    ::fsync(directory);
    ::close(directory);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path,
                                          size_t limit) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Errno("cannot open", path);
  std::string content(limit + 1, '\0');
  size_t size = 0;
  while (size < content.size()) {
    const ssize_t n = ::read(fd, &content[size], content.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      absl::Status status = Errno("cannot read", path);
      ::close(fd);
      return status;
    }
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  ::close(fd);
  if (size > limit) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, " has more than ", limit, " bytes"));
  }
  content.resize(size);
  return content;
}

absl::Status CheckIsPrivate(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return Errno("cannot find", path);
  if ((info.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " can be used by others than its owner; run chmod 600 ", path));
  }
  return absl::OkStatus();
}

}  // namespace evopress::server
