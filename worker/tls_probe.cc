#include "worker/tls_probe.h"

#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/loopback.h"

namespace evopress::worker {
namespace {

constexpr time_t kPatienceSeconds = 3;  // for each step
constexpr unsigned char kAlpn[] = {2, 'h', '2'};

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* session) const { SSL_free(session); }
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

// A connected socket or -1.
int Connect(const std::string& address) {
  const std::string host = proto::HostOf(address);
  const std::string port = address.substr(address.rfind(':') + 1);
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return -1;
  const std::unique_ptr<addrinfo, Free> list(found);
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    const int fd = ::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    const timeval patience = {kPatienceSeconds, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (::connect(fd, at->ai_addr, at->ai_addrlen) == 0) return fd;
    ::close(fd);
  }
  return -1;
}

// A session over a socket of its own.
class Probe {
 public:
  explicit Probe(const std::string& address) : fd_(Connect(address)) {
    context_.reset(SSL_CTX_new(TLS_client_method()));
  }
  ~Probe() {
    session_.reset();
    if (fd_ >= 0) ::close(fd_);
  }

  bool connected() const { return fd_ >= 0 && context_ != nullptr; }
  SSL_CTX* context() { return context_.get(); }
  SSL* session() { return session_.get(); }

  // Whether the handshake succeeds.
  bool Handshake(const std::string& host) {
    SSL_CTX_set_alpn_protos(context(), kAlpn, sizeof(kAlpn));
    session_.reset(SSL_new(context()));
    if (session_ == nullptr) return false;
    X509_VERIFY_PARAM* names = SSL_get0_param(session());
    if (X509_VERIFY_PARAM_set1_ip_asc(names, host.c_str()) != 1) {
      SSL_set1_host(session(), host.c_str());
      SSL_set_tlsext_host_name(session(), host.c_str());
    }
    SSL_set_fd(session(), fd_);
    ERR_clear_error();
    return SSL_connect(session()) == 1;
  }

 private:
  const int fd_;
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> session_;
};

absl::Status Refusal(const std::string& address, bool shows_certificate,
                     const char* why) {
  if (!shows_certificate) {
    return absl::UnauthenticatedError(
        absl::StrCat(address,
                     " wants a client certificate; give --tls-cert and "
                     "--tls-key (`evopressd certificate` makes them)"));
  }
  return absl::UnauthenticatedError(
      absl::StrCat(address, " refuses the client certificate: ", why,
                   "; is it expired, or of another authority?"));
}

// What the other side said as it closed, if it said something.
absl::Status FromAlert(const std::string& address, bool shows_certificate) {
  const unsigned long error = ERR_peek_last_error();
  const int alert = ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET;
  if (ERR_GET_LIB(error) != ERR_LIB_SSL || alert <= 0 || alert > 255) {
    return absl::OkStatus();
  }
  return Refusal(address, shows_certificate, SSL_alert_desc_string_long(alert));
}

// Aborted: the other side greeted and closed without a word.
absl::Status ProbeOnce(const std::string& address, const std::string& ca,
                       const std::string& certificate, const std::string& key) {
  Probe probe(address);
  if (!probe.connected()) return absl::OkStatus();
  SSL_CTX* context = probe.context();
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  const bool trusts = ca.empty()
                          ? SSL_CTX_set_default_verify_paths(context) == 1
                          : SSL_CTX_load_verify_file(context, ca.c_str()) == 1;
  if (!trusts) {
    ERR_clear_error();
    return absl::InvalidArgumentError(
        absl::StrCat("--tls-ca ", ca, " holds no certificate in PEM form"));
  }
  if (!certificate.empty() &&
      (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1 ||
       SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) !=
           1)) {
    ERR_clear_error();
    return absl::InvalidArgumentError(absl::StrCat(
        "--tls-cert ", certificate, " and --tls-key ", key,
        " are no certificate and key in PEM form that fit together"));
  }
  const std::string host = proto::HostOf(address);
  const bool greeted = probe.Handshake(host);
  absl::Status verdict;
  if (const long wrong = SSL_get_verify_result(probe.session());
      wrong != X509_V_OK) {
    verdict = absl::UnauthenticatedError(absl::StrCat(
        "the certificate of ", address,
        " is not trusted: ", X509_verify_cert_error_string(wrong),
        ca.empty() ? "; give --tls-ca (the coordinator's DATA/tls/ca.pem)"
                   : absl::StrCat("; is ", ca, " its authority, and ", host,
                                  " a name of it (--tls-name)?")));
  } else if (greeted) {
    // A server refuses a client's certificate after its own greeting.
    char byte;
    if (SSL_read(probe.session(), &byte, 1) <= 0) {
      verdict = ERR_GET_REASON(ERR_peek_last_error()) ==
                        SSL_R_UNEXPECTED_EOF_WHILE_READING
                    ? absl::AbortedError("closed after the greeting")
                    : FromAlert(address, !certificate.empty());
    }
  } else if (const int reason = ERR_GET_REASON(ERR_peek_last_error());
             reason == SSL_R_WRONG_VERSION_NUMBER ||
             reason == SSL_R_PACKET_LENGTH_TOO_LONG) {
    verdict = absl::FailedPreconditionError(
        absl::StrCat(address,
                     " does not speak TLS; in a network that you trust, give "
                     "--insecure (and no --tls-ca)"));
  } else {
    verdict = FromAlert(address, !certificate.empty());
  }
  ERR_clear_error();
  return verdict;
}

}  // namespace

bool SpeaksTls(const std::string& address) {
  Probe probe(address);
  if (!probe.connected()) return false;
  SSL_CTX_set_verify(probe.context(), SSL_VERIFY_NONE, nullptr);
  const bool greeted = probe.Handshake(proto::HostOf(address));
  ERR_clear_error();
  return greeted;
}

absl::Status ProbeTls(const std::string& address, const std::string& ca,
                      const std::string& certificate, const std::string& key) {
  // gRPC servers do not say that they refuse a certificate, they close. So does
  // one that is being stopped, but not three times.
  absl::Status verdict;
  for (int tries = 0; tries < 3; ++tries) {
    if (tries > 0) absl::SleepFor(absl::Milliseconds(300));
    verdict = ProbeOnce(address, ca, certificate, key);
    if (!absl::IsAborted(verdict)) return verdict;
  }
  return Refusal(address, !certificate.empty(), "it closes the connection");
}

}  // namespace evopress::worker
