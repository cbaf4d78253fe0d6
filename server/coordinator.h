// The coordinator: journal, artifact store, scheduler and gRPC services in
// one object, used by `evopressd` and embedded by `evopress search`.
#ifndef EVOPRESS_SERVER_COORDINATOR_H_
#define EVOPRESS_SERVER_COORDINATOR_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/journal.h"
#include "server/listener.h"

namespace evopress::server {

struct CoordinatorOptions {
  std::string data_dir;  // journal.sqlite, artifacts/, tls/; made if missing
  std::string artifacts_dir;  // empty: DATA/artifacts
  // Empty: DATA/journal.sqlite.
  std::function<absl::StatusOr<std::unique_ptr<Journal>>()> open_journal;
  // "host:port" or "unix:PATH"; port 0 picks a free one. May be empty: then
  // only the in-process channel serves.
  std::vector<std::string> listen;
  TlsOptions tls;          // of the addresses that other machines can reach
  std::string token_file;  // server/access.h; empty: DATA/tokens.json
  absl::Duration heartbeat_interval = absl::Seconds(5);  // lease = 3 of them
  // How long a task that fails on the only worker waits for another one before
  // it fails the job.
  absl::Duration fleet_patience = absl::Minutes(1);
  int64_t max_artifact_bytes = 64LL << 30;
  std::string metrics;  // host:port of Prometheus metrics; empty: none
  // Directories below which RegisterLocalFile may refer to files in place.
  std::vector<std::string> local_roots;
};

// Thread-safe. Destruction stops serving; everything told is in the journal.
class Coordinator {
 public:
  // Opens or makes the data directory (an exclusive lock guards it:
  // FailedPrecondition names the holder), replays unfinished jobs, serves.
  static absl::StatusOr<std::unique_ptr<Coordinator>> Start(
      const CoordinatorOptions& options);
  virtual ~Coordinator() = default;

  // Addresses actually bound, in the order of `listen`.
  virtual std::vector<std::string> addresses() const = 0;

  // Port of the metrics, as bound; 0 if there are none.
  virtual int metrics_port() const = 0;

  // The same services without a socket, for the embedding process.
  virtual std::shared_ptr<grpc::Channel> InProcessChannel() = 0;

  // Makes a file of this machine an artifact without copying it; it is hashed
  // now and its size and mtime are checked at every use. Returns its SHA-256.
  virtual absl::StatusOr<std::string> RegisterLocalFile(
      const std::string& path) = 0;

  // Answers long polls, stops accepting work, flushes. Idempotent.
  virtual void Shutdown(absl::Duration deadline) = 0;
};

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_COORDINATOR_H_
