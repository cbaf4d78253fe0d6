// Artifacts of a coordinator as verified local files.
#ifndef EVOPRESS_CLIENT_ARTIFACT_SOURCE_H_
#define EVOPRESS_CLIENT_ARTIFACT_SOURCE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/export_input.h"
#include "worker/coordinator_link.h"

namespace evopress::client {

// `data_dir` of a coordinator in this process spares copies; it may be empty:
// then files are kept in the user's cache directory. The function returned may
// be copied and is thread-safe.
absl::StatusOr<FetchArtifact> OpenArtifacts(
    std::shared_ptr<worker::CoordinatorLink> link, const std::string& data_dir);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_ARTIFACT_SOURCE_H_
