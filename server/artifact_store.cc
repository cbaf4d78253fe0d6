#include "server/artifact_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/conversions.h"

namespace evopress::server {
namespace {

constexpr int64_t kHashChunkBytes = int64_t{1} << 20;

absl::Status ErrnoStatus(int error, const std::string& what,
                         const std::string& path) {
  const absl::Status status =
      absl::ErrnoToStatus(error, absl::StrCat(what, " ", path));
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    return absl::ResourceExhaustedError(status.message());
  }
  return status;
}

absl::Status MakeDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return ErrnoStatus(error.value(), "cannot make directory", path);
  return absl::OkStatus();
}

int64_t MtimeNanoseconds(const struct stat& info) {
  return int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
}

// Size of a regular file, -1 if there is none.
int64_t FileSize(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return -1;
  return info.st_size;
}

bool IsUnchanged(const LocalFileRecord& file) {
  struct stat info;
  return ::stat(file.path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         info.st_size == file.size && MtimeNanoseconds(info) == file.mtime_ns;
}

absl::Status SyncDirectory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "cannot open", path);
  const int synced = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  // Some network file systems cannot sync a directory and say EINVAL.
  if (synced != 0 && error != EINVAL) {
    return ErrnoStatus(error, "cannot sync", path);
  }
  return absl::OkStatus();
}

}  // namespace

ArtifactWriter::ArtifactWriter(int fd, const std::string& temporary,
                               const std::string& target,
                               const std::string& sha256, int64_t size)
    : fd_(fd),
      temporary_(temporary),
      target_(target),
      sha256_(sha256),
      expected_size_(size) {}

ArtifactWriter::~ArtifactWriter() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

absl::Status ArtifactWriter::Append(absl::string_view bytes) {
  size_ += static_cast<int64_t>(bytes.size());
  if (size_ > expected_size_) {
    return absl::DataLossError(
        absl::StrCat("artifact ", sha256_, " was announced with ",
                     expected_size_, " bytes, but more arrived"));
  }
  hash_.Update(bytes.data(), bytes.size());
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, "cannot write", temporary_);
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::Status ArtifactWriter::Commit() {
  if (size_ != expected_size_) {
    return absl::DataLossError(absl::StrCat("artifact ", sha256_, " has ",
                                            size_, " bytes instead of the ",
                                            expected_size_, " announced"));
  }
  const std::string actual = search::ToHex(hash_.Finish());
  if (actual != sha256_) {
    return absl::DataLossError(absl::StrCat("the bytes sent hash to ", actual,
                                            ", but ", sha256_,
                                            " was announced"));
  }
  if (::fsync(fd_) != 0) return ErrnoStatus(errno, "cannot sync", temporary_);
  if (::close(std::exchange(fd_, -1)) != 0) {
    return ErrnoStatus(errno, "cannot close", temporary_);
  }
  const std::string directory = target_.substr(0, target_.rfind('/'));
  absl::Status status = MakeDirectory(directory);
  if (!status.ok()) return status;
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) {
    return ErrnoStatus(errno, "cannot rename to", target_);
  }
  temporary_.clear();
  return SyncDirectory(directory);
}

ArtifactReader::~ArtifactReader() { ::close(fd_); }

absl::StatusOr<std::string> ArtifactReader::Read(int64_t offset,
                                                 int64_t limit) const {
  if (offset < 0 || limit < 0) {
    return absl::InvalidArgumentError("negative offset or limit");
  }
  std::string bytes(
      static_cast<size_t>(std::clamp<int64_t>(size_ - offset, 0, limit)), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::pread(fd_, &bytes[done], bytes.size() - done,
                              offset + static_cast<int64_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "cannot read", path_);
    if (n == 0) {
      return absl::DataLossError(absl::StrCat(path_, " shrank while read"));
    }
    done += static_cast<size_t>(n);
  }
  return bytes;
}

absl::StatusOr<std::unique_ptr<ArtifactStore>> ArtifactStore::Open(
    const std::string& dir, int64_t max_artifact_bytes) {
  const std::string temporary = absl::StrCat(dir, "/tmp");
  std::error_code error;
  std::filesystem::remove_all(temporary, error);
  absl::Status status = MakeDirectory(temporary);
  if (!status.ok()) return status;
  return std::unique_ptr<ArtifactStore>(
      new ArtifactStore(dir, max_artifact_bytes));
}

std::string ArtifactStore::PathOf(const std::string& sha256) const {
  return absl::StrCat(dir_, "/", sha256.substr(0, 2), "/", sha256);
}

int64_t ArtifactStore::Size(const std::string& sha256) const {
  const int64_t size = FileSize(PathOf(sha256));
  if (size >= 0) return size;
  MutexLock lock(mutex_);
  const auto it = local_files_.find(sha256);
  return it != local_files_.end() && IsUnchanged(it->second) ? it->second.size
                                                             : -1;
}

absl::StatusOr<std::unique_ptr<ArtifactWriter>> ArtifactStore::Create(
    const std::string& sha256, int64_t size) {
  if (!proto::IsSha256(sha256)) {
    return absl::InvalidArgumentError(
        "an artifact is named by 64 lower-case hex digits");
  }
  if (size < 0) {
    return absl::InvalidArgumentError(absl::StrCat("size_bytes is ", size));
  }
  if (size > max_artifact_bytes_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("artifact ", sha256, " has ", size,
                     " bytes, the limit is ", max_artifact_bytes_));
  }
  std::string temporary = absl::StrCat(dir_, "/tmp/", sha256, ".XXXXXX");
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "cannot create", temporary);
  ::fchmod(fd, 0644);
  return std::unique_ptr<ArtifactWriter>(
      new ArtifactWriter(fd, temporary, PathOf(sha256), sha256, size));
}

absl::StatusOr<std::string> ArtifactStore::Put(absl::string_view bytes) {
  const std::string sha256 = search::Sha256Hex(bytes);
  if (Has(sha256)) return sha256;
  auto writer = Create(sha256, static_cast<int64_t>(bytes.size()));
  if (!writer.ok()) return writer.status();
  absl::Status status = (*writer)->Append(bytes);
  if (status.ok()) status = (*writer)->Commit();
  if (!status.ok()) return status;
  return sha256;
}

absl::StatusOr<std::unique_ptr<ArtifactReader>> ArtifactStore::OpenForReading(
    const std::string& sha256) const {
  if (!proto::IsSha256(sha256)) {
    return absl::InvalidArgumentError(
        "an artifact is named by 64 lower-case hex digits");
  }
  std::string path = PathOf(sha256);
  if (FileSize(path) < 0) {
    MutexLock lock(mutex_);
    const auto it = local_files_.find(sha256);
    if (it == local_files_.end()) {
      return absl::NotFoundError(absl::StrCat("no artifact ", sha256));
    }
    if (!IsUnchanged(it->second)) {
      return absl::NotFoundError(
          absl::StrCat("artifact ", sha256, " was the file ", it->second.path,
                       ", which has been changed or removed since"));
    }
    path = it->second.path;
  }
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "cannot open", path);
  struct stat info;
  if (::fstat(fd, &info) != 0) {
    const int error = errno;
    ::close(fd);
    return ErrnoStatus(error, "cannot stat", path);
  }
  return std::unique_ptr<ArtifactReader>(
      new ArtifactReader(fd, path, info.st_size));
}

absl::StatusOr<std::string> ArtifactStore::ReadAll(const std::string& sha256,
                                                   int64_t limit) const {
  auto reader = OpenForReading(sha256);
  if (!reader.ok()) return reader.status();
  if ((*reader)->size() > limit) {
    return absl::ResourceExhaustedError(
        absl::StrCat("artifact ", sha256, " has ", (*reader)->size(),
                     " bytes, more than the ", limit, " expected"));
  }
  auto bytes = (*reader)->Read(0, limit);
  if (bytes.ok() && search::Sha256Hex(*bytes) != sha256) {
    return absl::DataLossError(
        absl::StrCat("artifact ", sha256, " is damaged on disk"));
  }
  return bytes;
}

absl::StatusOr<LocalFileRecord> ArtifactStore::HashLocalFile(
    const std::string& path) {
  std::error_code error;
  const std::string real = std::filesystem::canonical(path, error).string();
  if (error) return ErrnoStatus(error.value(), "cannot find", path);
  const int fd = ::open(real.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "cannot open", real);
  struct stat info;
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return absl::InvalidArgumentError(
        absl::StrCat(real, " is no regular file"));
  }
  const ArtifactReader reader(fd, real, info.st_size);
  search::Sha256 hash;
  for (int64_t offset = 0; offset < reader.size(); offset += kHashChunkBytes) {
    auto bytes = reader.Read(offset, kHashChunkBytes);
    if (!bytes.ok()) return bytes.status();
    hash.Update(bytes->data(), bytes->size());
  }
  LocalFileRecord file{search::ToHex(hash.Finish()), real, info.st_size,
                       MtimeNanoseconds(info)};
  if (!IsUnchanged(file)) {
    return absl::AbortedError(absl::StrCat(real, " changed while it was read"));
  }
  return file;
}

void ArtifactStore::AddLocalFile(const LocalFileRecord& file) {
  MutexLock lock(mutex_);
  local_files_[file.sha256] = file;
}

}  // namespace evopress::server
