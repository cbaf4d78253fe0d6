// What the scheduler needs of the artifacts: whether they are there, and a
// place for the level tables that it makes. Implementations: ArtifactStore,
// and the memory of a simulation.
#ifndef EVOPRESS_SERVER_ARTIFACT_SET_H_
#define EVOPRESS_SERVER_ARTIFACT_SET_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/journal.h"

namespace evopress::server {

// Thread-safe.
class ArtifactSet {
 public:
  virtual ~ArtifactSet() = default;

  // Bytes of the artifact, -1 if absent. REQUIRES: `sha256` is well-formed.
  virtual int64_t Size(const std::string& sha256) const = 0;
  bool Has(const std::string& sha256) const { return Size(sha256) >= 0; }

  // Stores `bytes` durably and returns their hash; ResourceExhausted if the
  // disk is full.
  virtual absl::StatusOr<std::string> Put(absl::string_view bytes) = 0;

  // A file elsewhere that is an artifact in place. The caller has journaled it.
  virtual void AddLocalFile(const LocalFileRecord& file) = 0;
};

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_ARTIFACT_SET_H_
