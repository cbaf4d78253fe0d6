// Brings a job's files to the coordinator: those it lacks, and only those.
#ifndef EVOPRESS_CLIENT_ARTIFACT_TRANSFER_H_
#define EVOPRESS_CLIENT_ARTIFACT_TRANSFER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/service_client.h"

namespace evopress::client {

// A file of this machine (`path`), or bytes in memory (`path` empty).
struct LocalArtifact {
  std::string sha256;
  int64_t size_bytes = 0;
  std::string path;
  std::string bytes;
  std::string label;  // for people, e.g. "model.gguf"
};

// Bytes sent, bytes to send in all, label of the artifact under way.
using TransferProgress =
    std::function<void(int64_t, int64_t, const std::string&)>;

// Asks which are absent, then streams those. Each upload that breaks off is
// begun anew a few times. DataLoss, naming the file, if it has changed since
// it was hashed; Cancelled once `stop` is true.
absl::Status UploadMissing(ServiceClient& client,
                           const std::vector<LocalArtifact>& artifacts,
                           const std::atomic<bool>& stop,
                           const TransferProgress& progress);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_ARTIFACT_TRANSFER_H_
