// Who a coordinator is over TLS: its own private authority and certificate,
// made on first start, or files of the operator.
//
//   DIR/ca.pem       the authority's certificate: what clients trust
//   DIR/ca-key.pem   its key (0600)
//   DIR/server.pem   the server's certificate and key in one file (0600), so
//                    that replacing it is atomic
#ifndef EVOPRESS_SERVER_TLS_IDENTITY_H_
#define EVOPRESS_SERVER_TLS_IDENTITY_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/certificate.h"

namespace evopress::server {

// Paths of PEM files; certificate and key may be in one file.
struct TlsFiles {
  std::string certificate;
  std::string key;
  std::string client_ca;  // empty: clients need no certificate
};

// Names that a certificate for these listen addresses needs: their hosts, this
// host's name, and, for an address of all interfaces, each of theirs; besides
// `extra`, localhost and the loopback addresses. Sorted.
std::vector<std::string> CertificateNames(
    const std::vector<std::string>& listen,
    const std::vector<std::string>& extra);

// Makes the authority (ten years) if DIR has none, and a server certificate
// (one year) if there is none, if less than a third of its life is left, or if
// it lacks one of `names`. FailedPrecondition if the authority's files do not
// fit together or it has expired.
absl::StatusOr<TlsFiles> EnsureTlsIdentity(
    const std::string& dir, const std::vector<std::string>& names,
    absl::Time now);

// Certificate and key for a client, signed by the authority in DIR: what
// mutual TLS needs. NotFound if DIR has no authority.
absl::StatusOr<CertifiedKey> MakeClientCertificate(const std::string& dir,
                                                   const std::string& name,
                                                   absl::Duration life,
                                                   absl::Time now);

// Errors name the file: not readable, not PEM, key and certificate that do not
// fit, or a certificate that is not valid now.
absl::Status CheckTlsFiles(const TlsFiles& files, absl::Time now);

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_TLS_IDENTITY_H_
