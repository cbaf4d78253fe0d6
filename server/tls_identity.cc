#include "server/tls_identity.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proto/host_name.h"
#include "proto/loopback.h"
#include "server/secret_file.h"

namespace evopress::server {
namespace {

constexpr absl::Duration kAuthorityLife = absl::Hours(24 * 3650);
constexpr absl::Duration kServerLife = absl::Hours(24 * 365);
// Clocks of a fleet differ.
constexpr absl::Duration kBackdated = absl::Hours(1);

void AddInterfaces(std::set<std::string>& names) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return;
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr) continue;
    char text[INET6_ADDRSTRLEN] = {};
    if (at->ifa_addr->sa_family == AF_INET) {
      const auto* four = reinterpret_cast<const sockaddr_in*>(at->ifa_addr);
      ::inet_ntop(AF_INET, &four->sin_addr, text, sizeof(text));
    } else if (at->ifa_addr->sa_family == AF_INET6) {
      const auto* six = reinterpret_cast<const sockaddr_in6*>(at->ifa_addr);
      if (IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr)) continue;
      ::inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof(text));
    }
    if (text[0] != '\0') names.insert(text);
  }
  ::freeifaddrs(list);
}

absl::Status Within(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(path, ": ", status.message()));
}

absl::StatusOr<CertifiedKey> ReadAuthority(const std::string& dir) {
  const std::string path = absl::StrCat(dir, "/ca.pem");
  const std::string key_path = absl::StrCat(dir, "/ca-key.pem");
  auto certificate = ReadSmallFile(path);
  if (!certificate.ok()) return certificate.status();
  auto key = ReadSmallFile(key_path);
  if (!key.ok()) return key.status();
  if (absl::Status s = CheckIsPrivate(key_path); !s.ok()) return s;
  if (absl::Status s = CheckKeyFits(*certificate, *key); !s.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " and ", key_path, " do not fit together: ", s.message()));
  }
  return CertifiedKey{*std::move(certificate), *std::move(key)};
}

absl::StatusOr<CertifiedKey> EnsureAuthority(const std::string& dir,
                                             absl::Time now) {
  const std::string path = absl::StrCat(dir, "/ca.pem");
  if (::access(path.c_str(), F_OK) == 0) {
    auto known = ReadAuthority(dir);
    if (!known.ok()) return known.status();
    auto facts = ReadCertificate(known->certificate);
    if (!facts.ok()) return Within(path, facts.status());
    if (facts->until <= now) {
      return absl::FailedPreconditionError(absl::StrCat(
          path, " expired on ",
          absl::FormatTime("%Y-%m-%d", facts->until, absl::UTCTimeZone()),
          "; remove ", dir, " to make a new one, and give it to all clients"));
    }
    return known;
  }
  auto made =
      MakeAuthority(absl::StrCat("EvoPress ", proto::HostName()).substr(0, 64),
                    now - kBackdated, now + kAuthorityLife);
  if (!made.ok()) return made.status();
  // The key first: a certificate without its key would be a dead end.
  absl::Status s =
      ReplaceFile(absl::StrCat(dir, "/ca-key.pem"), made->key, 0600);
  if (s.ok()) s = ReplaceFile(path, made->certificate, 0644);
  if (!s.ok()) return s;
  spdlog::info("made a certificate authority: clients trust {}", path);
  return made;
}

// Why server.pem must be made anew; empty if it need not.
std::string WhyRenew(const std::string& path, const CertifiedKey& authority,
                     const std::vector<std::string>& names, absl::Time now) {
  auto known = ReadSmallFile(path);
  if (!known.ok()) return "there is none";
  if (!CheckIsPrivate(path).ok()) return "its key was open to others";
  if (!CheckKeyFits(*known, *known).ok()) return "it is damaged";
  if (!CheckSignedBy(*known, authority.certificate).ok()) {
    return "the authority is another";
  }
  auto facts = ReadCertificate(*known);
  if (!facts.ok()) return "it is damaged";
  if (facts->until - now < (facts->until - facts->from) / 3) {
    return "it ends soon";
  }
  for (const std::string& name : names) {
    if (!std::binary_search(facts->names.begin(), facts->names.end(), name)) {
      return absl::StrCat("it lacks the name ", name);
    }
  }
  return "";
}

}  // namespace

std::vector<std::string> CertificateNames(
    const std::vector<std::string>& listen,
    const std::vector<std::string>& extra) {
  std::set<std::string> names = {"localhost", "127.0.0.1", "::1",
                                 proto::HostName()};
  names.insert(extra.begin(), extra.end());
  for (const std::string& address : listen) {
    if (absl::StartsWith(address, "unix:")) continue;
    const std::string host = proto::HostOf(address);
    if (host == "0.0.0.0" || host == "::" || host == "*") {
      AddInterfaces(names);
    } else if (!host.empty()) {
      names.insert(host);
    }
  }
  return {names.begin(), names.end()};
}

absl::StatusOr<TlsFiles> EnsureTlsIdentity(
    const std::string& dir, const std::vector<std::string>& names,
    absl::Time now) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error) {
    return absl::ErrnoToStatus(error.value(),
                               absl::StrCat("cannot make ", dir));
  }
  auto authority = EnsureAuthority(dir, now);
  if (!authority.ok()) return authority.status();
  const std::string path = absl::StrCat(dir, "/server.pem");
  const std::string why = WhyRenew(path, *authority, names, now);
  if (!why.empty()) {
    auto ends = ReadCertificate(authority->certificate);
    if (!ends.ok()) return ends.status();
    CertificateRequest request;
    request.use = CertificateRequest::Use::kServer;
    request.subject = "evopressd";
    request.names = names;
    request.from = now - kBackdated;
    request.until = std::min(now + kServerLife, ends->until);
    auto made = SignCertificate(*authority, request);
    if (!made.ok()) return made.status();
    absl::Status s =
        ReplaceFile(path, absl::StrCat(made->certificate, made->key), 0600);
    if (!s.ok()) return s;
    spdlog::info("made the server certificate {} ({})", path, why);
  }
  return TlsFiles{path, path, ""};
}

absl::StatusOr<CertifiedKey> MakeClientCertificate(const std::string& dir,
                                                   const std::string& name,
                                                   absl::Duration life,
                                                   absl::Time now) {
  auto authority = ReadAuthority(dir);
  if (!authority.ok()) return authority.status();
  CertificateRequest request;
  request.use = CertificateRequest::Use::kClient;
  request.subject = name;
  request.from = now - kBackdated;
  request.until = now + life;
  return SignCertificate(*authority, request);
}

absl::Status CheckTlsFiles(const TlsFiles& files, absl::Time now) {
  auto certificate = ReadSmallFile(files.certificate);
  if (!certificate.ok()) return certificate.status();
  auto facts = ReadCertificate(*certificate);
  if (!facts.ok()) return Within(files.certificate, facts.status());
  if (facts->until <= now || facts->from > now) {
    return absl::FailedPreconditionError(absl::StrCat(
        files.certificate, " is valid from ", absl::FormatTime(facts->from),
        " to ", absl::FormatTime(facts->until), ", and now it is ",
        absl::FormatTime(now), "; renew it"));
  }
  auto key = ReadSmallFile(files.key);
  if (!key.ok()) return key.status();
  if (absl::Status s = CheckKeyFits(*certificate, *key); !s.ok()) {
    return Within(files.key, s);
  }
  if (files.client_ca.empty()) return absl::OkStatus();
  auto authority = ReadSmallFile(files.client_ca);
  if (!authority.ok()) return authority.status();
  auto client_facts = ReadCertificate(*authority);
  if (!client_facts.ok()) return Within(files.client_ca, client_facts.status());
  return absl::OkStatus();
}

}  // namespace evopress::server
