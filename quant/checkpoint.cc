#include "quant/checkpoint.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "quant/gguf_checkpoint.h"
#include "quant/hf_checkpoint.h"

namespace evopress::quant {

absl::StatusOr<std::unique_ptr<Checkpoint>> Checkpoint::Open(
    const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  }
  if (S_ISDIR(info.st_mode)) {
    absl::StatusOr<std::unique_ptr<HfCheckpoint>> directory =
        HfCheckpoint::Open(path);
    if (!directory.ok()) return directory.status();
    return *std::move(directory);
  }
  absl::StatusOr<std::unique_ptr<GgufCheckpoint>> gguf =
      GgufCheckpoint::Open(path);
  if (!gguf.ok()) return gguf.status();
  return *std::move(gguf);
}

const TensorInfo* Checkpoint::Find(const std::string& name) const {
  const std::vector<TensorInfo>& all = tensors();
  const auto found =
      std::lower_bound(all.begin(), all.end(), name,
                       [](const TensorInfo& info, const std::string& n) {
                         return info.name < n;
                       });
  return found != all.end() && found->name == name ? &*found : nullptr;
}

}  // namespace evopress::quant
