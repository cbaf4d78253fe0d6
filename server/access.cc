#include "server/access.h"

#include <grpcpp/security/auth_context.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "proto/retry_info.h"
#include "server/clock.h"

namespace evopress::server {
namespace {

constexpr absl::Duration kLookEvery = absl::Milliseconds(200);
constexpr absl::Duration kDay = absl::Hours(24);
// A burst of this many seconds' requests is let through.
constexpr double kBurstSeconds = 2;
constexpr size_t kMaxSecret = 512;

bool IsTls(const grpc::ServerContextBase& context) {
  const auto auth = context.auth_context();
  if (auth == nullptr) return false;
  const auto types =
      auth->FindPropertyValues(GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME);
  return !types.empty() && (types[0] == GRPC_SSL_TRANSPORT_SECURITY_TYPE ||
                            types[0] == GRPC_TLS_TRANSPORT_SECURITY_TYPE);
}

// The secret after "Bearer "; empty if there is none or more than one.
absl::string_view BearerOf(const grpc::ServerContextBase& context) {
  const auto range = context.client_metadata().equal_range("authorization");
  if (range.first == range.second || std::next(range.first) != range.second) {
    return {};
  }
  absl::string_view value(range.first->second.data(),
                          range.first->second.size());
  if (!absl::ConsumePrefix(&value, "Bearer ") || value.size() > kMaxSecret) {
    return {};
  }
  return value;
}

grpc::Status Unauthenticated(const std::string& message) {
  return {grpc::StatusCode::UNAUTHENTICATED, message};
}

std::string Needed(const std::vector<Role>& roles) {
  std::vector<std::string> names;
  for (const Role role : roles) names.emplace_back(RoleName(role));
  names.emplace_back(RoleName(Role::kAdmin));
  return absl::StrJoin(names, " or ");
}

}  // namespace

bool IsInProcess(const grpc::ServerContextBase& context) {
  // Every socket's peer begins with its kind, as "ipv4:".
  return context.peer() == "unknown";
}

absl::StatusOr<std::unique_ptr<Access>> Access::Open(
    const AccessOptions& options) {
  std::unique_ptr<Access> access(new Access(options));
  auto table = TokenTable::Load(options.token_file);
  if (!table.ok() && !absl::IsNotFound(table.status())) return table.status();
  MutexLock lock(access->mutex_);
  access->Reload(Clock::System().Now());
  return access;
}

void Access::Reload(absl::Time now) {
  if (now - looked_ < kLookEvery) return;
  looked_ = now;
  struct stat info;
  if (::stat(options_.token_file.c_str(), &info) != 0) {
    // Removed while we run: that must not open the doors.
    if (has_table_ && inode_ != 0) {
      spdlog::error(
          "{} is gone: nobody gets in until it is back or evopressd "
          "starts again",
          options_.token_file);
      table_ = TokenTable();
      inode_ = 0;
    }
    return;
  }
  const int64_t mtime_ns =
      int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
  if (info.st_ino == inode_ && mtime_ns == mtime_ns_) return;
  inode_ = info.st_ino;
  mtime_ns_ = mtime_ns;
  auto table = TokenTable::Load(options_.token_file);
  if (!table.ok()) {
    spdlog::error("{}; {}", std::string(table.status().message()),
                  has_table_ ? "the tokens read before stay in force"
                             : "nobody gets in until it is repaired");
    has_table_ = true;
    return;
  }
  if (has_table_) spdlog::info("read {} again", options_.token_file);
  has_table_ = true;
  table_ = *std::move(table);
}

absl::Duration Access::Take(Bucket& bucket, double amount, double capacity,
                            double per_second, absl::Time now) {
  const double grown =
      bucket.at == absl::InfinitePast()
          ? capacity
          : std::max(0.0, absl::ToDoubleSeconds(now - bucket.at)) * per_second;
  bucket.level = std::min(capacity, bucket.level + grown);
  bucket.at = now;
  if (bucket.level >= amount) {
    bucket.level -= amount;
    return absl::ZeroDuration();
  }
  return absl::Seconds((amount - bucket.level) / per_second);
}

grpc::Status Access::Check(const grpc::ServerContextBase& context,
                           absl::string_view method, Caller* caller) {
  if (IsInProcess(context)) return grpc::Status::OK;
  const auto roles = RolesFor(method);
  if (!roles.has_value()) {
    return {grpc::StatusCode::PERMISSION_DENIED,
            absl::StrCat(method, " is open to nobody")};
  }
  const absl::string_view secret = BearerOf(context);
  const absl::Time now = Clock::System().Now();
  MutexLock lock(mutex_);
  Reload(now);
  if (!has_table_) {
    if (!IsTls(context) || options_.mutual_tls) return grpc::Status::OK;
    return Unauthenticated(
        "the coordinator has no tokens yet; its operator makes one with "
        "`evopressd token add`");
  }
  if (secret.empty()) {
    return Unauthenticated(
        "a token is needed; give it with --token-file or EVOPRESS_TOKEN");
  }
  const Token* token = table_.Find(secret);
  if (token == nullptr) return Unauthenticated("the token is not known");
  // Expiry goes by the time of day, as it is written in the file.
  if (TokenTable::IsExpired(*token, secret, absl::Now())) {
    return Unauthenticated(absl::StrCat("the token ", token->name,
                                        " has expired; ask for a new one"));
  }
  if (token->role != Role::kAdmin &&
      std::find(roles->begin(), roles->end(), token->role) == roles->end()) {
    return {grpc::StatusCode::PERMISSION_DENIED,
            absl::StrCat("the token ", token->name, " has the role ",
                         RoleName(token->role), "; ", method, " needs ",
                         Needed(*roles))};
  }
  const double rate = token->limits.requests_per_second;
  if (rate > 0) {
    const absl::Duration wait =
        Take(requests_[token->name], 1, std::max(1.0, rate * kBurstSeconds),
             rate, now);
    if (wait > absl::ZeroDuration()) {
      return proto::TryAgainIn(
          wait, absl::StrCat("the token ", token->name, " allows ", rate,
                             " requests per second; try again in ",
                             absl::FormatDuration(wait)));
    }
  }
  if (caller != nullptr) *caller = {token->name, token->limits};
  return grpc::Status::OK;
}

grpc::Status Access::CheckUpload(const Caller& caller, int64_t bytes) {
  const int64_t limit = caller.limits.upload_bytes_per_day;
  if (limit <= 0 || bytes <= 0) return grpc::Status::OK;
  if (bytes > limit) {
    return {grpc::StatusCode::RESOURCE_EXHAUSTED,
            absl::StrCat("an upload of ", bytes, " bytes; the token ",
                         caller.name, " allows ", limit, " a day")};
  }
  MutexLock lock(mutex_);
  const double per_second =
      static_cast<double>(limit) / absl::ToDoubleSeconds(kDay);
  const absl::Duration wait =
      Take(uploads_[caller.name], static_cast<double>(bytes),
           static_cast<double>(limit), per_second, Clock::System().Now());
  if (wait == absl::ZeroDuration()) return grpc::Status::OK;
  return proto::TryAgainIn(
      wait,
      absl::StrCat("the token ", caller.name, " allows uploads of ", limit,
                   " bytes a day; try again in ", absl::FormatDuration(wait)));
}

}  // namespace evopress::server
