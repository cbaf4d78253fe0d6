#include "client/artifact_source.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/interrupt.h"
#include "client/local_service.h"
#include "worker/artifact_cache.h"

namespace evopress::client {

absl::StatusOr<FetchArtifact> OpenArtifacts(
    std::shared_ptr<worker::CoordinatorLink> link,
    const std::string& data_dir) {
  const std::string base = data_dir.empty() ? DefaultDataDir() : data_dir;
  auto cache = worker::ArtifactCache::Open(
      absl::StrCat(base, "/client-cache"),
      data_dir.empty() ? "" : absl::StrCat(data_dir, "/artifacts"),
      std::move(link), Interrupted());
  if (!cache.ok()) return cache.status();
  const std::shared_ptr<worker::ArtifactCache> shared = *std::move(cache);
  return FetchArtifact(
      [shared](const std::string& sha256) { return shared->Fetch(sha256); });
}

}  // namespace evopress::client
