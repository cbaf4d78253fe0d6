// X.509 certificates on EC P-256, made with OpenSSL: a private authority, and
// what it signs for servers and clients. Everything is PEM text.
#ifndef EVOPRESS_SERVER_CERTIFICATE_H_
#define EVOPRESS_SERVER_CERTIFICATE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace evopress::server {

struct CertifiedKey {
  std::string certificate;
  std::string key;  // PKCS #8, not encrypted: a secret
};

struct CertificateRequest {
  enum class Use { kServer, kClient };
  Use use = Use::kServer;
  std::string subject;             // common name, up to 64 bytes
  std::vector<std::string> names;  // DNS names and literal IP addresses
  absl::Time from;
  absl::Time until;
};

// What an existing certificate says.
struct CertificateFacts {
  std::vector<std::string> names;  // sorted DNS names and IP addresses
  absl::Time from;
  absl::Time until;
};

absl::StatusOr<CertifiedKey> MakeAuthority(const std::string& subject,
                                           absl::Time from, absl::Time until);

// InvalidArgument if authority or request are not usable.
absl::StatusOr<CertifiedKey> SignCertificate(const CertifiedKey& authority,
                                             const CertificateRequest& request);

// Of the first certificate in `pem`. InvalidArgument if there is none.
absl::StatusOr<CertificateFacts> ReadCertificate(const std::string& pem);

// InvalidArgument unless `key` is the private key of the first certificate.
absl::Status CheckKeyFits(const std::string& certificate,
                          const std::string& key);

// InvalidArgument unless `certificate` is signed by `authority`.
absl::Status CheckSignedBy(const std::string& certificate,
                           const std::string& authority);

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_CERTIFICATE_H_
