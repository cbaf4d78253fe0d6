// The guard at the head of every handler: finds out who calls, whether the
// role allows the method, and whether the token's limits do.
//
// Who needs a token:
//   in process                     nobody
//   once the token file exists     everybody else, over loopback too
//   no token file, plaintext       nobody: loopback, sockets, or --insecure
//   no token file, TLS             a client certificate, if those are asked
//                                  for; else nobody gets in
#ifndef EVOPRESS_SERVER_ACCESS_H_
#define EVOPRESS_SERVER_ACCESS_H_

#include <grpcpp/grpcpp.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/mutex.h"
#include "server/token_table.h"

namespace evopress::server {

struct AccessOptions {
  std::string token_file;  // need not exist; read again when it changes
  // TLS connections have shown a certificate of the clients' authority.
  bool mutual_tls = false;
};

// The name and limits of who calls. No name: no token was needed.
struct Caller {
  std::string name;
  TokenLimits limits;
};

// Whether the call came through Coordinator::InProcessChannel().
bool IsInProcess(const grpc::ServerContextBase& context);

// Thread-safe.
class Access {
 public:
  // FailedPrecondition if there is a token file that cannot be used.
  static absl::StatusOr<std::unique_ptr<Access>> Open(
      const AccessOptions& options);

  // OK if this call may go on; `caller` is then filled in, if given. Else
  // UNAUTHENTICATED (no token, or one that is unknown or expired),
  // PERMISSION_DENIED naming the role that is needed, or RESOURCE_EXHAUSTED
  // saying when to come back (proto/retry_info.h). `method` is a full name,
  // "/evopress.v1.Jobs/GetJob".
  grpc::Status Check(const grpc::ServerContextBase& context,
                     absl::string_view method, Caller* caller = nullptr);

  // Takes `bytes` from what the caller may upload today.
  grpc::Status CheckUpload(const Caller& caller, int64_t bytes);

 private:
  // Fills up at a steady rate.
  struct Bucket {
    double level = 0;
    absl::Time at = absl::InfinitePast();
  };

  explicit Access(const AccessOptions& options) : options_(options) {}
  void Reload(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Zero if `amount` was there and is taken, else how long until it is.
  static absl::Duration Take(Bucket& bucket, double amount, double capacity,
                             double per_second, absl::Time now);

  const AccessOptions options_;
  Mutex mutex_;
  TokenTable table_ ABSL_GUARDED_BY(mutex_);
  bool has_table_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time looked_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  // Of the file as it was read last.
  int64_t mtime_ns_ ABSL_GUARDED_BY(mutex_) = 0;
  ino_t inode_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, Bucket> requests_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Bucket> uploads_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_ACCESS_H_
