#include "server/certificate.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstdint>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace evopress::server {
namespace {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Names = std::unique_ptr<GENERAL_NAMES, Freer<GENERAL_NAMES_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;

constexpr size_t kMaxSubject = 64;  // X.520's bound of a common name
constexpr size_t kMaxNames = 200;

absl::Status OpenSslError(const std::string& what) {
  char text[256] = "unknown error";
  if (const unsigned long code = ERR_get_error(); code != 0) {
    ERR_error_string_n(code, text, sizeof(text));
  }
  ERR_clear_error();
  return absl::InvalidArgumentError(absl::StrCat(what, ": ", text));
}

Bio ReadOnly(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string TextOf(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(std::max(0L, size)));
}

absl::StatusOr<Certificate> ParseCertificate(const std::string& pem) {
  Certificate certificate(
      PEM_read_bio_X509(ReadOnly(pem).get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) return OpenSslError("no certificate in PEM form");
  return certificate;
}

absl::StatusOr<Key> ParseKey(const std::string& pem) {
  // An encrypted key must be an error, never a question on the terminal.
  char no_password[] = "";
  Key key(PEM_read_bio_PrivateKey(ReadOnly(pem).get(), nullptr, nullptr,
                                  no_password));
  if (key == nullptr) {
    return OpenSslError("no private key in PEM form without a password");
  }
  return key;
}

bool SetTime(ASN1_TIME* field, absl::Time time) {
  return ASN1_TIME_set(field, absl::ToTimeT(time)) != nullptr;
}

absl::Time ToTime(const ASN1_TIME* field) {
  std::tm parts = {};
  if (ASN1_TIME_to_tm(field, &parts) != 1) return absl::InfinitePast();
  return absl::FromTM(parts, absl::UTCTimeZone());
}

bool IsAddress(const std::string& name) {
  unsigned char bytes[16];
  return ::inet_pton(AF_INET, name.c_str(), bytes) == 1 ||
         ::inet_pton(AF_INET6, name.c_str(), bytes) == 1;
}

// `authority` may be null for a certificate that signs itself.
bool AddExtension(X509* certificate, X509* authority, int id,
                  const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, authority == nullptr ? certificate : authority,
                 certificate, nullptr, nullptr, 0);
  const Extension extension(
      X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  return extension != nullptr &&
         X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool Begin(X509* certificate, EVP_PKEY* key, const std::string& subject,
           absl::Time from, absl::Time until) {
  unsigned char serial[16];
  if (RAND_bytes(serial, sizeof(serial)) != 1) return false;
  serial[0] = static_cast<unsigned char>((serial[0] & 0x7F) | 0x40);
  const std::unique_ptr<BIGNUM, Freer<BN_free>> number(
      BN_bin2bn(serial, sizeof(serial), nullptr));
  X509_NAME* name = X509_get_subject_name(certificate);
  return number != nullptr &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) !=
             nullptr &&
         X509_set_version(certificate, X509_VERSION_3) == 1 &&
         SetTime(X509_getm_notBefore(certificate), from) &&
         SetTime(X509_getm_notAfter(certificate), until) &&
         X509_set_pubkey(certificate, key) == 1 &&
         X509_NAME_add_entry_by_txt(
             name, "CN", MBSTRING_UTF8,
             reinterpret_cast<const unsigned char*>(subject.data()),
             static_cast<int>(subject.size()), -1, 0) == 1;
}

absl::StatusOr<CertifiedKey> ToPem(X509* certificate, EVP_PKEY* key) {
  const Bio text(BIO_new(BIO_s_mem()));
  const Bio secret(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(text.get(), certificate) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(secret.get(), key, nullptr, nullptr, 0,
                                    nullptr, nullptr) != 1) {
    return OpenSslError("cannot write a certificate");
  }
  return CertifiedKey{TextOf(text.get()), TextOf(secret.get())};
}

absl::Status CheckRequest(const std::string& subject, absl::Time from,
                          absl::Time until) {
  if (subject.empty() || subject.size() > kMaxSubject) {
    return absl::InvalidArgumentError(
        absl::StrCat("certificate subject \"", subject, "\" has ",
                     subject.size(), " bytes instead of 1 to ", kMaxSubject));
  }
  if (until <= from) {
    return absl::InvalidArgumentError("a certificate ends before it begins");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CertifiedKey> MakeAuthority(const std::string& subject,
                                           absl::Time from, absl::Time until) {
  if (absl::Status s = CheckRequest(subject, from, until); !s.ok()) return s;
  const Key key(EVP_EC_gen("P-256"));
  const Certificate made(X509_new());
  if (key == nullptr || made == nullptr ||
      !Begin(made.get(), key.get(), subject, from, until) ||
      X509_set_issuer_name(made.get(), X509_get_subject_name(made.get())) !=
          1 ||
      !AddExtension(made.get(), nullptr, NID_basic_constraints,
                    "critical,CA:TRUE,pathlen:0") ||
      !AddExtension(made.get(), nullptr, NID_key_usage,
                    "critical,keyCertSign,cRLSign") ||
      !AddExtension(made.get(), nullptr, NID_subject_key_identifier, "hash") ||
      X509_sign(made.get(), key.get(), EVP_sha256()) == 0) {
    return OpenSslError("cannot make a certificate authority");
  }
  return ToPem(made.get(), key.get());
}

absl::StatusOr<CertifiedKey> SignCertificate(
    const CertifiedKey& authority, const CertificateRequest& request) {
  absl::Status valid =
      CheckRequest(request.subject, request.from, request.until);
  if (!valid.ok()) return valid;
  if (request.names.size() > kMaxNames) {
    return absl::InvalidArgumentError(
        absl::StrCat(request.names.size(), " names in one certificate; ",
                     kMaxNames, " are possible"));
  }
  auto issuer = ParseCertificate(authority.certificate);
  if (!issuer.ok()) return issuer.status();
  auto issuer_key = ParseKey(authority.key);
  if (!issuer_key.ok()) return issuer_key.status();
  std::vector<std::string> names;
  for (const std::string& name : request.names) {
    if (name.empty() || name.find_first_of(",\n\r\t ;\"'\\") != name.npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", name, "\" is no host name or address"));
    }
    names.push_back(absl::StrCat(IsAddress(name) ? "IP:" : "DNS:", name));
  }
  const Key key(EVP_EC_gen("P-256"));
  const Certificate made(X509_new());
  const bool server = request.use == CertificateRequest::Use::kServer;
  if (key == nullptr || made == nullptr ||
      !Begin(made.get(), key.get(), request.subject, request.from,
             request.until) ||
      X509_set_issuer_name(made.get(), X509_get_subject_name(issuer->get())) !=
          1 ||
      !AddExtension(made.get(), issuer->get(), NID_basic_constraints,
                    "critical,CA:FALSE") ||
      !AddExtension(made.get(), issuer->get(), NID_key_usage,
                    "critical,digitalSignature") ||
      !AddExtension(made.get(), issuer->get(), NID_ext_key_usage,
                    server ? "serverAuth" : "clientAuth") ||
      !AddExtension(made.get(), issuer->get(), NID_authority_key_identifier,
                    "keyid") ||
      (!names.empty() &&
       !AddExtension(made.get(), issuer->get(), NID_subject_alt_name,
                     absl::StrJoin(names, ","))) ||
      X509_sign(made.get(), issuer_key->get(), EVP_sha256()) == 0) {
    return OpenSslError(
        absl::StrCat("cannot sign a certificate for ", request.subject));
  }
  return ToPem(made.get(), key.get());
}

absl::StatusOr<CertificateFacts> ReadCertificate(const std::string& pem) {
  auto certificate = ParseCertificate(pem);
  if (!certificate.ok()) return certificate.status();
  CertificateFacts facts;
  facts.from = ToTime(X509_get0_notBefore(certificate->get()));
  facts.until = ToTime(X509_get0_notAfter(certificate->get()));
  const Names names(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(
      certificate->get(), NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS && name->type != GEN_IPADD) continue;
    const ASN1_STRING* value =
        name->type == GEN_DNS ? name->d.dNSName : name->d.iPAddress;
    const unsigned char* bytes = ASN1_STRING_get0_data(value);
    const int size = ASN1_STRING_length(value);
    if (name->type == GEN_DNS) {
      facts.names.emplace_back(reinterpret_cast<const char*>(bytes), size);
    } else if (size == 4 || size == 16) {
      char text[INET6_ADDRSTRLEN] = {};
      ::inet_ntop(size == 4 ? AF_INET : AF_INET6, bytes, text, sizeof(text));
      facts.names.emplace_back(text);
    }
  }
  std::sort(facts.names.begin(), facts.names.end());
  return facts;
}

absl::Status CheckKeyFits(const std::string& certificate,
                          const std::string& key) {
  auto parsed = ParseCertificate(certificate);
  if (!parsed.ok()) return parsed.status();
  auto secret = ParseKey(key);
  if (!secret.ok()) return secret.status();
  if (X509_check_private_key(parsed->get(), secret->get()) != 1) {
    return OpenSslError("the private key is not that of the certificate");
  }
  return absl::OkStatus();
}

absl::Status CheckSignedBy(const std::string& certificate,
                           const std::string& authority) {
  auto parsed = ParseCertificate(certificate);
  if (!parsed.ok()) return parsed.status();
  auto issuer = ParseCertificate(authority);
  if (!issuer.ok()) return issuer.status();
  if (X509_verify(parsed->get(), X509_get0_pubkey(issuer->get())) != 1) {
    return OpenSslError("the certificate is not signed by the authority");
  }
  return absl::OkStatus();
}

}  // namespace evopress::server
