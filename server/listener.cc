#include "server/listener.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/loopback.h"

namespace evopress::server {
namespace {

constexpr unsigned kLookSeconds = 30;  // at the files
constexpr absl::Duration kRenewalCheck = absl::Hours(6);

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> Listener::Open(
    const TlsOptions& options, const std::string& dir,
    const std::vector<std::string>& listen) {
  if (options.certificate.empty() != options.key.empty()) {
    return absl::InvalidArgumentError(
        "--tls-cert and --tls-key go together; give both or none");
  }
  std::unique_ptr<Listener> listener(new Listener(options, dir, listen));
  const bool all_plain = std::all_of(
      listen.begin(), listen.end(),
      [&](const std::string& address) { return listener->IsPlain(address); });
  if (all_plain) return listener;
  if (absl::Status s = listener->OpenTls(); !s.ok()) return s;
  return listener;
}

Listener::~Listener() {
  {
    MutexLock lock(mutex_);
    closing_ = true;
  }
  wake_.NotifyAll();
  if (renewals_.joinable()) renewals_.join();
}

bool Listener::IsPlain(const std::string& address) const {
  return options_.insecure || proto::IsLoopback(address);
}

std::shared_ptr<grpc::ServerCredentials> Listener::CredentialsFor(
    const std::string& address) const {
  return IsPlain(address) ? grpc::InsecureServerCredentials() : tls_;
}

absl::StatusOr<Listener::Served> Listener::Serve(
    grpc::ServerBuilder& builder) const {
  // Two servers on one port would each get half of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  std::vector<int> ports(listen_.size(), 0);
  for (size_t i = 0; i < listen_.size(); ++i) {
    builder.AddListeningPort(listen_[i], CredentialsFor(listen_[i]), &ports[i]);
  }
  Served served{builder.BuildAndStart(), {}};
  for (size_t i = 0; i < listen_.size(); ++i) {
    const std::string& asked = listen_[i];
    if (served.server == nullptr || ports[i] == 0) {
      return absl::UnavailableError(
          absl::StrCat("cannot listen on ", asked,
                       ": is the address in use, or not of this machine?"));
    }
    served.addresses.push_back(
        absl::StartsWith(asked, "unix:")
            ? asked
            : absl::StrCat(asked.substr(0, asked.rfind(':')), ":", ports[i]));
  }
  if (served.server == nullptr) {
    return absl::InternalError("the gRPC server does not start");
  }
  return served;
}

absl::Status Listener::OpenTls() {
  namespace tls = grpc::experimental;
  TlsFiles files{options_.certificate, options_.key, options_.client_ca};
  if (options_.certificate.empty()) {
    auto made = EnsureTlsIdentity(
        dir_, CertificateNames(listen_, options_.names), absl::Now());
    if (!made.ok()) return made.status();
    files.certificate = made->certificate;
    files.key = made->key;
    renewals_ = std::thread([this] { RenewLoop(); });
  }
  if (absl::Status s = CheckTlsFiles(files, absl::Now()); !s.ok()) return s;
  tls::TlsServerCredentialsOptions wanted(
      std::make_shared<tls::FileWatcherCertificateProvider>(
          files.key, files.certificate, files.client_ca, kLookSeconds));
  wanted.watch_identity_key_cert_pairs();
  if (!files.client_ca.empty()) {
    wanted.watch_root_certs();
    wanted.set_cert_request_type(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  } else {
    wanted.set_cert_request_type(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  }
  tls_ = tls::TlsServerCredentials(wanted);
  return absl::OkStatus();
}

void Listener::RenewLoop() {
  MutexLock lock(mutex_);
  absl::Time last = absl::Now();
  while (!closing_) {
    wake_.WaitFor(mutex_, absl::Minutes(1));
    if (closing_ || absl::Now() - last < kRenewalCheck) continue;
    last = absl::Now();
    auto renewed = EnsureTlsIdentity(
        dir_, CertificateNames(listen_, options_.names), absl::Now());
    if (!renewed.ok()) {
      spdlog::error("cannot renew the certificate: {}",
                    std::string(renewed.status().message()));
    }
  }
}

}  // namespace evopress::server
