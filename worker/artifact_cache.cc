#include "worker/artifact_cache.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "proto/conversions.h"
#include "quant/atomic_file.h"
#include "quant/model_hash.h"
#include "search/digest.h"
#include "worker/rpc_retry.h"

namespace evopress::worker {
namespace {

namespace fs = std::filesystem;

constexpr size_t kChunkBytes = 1 << 20;
constexpr absl::Duration kTransferDeadline = absl::Minutes(30);
constexpr absl::Duration kPatience = absl::Minutes(10);

// Of a task ResourceExhausted says that it needs more memory than there is. A
// full disk is another matter: it may heal, and other workers may have room.
absl::Status NotOfMemory(const absl::Status& status) {
  return absl::IsResourceExhausted(status)
             ? absl::UnavailableError(status.message())
             : status;
}

absl::Status ErrnoStatus(const std::string& what) {
  const int error = errno;
  const std::string message = absl::StrCat(what, ": ", std::strerror(error));
  return error == ENOSPC || error == EDQUOT
             ? absl::ResourceExhaustedError(message)
             : absl::InternalError(message);
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::NotFoundError(absl::StrCat("cannot open ", path));
  std::ostringstream bytes;
  bytes << in.rdbuf();
  if (in.bad()) return absl::DataLossError(absl::StrCat("cannot read ", path));
  return std::move(bytes).str();
}

absl::Status VerifyFile(const std::string& path, const std::string& sha256) {
  absl::StatusOr<quant::ModelFile> file = quant::HashFile(path);
  if (!file.ok()) return file.status();
  if (file->sha256 == sha256) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(
      path, " should have SHA-256 ", sha256, " but has ", file->sha256));
}

}  // namespace

ArtifactCache::ArtifactCache(std::string directory,
                             std::string local_artifact_dir,
                             std::shared_ptr<CoordinatorLink> link,
                             const std::atomic<bool>& stop)
    : directory_(std::move(directory)),
      local_artifact_dir_(std::move(local_artifact_dir)),
      link_(std::move(link)),
      stop_(stop) {}

absl::StatusOr<std::unique_ptr<ArtifactCache>> ArtifactCache::Open(
    const std::string& directory, const std::string& local_artifact_dir,
    std::shared_ptr<CoordinatorLink> link, const std::atomic<bool>& stop) {
  std::error_code error;
  for (const char* child : {"blobs", "models", "scratch"}) {
    fs::create_directories(fs::path(directory) / child, error);
    if (error) {
      return absl::PermissionDeniedError(absl::StrCat(
          "cannot make cache folder ", directory, ": ", error.message()));
    }
  }
  return std::unique_ptr<ArtifactCache>(
      new ArtifactCache(directory, local_artifact_dir, std::move(link), stop));
}

std::string ArtifactCache::PathOf(const std::string& sha256) const {
  return absl::StrCat(directory_, "/blobs/", sha256);
}

std::string ArtifactCache::ScratchPath(const std::string& name) const {
  return absl::StrCat(directory_, "/scratch/", getpid(), "-", name);
}

absl::StatusOr<std::string> ArtifactCache::Fetch(const std::string& sha256) {
  if (!proto::IsSha256(sha256)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", sha256, "\" is not an artifact hash"));
  }
  const std::string path = PathOf(sha256);
  if (fs::exists(path)) return path;
  if (LinkLocal(sha256).ok()) return path;
  if (absl::Status status = Download(sha256); !status.ok()) {
    return NotOfMemory(status);
  }
  return path;
}

absl::StatusOr<std::string> ArtifactCache::Read(const std::string& sha256) {
  absl::StatusOr<std::string> path = Fetch(sha256);
  if (!path.ok()) return path.status();
  absl::StatusOr<std::string> bytes = ReadFile(*path);
  if (!bytes.ok()) return bytes;
  if (search::Sha256Hex(*bytes) != sha256) {
    Drop(sha256);
    return absl::UnavailableError(
        absl::StrCat("cached artifact ", *path,
                     " is damaged; it was removed and will be fetched again"));
  }
  return bytes;
}

absl::Status ArtifactCache::LinkLocal(const std::string& sha256) {
  if (local_artifact_dir_.empty()) return absl::NotFoundError("no local store");
  const std::string source =
      absl::StrCat(local_artifact_dir_, "/", sha256.substr(0, 2), "/", sha256);
  if (!fs::exists(source)) return absl::NotFoundError(source);
  if (absl::Status status = VerifyFile(source, sha256); !status.ok()) {
    return status;
  }
  if (link(source.c_str(), PathOf(sha256).c_str()) != 0 && errno != EEXIST) {
    return ErrnoStatus(absl::StrCat("linking ", source));
  }
  return absl::OkStatus();
}

absl::Status ArtifactCache::Download(const std::string& sha256) {
  const std::string temporary =
      ScratchPath(absl::StrCat(sha256, "-", absl::ToUnixNanos(absl::Now())));
  absl::Status local = absl::OkStatus();
  absl::Status status = CallWithRetry(
      [&](grpc::ClientContext* context) {
        std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
        v1::DownloadArtifactRequest request;
        request.set_sha256(sha256);
        auto reader = link_->artifacts().DownloadArtifact(context, request);
        v1::DownloadArtifactResponse response;
        while (reader->Read(&response)) {
          out.write(response.data().data(),
                    static_cast<std::streamsize>(response.data().size()));
          if (!out) {
            local = ErrnoStatus(absl::StrCat("writing ", temporary));
            context->TryCancel();
            break;
          }
        }
        grpc::Status result = reader->Finish();
        link_->Heed(result);
        out.close();
        if (local.ok() && result.ok() && !out) {
          local = ErrnoStatus(absl::StrCat("writing ", temporary));
        }
        return result;
      },
      kTransferDeadline, kPatience, stop_);
  if (!local.ok()) status = local;
  if (status.ok()) status = VerifyFile(temporary, sha256);
  std::error_code error;
  if (status.ok()) {
    fs::rename(temporary, PathOf(sha256), error);
    if (error) {
      status = absl::InternalError(
          absl::StrCat("cannot place ", PathOf(sha256), ": ", error.message()));
    }
  }
  if (!status.ok()) fs::remove(temporary, error);
  return status;
}

absl::Status ArtifactCache::Upload(const std::string& sha256,
                                   const std::string& bytes) {
  return CallWithRetry(
      [&](grpc::ClientContext* context) {
        v1::UploadArtifactResponse response;
        auto writer = link_->artifacts().UploadArtifact(context, &response);
        v1::UploadArtifactRequest request;
        request.mutable_header()->set_sha256(sha256);
        request.mutable_header()->set_size_bytes(
            static_cast<int64_t>(bytes.size()));
        bool open = writer->Write(request);
        for (size_t at = 0; open && at < bytes.size(); at += kChunkBytes) {
          request.set_data(bytes.substr(at, kChunkBytes));
          open = writer->Write(request);
        }
        writer->WritesDone();
        const grpc::Status result = writer->Finish();
        link_->Heed(result);
        return result;
      },
      kTransferDeadline, kPatience, stop_);
}

absl::StatusOr<std::string> ArtifactCache::Put(const std::string& bytes) {
  const std::string sha256 = search::Sha256Hex(bytes);
  const std::string path = PathOf(sha256);
  if (!fs::exists(path)) {
    if (absl::Status status = quant::WriteFileAtomically(path, {bytes});
        !status.ok()) {
      return NotOfMemory(status);
    }
  }
  if (absl::Status status = Upload(sha256, bytes); !status.ok()) {
    return NotOfMemory(status);
  }
  return sha256;
}

absl::StatusOr<std::string> ArtifactCache::FetchModel(
    const v1::ModelRef& model) {
  if (absl::Status status = proto::Validate(model); !status.ok()) return status;
  const fs::path folder = fs::path(directory_) / "models" / model.hash();
  std::error_code error;
  fs::create_directories(folder, error);
  for (const v1::ModelRef::File& file : model.files()) {
    const fs::path place = folder / file.name();
    if (fs::exists(place)) continue;
    absl::StatusOr<std::string> path = Fetch(file.sha256());
    if (!path.ok()) {
      return absl::Status(path.status().code(),
                          absl::StrCat("model file ", file.name(), ": ",
                                       path.status().message()));
    }
    if (link(path->c_str(), place.c_str()) != 0 && errno != EEXIST) {
      return NotOfMemory(ErrnoStatus(absl::StrCat("linking ", place.string())));
    }
  }
  return model.entry().empty() ? folder.string()
                               : (folder / model.entry()).string();
}

void ArtifactCache::Drop(const std::string& sha256) {
  std::error_code ignored;
  fs::remove(PathOf(sha256), ignored);
}

}  // namespace evopress::worker
