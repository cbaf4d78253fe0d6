#include "quant/model_hash.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "search/sha256.h"

namespace evopress::quant {
namespace {

constexpr size_t kPieceBytes = size_t{1} << 20;

}  // namespace

absl::StatusOr<ModelFile> HashFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  }
  ModelFile file;
  file.name = path.substr(path.rfind('/') + 1);
  search::Sha256 hash;
  std::vector<char> piece(kPieceBytes);
  for (;;) {
    const ssize_t n = ::read(fd, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      ::close(fd);
      return absl::ErrnoToStatus(error, absl::StrCat("cannot read ", path));
    }
    if (n == 0) break;
    hash.Update(piece.data(), static_cast<size_t>(n));
    file.size += n;
  }
  ::close(fd);
  file.sha256 = search::ToHex(hash.Finish());
  return file;
}

std::string ModelManifest::CanonicalText() const {
  std::string text = "evopress model 1\n";
  for (const ModelFile& file : files) {
    absl::StrAppend(&text, file.sha256, " ", file.size, " ", file.name, "\n");
  }
  return text;
}

std::string ModelManifest::Hash() const {
  const std::string text = CanonicalText();
  return search::ToHex(search::Sha256Of(text.data(), text.size()));
}

absl::StatusOr<ModelManifest> MakeModelManifest(
    const std::vector<std::string>& paths) {
  ModelManifest manifest;
  for (const std::string& path : paths) {
    absl::StatusOr<ModelFile> file = HashFile(path);
    if (!file.ok()) return file.status();
    if (file->name.find('\n') != std::string::npos) {
      return absl::InvalidArgumentError("a file name has a newline");
    }
    manifest.files.push_back(*std::move(file));
  }
  std::sort(
      manifest.files.begin(), manifest.files.end(),
      [](const ModelFile& a, const ModelFile& b) { return a.name < b.name; });
  for (size_t i = 1; i < manifest.files.size(); ++i) {
    if (manifest.files[i - 1].name == manifest.files[i].name) {
      return absl::InvalidArgumentError(
          absl::StrCat("two files are named ", manifest.files[i].name));
    }
  }
  return manifest;
}

}  // namespace evopress::quant
