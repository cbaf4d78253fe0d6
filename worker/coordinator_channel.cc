#include "worker/coordinator_channel.h"

#include <grpcpp/security/credentials.h>
#include <grpcpp/support/client_interceptor.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <mutex>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "proto/loopback.h"
#include "worker/tls_probe.h"

namespace evopress::worker {
namespace {

constexpr size_t kMaxToken = 512;
constexpr std::streamsize kMaxPemBytes = 1 << 20;

absl::StatusOr<std::string> ReadPem(const char* flag, const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream file(path, std::ios::binary);
  std::string text(static_cast<size_t>(kMaxPemBytes), '\0');
  file.read(text.data(), kMaxPemBytes);
  text.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  if (!absl::StrContains(text, "-----BEGIN ")) {
    return absl::NotFoundError(
        absl::StrCat(flag, " ", path, " is no file in PEM form"));
  }
  return text;
}

absl::Status CheckToken(const std::string& token, const std::string& from) {
  const bool valid =
      !token.empty() && token.size() <= kMaxToken &&
      std::all_of(token.begin(), token.end(),
                  [](unsigned char c) { return absl::ascii_isgraph(c); });
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(from, " holds no token: 1 to ", kMaxToken,
                   " printable characters without spaces are needed"));
}

// The token of a file, read again when the file is another. Thread-safe.
class TokenSource {
 public:
  TokenSource(const std::string& file, const std::string& token)
      : file_(file), token_(token) {}

  absl::StatusOr<std::string> Get() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (file_.empty()) return token_;
    struct stat info;
    if (::stat(file_.c_str(), &info) != 0) {
      if (!token_.empty()) return token_;
      return absl::NotFoundError(
          absl::StrCat("cannot read the token file ", file_));
    }
    if (info.st_ino == inode_ && info.st_mtim.tv_sec == time_.tv_sec &&
        info.st_mtim.tv_nsec == time_.tv_nsec) {
      return token_;
    }
    std::ifstream file(file_);
    std::string text(kMaxToken + 2, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(file.gcount()));
    absl::StripAsciiWhitespace(&text);
    if (absl::Status s = CheckToken(text, file_); !s.ok()) {
      // Perhaps half written just now.
      if (!token_.empty()) return token_;
      return s;
    }
    inode_ = info.st_ino;
    time_ = info.st_mtim;
    token_ = std::move(text);
    return token_;
  }

 private:
  const std::string file_;
  std::mutex mutex_;
  std::string token_;  // guarded by mutex_, as are the others
  ino_t inode_ = 0;
  timespec time_ = {};
};

// Adds the token to every call. Call credentials would do it too, but not on
// loopback, where there is no TLS.
class TokenInterceptor : public grpc::experimental::Interceptor {
 public:
  explicit TokenInterceptor(TokenSource& source) : source_(source) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* call) override {
    if (call->QueryInterceptionHookPoint(
            grpc::experimental::InterceptionHookPoints::
                PRE_SEND_INITIAL_METADATA)) {
      if (auto token = source_.Get(); token.ok()) {
        call->GetSendInitialMetadata()->insert(
            {"authorization", absl::StrCat("Bearer ", *token)});
      }
    }
    call->Proceed();
  }

 private:
  TokenSource& source_;
};

class TokenInterceptorFactory
    : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit TokenInterceptorFactory(std::shared_ptr<TokenSource> source)
      : source_(std::move(source)) {}
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo*) override {
    return new TokenInterceptor(*source_);
  }

 private:
  const std::shared_ptr<TokenSource> source_;
};

absl::Status CheckFlags(const CoordinatorAddress& to) {
  if (!absl::StartsWith(to.address, "unix:") &&
      !absl::StrContains(to.address, ':')) {
    return absl::InvalidArgumentError(
        absl::StrCat("server address \"", to.address,
                     "\" is neither host:port nor unix:PATH"));
  }
  const bool tls_files =
      !to.ca.empty() || !to.certificate.empty() || !to.key.empty();
  if (to.insecure && tls_files) {
    return absl::InvalidArgumentError(
        "--insecure is without TLS; leave it or --tls-ca, --tls-cert and "
        "--tls-key out");
  }
  if (to.certificate.empty() != to.key.empty()) {
    return absl::InvalidArgumentError(
        "--tls-cert and --tls-key go together; give both or none");
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<CoordinatorAddress> EachAddress(const CoordinatorAddress& to) {
  std::vector<CoordinatorAddress> all;
  for (const absl::string_view address : absl::StrSplit(to.address, ',')) {
    all.push_back(to);
    all.back().address = std::string(absl::StripAsciiWhitespace(address));
  }
  return all;
}

bool UsesTls(const CoordinatorAddress& to) {
  if (to.insecure || absl::StartsWith(to.address, "unix:")) return false;
  return !to.ca.empty() || !to.certificate.empty() ||
         !proto::IsLoopback(to.address);
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenCoordinatorChannel(
    const CoordinatorAddress& to, grpc::ChannelArguments arguments) {
  if (absl::Status s = CheckFlags(to); !s.ok()) return s;
  const bool tls = UsesTls(to);
  std::vector<
      std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>>
      interceptors;
  if (!to.token_file.empty() || !to.token.empty()) {
    if (!tls && !proto::IsLoopback(to.address)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--insecure would send the token to ", to.address,
                       " in the clear; leave --insecure or the token out"));
    }
    auto source = std::make_shared<TokenSource>(to.token_file, to.token);
    auto token = source->Get();
    if (!token.ok()) return token.status();
    absl::Status valid = CheckToken(
        *token, to.token_file.empty() ? "EVOPRESS_TOKEN" : to.token_file);
    if (!valid.ok()) return valid;
    interceptors.push_back(
        std::make_unique<TokenInterceptorFactory>(std::move(source)));
  }
  auto credentials = grpc::InsecureChannelCredentials();
  if (tls) {
    grpc::SslCredentialsOptions options;
    auto ca = ReadPem("--tls-ca", to.ca);
    if (!ca.ok()) return ca.status();
    auto certificate = ReadPem("--tls-cert", to.certificate);
    if (!certificate.ok()) return certificate.status();
    auto key = ReadPem("--tls-key", to.key);
    if (!key.ok()) return key.status();
    options.pem_root_certs = *std::move(ca);
    options.pem_cert_chain = *std::move(certificate);
    options.pem_private_key = *std::move(key);
    credentials = grpc::SslCredentials(options);
  }
  if (interceptors.empty()) {
    return grpc::CreateCustomChannel(to.address, credentials, arguments);
  }
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      to.address, credentials, arguments, std::move(interceptors));
}

namespace {

absl::Status CheckOne(const CoordinatorAddress& to) {
  if (absl::StartsWith(to.address, "unix:")) return absl::OkStatus();
  if (!UsesTls(to)) {
    if (!SpeaksTls(to.address)) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat(to.address,
                     " speaks TLS and was called without; give --tls-ca (the "
                     "coordinator's DATA/tls/ca.pem)"));
  }
  return ProbeTls(to.address, to.ca, to.certificate, to.key);
}

}  // namespace

absl::Status CheckCoordinatorTls(const CoordinatorAddress& to) {
  for (const CoordinatorAddress& one : EachAddress(to)) {
    if (absl::Status status = CheckOne(one); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace evopress::worker
