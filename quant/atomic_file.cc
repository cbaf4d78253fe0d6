#include "quant/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"

namespace evopress::quant {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;

absl::Status ErrnoStatus(int error, const std::string& what,
                         const std::string& path) {
  const absl::Status status =
      absl::ErrnoToStatus(error, absl::StrCat(what, " ", path));
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    return absl::ResourceExhaustedError(status.message());
  }
  return status;
}

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status WriteAll(int fd, absl::string_view bytes,
                      const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, "cannot write", path);
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

}  // namespace

AtomicFile::AtomicFile(int fd, const std::string& path,
                       const std::string& temporary)
    : fd_(fd), path_(path), temporary_(temporary) {}

absl::StatusOr<std::unique_ptr<AtomicFile>> AtomicFile::Create(
    const std::string& path) {
  std::string temporary = absl::StrCat(path, ".tmp.XXXXXX");
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "cannot create a file for", path);
  // mkostemp makes files private; finished artifacts are shared as usual.
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(fd, 0666 & ~mask);
  return std::unique_ptr<AtomicFile>(new AtomicFile(fd, path, temporary));
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

absl::Status AtomicFile::Append(absl::string_view bytes) {
  if (!status_.ok()) return status_;
  if (fd_ < 0) return absl::FailedPreconditionError("already committed");
  size_ += static_cast<int64_t>(bytes.size());
  if (buffer_.size() + bytes.size() <= kBufferBytes) {
    buffer_.append(bytes.data(), bytes.size());
    return absl::OkStatus();
  }
  status_ = Flush();
  if (status_.ok() && bytes.size() > kBufferBytes) {
    status_ = WriteAll(fd_, bytes, path_);
  } else if (status_.ok()) {
    buffer_.assign(bytes.data(), bytes.size());
  }
  return status_;
}

absl::Status AtomicFile::Flush() {
  const absl::Status status = WriteAll(fd_, buffer_, path_);
  buffer_.clear();
  return status;
}

absl::Status AtomicFile::Commit() {
  if (!status_.ok()) return status_;
  if (fd_ < 0) return absl::FailedPreconditionError("already committed");
  status_ = Flush();
  if (!status_.ok()) return status_;
  if (::fsync(fd_) != 0) {
    return status_ = ErrnoStatus(errno, "cannot sync", path_);
  }
  const int closed = ::close(std::exchange(fd_, -1));
  if (closed != 0) return status_ = ErrnoStatus(errno, "cannot close", path_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return status_ = ErrnoStatus(errno, "cannot rename to", path_);
  }
  temporary_.clear();
  const std::string directory = DirectoryOf(path_);
  const int directory_fd =
      ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_fd < 0) {
    return status_ = ErrnoStatus(errno, "cannot open", directory);
  }
  const int synced = ::fsync(directory_fd);
  const int error = errno;
  ::close(directory_fd);
  // Some network file systems cannot sync a directory and say EINVAL.
  if (synced != 0 && error != EINVAL) {
    return status_ = ErrnoStatus(error, "cannot sync", directory);
  }
  return absl::OkStatus();
}

absl::Status WriteFileAtomically(const std::string& path,
                                 absl::Span<const absl::string_view> spans) {
  absl::StatusOr<std::unique_ptr<AtomicFile>> file = AtomicFile::Create(path);
  if (!file.ok()) return file.status();
  for (const absl::string_view span : spans) {
    const absl::Status status = (*file)->Append(span);
    if (!status.ok()) return status;
  }
  return (*file)->Commit();
}

}  // namespace evopress::quant
