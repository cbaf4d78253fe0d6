// How the addresses are served: in the clear where only this machine can come,
// over TLS elsewhere.
#ifndef EVOPRESS_SERVER_LISTENER_H_
#define EVOPRESS_SERVER_LISTENER_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/mutex.h"
#include "server/tls_identity.h"

namespace evopress::server {

struct TlsOptions {
  // The operator's own PEM files; empty: made in `dir` on first start.
  std::string certificate;
  std::string key;
  // Clients must show a certificate of this authority (mutual TLS).
  std::string client_ca;
  std::vector<std::string> names;  // further names of the made certificate
  // Addresses that other machines can reach are served in the clear too.
  bool insecure = false;
};

// The addresses and their credentials. While it lives, a certificate that is
// replaced on disk is taken over within a minute, and the made one is renewed
// in time, both without a restart.
class Listener {
 public:
  // Errors name the file or option. `dir` holds the made identity.
  static absl::StatusOr<std::unique_ptr<Listener>> Open(
      const TlsOptions& options, const std::string& dir,
      const std::vector<std::string>& listen);
  ~Listener();

  struct Served {
    std::unique_ptr<grpc::Server> server;
    std::vector<std::string> addresses;  // in their order, ports as bound
  };
  // Starts the server of `builder` on the addresses. Unavailable names the one
  // that cannot be listened on.
  absl::StatusOr<Served> Serve(grpc::ServerBuilder& builder) const;

 private:
  Listener(const TlsOptions& options, const std::string& dir,
           const std::vector<std::string>& listen)
      : options_(options), dir_(dir), listen_(listen) {}
  bool IsPlain(const std::string& address) const;
  std::shared_ptr<grpc::ServerCredentials> CredentialsFor(
      const std::string& address) const;
  absl::Status OpenTls();
  void RenewLoop();

  const TlsOptions options_;
  const std::string dir_;
  const std::vector<std::string> listen_;
  std::shared_ptr<grpc::ServerCredentials> tls_;
  Mutex mutex_;
  CondVar wake_;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread renewals_;
};

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_LISTENER_H_
