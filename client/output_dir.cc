#include "client/output_dir.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "quant/atomic_file.h"

namespace evopress::client {
namespace {

namespace fs = std::filesystem;

absl::Status Failed(const std::string& what, const std::error_code& error) {
  return absl::UnavailableError(absl::StrCat(what, ": ", error.message()));
}

// "a/b/" and "a/b" are the same directory.
std::string Normal(const std::string& path) {
  std::error_code error;
  fs::path normal = fs::absolute(path, error).lexically_normal();
  if (normal.filename().empty()) normal = normal.parent_path();
  return normal.string();
}

}  // namespace

absl::Status CheckOutputDir(const std::string& path, bool force) {
  std::error_code error;
  if (path.empty()) {
    return absl::InvalidArgumentError("the output directory has no name");
  }
  if (!fs::exists(path, error)) return absl::OkStatus();
  if (!fs::is_directory(path, error)) {
    return absl::AlreadyExistsError(
        absl::StrCat("output \"", path, "\" is a file; name a directory"));
  }
  if (fs::is_empty(path, error) && !error) return absl::OkStatus();
  if (!fs::exists(fs::path(path) / kRecipeFile, error)) {
    return absl::AlreadyExistsError(
        absl::StrCat("output directory \"", path,
                     "\" is not empty and was not written by evopress (no ",
                     kRecipeFile, "): choose another with --out"));
  }
  if (force) return absl::OkStatus();
  return absl::AlreadyExistsError(
      absl::StrCat("output directory \"", path,
                   "\" is not empty: choose another with --out, or replace "
                   "it with --force"));
}

OutputDir::OutputDir(std::string path, std::string temporary, bool force)
    : path_(std::move(path)), temporary_(std::move(temporary)), force_(force) {}

OutputDir::~OutputDir() {
  if (committed_) return;
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
}

absl::StatusOr<std::unique_ptr<OutputDir>> OutputDir::Create(
    const std::string& path, bool force) {
  if (absl::Status s = CheckOutputDir(path, force); !s.ok()) return s;
  const std::string normal = Normal(path);
  const std::string temporary = absl::StrCat(normal, ".tmp-", getpid());
  std::error_code error;
  fs::remove_all(temporary, error);
  fs::create_directories(temporary, error);
  if (error) return Failed(absl::StrCat("cannot make ", temporary), error);
  return std::unique_ptr<OutputDir>(new OutputDir(normal, temporary, force));
}

absl::Status OutputDir::Write(const std::string& name,
                              const std::string& bytes) {
  const absl::string_view view = bytes;
  return quant::WriteFileAtomically(absl::StrCat(temporary_, "/", name),
                                    absl::MakeConstSpan(&view, 1));
}

absl::Status OutputDir::Commit() {
  // Somebody may have filled it since Create().
  if (absl::Status s = CheckOutputDir(path_, force_); !s.ok()) return s;
  std::error_code error;
  const std::string old = absl::StrCat(path_, ".old-", getpid());
  const bool replaces = fs::exists(path_, error);
  if (replaces) {
    fs::rename(path_, old, error);
    if (error) return Failed(absl::StrCat("cannot replace ", path_), error);
  }
  fs::rename(temporary_, path_, error);
  if (error) {
    const absl::Status failed =
        Failed(absl::StrCat("cannot rename ", temporary_), error);
    if (replaces) fs::rename(old, path_, error);
    return failed;
  }
  committed_ = true;
  if (replaces) fs::remove_all(old, error);
  return absl::OkStatus();
}

}  // namespace evopress::client
