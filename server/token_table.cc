#include "server/token_table.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "proto/conversions.h"
#include "search/sha256.h"
#include "server/secret_file.h"

namespace evopress::server {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr size_t kMaxTokens = 10'000;
constexpr size_t kMaxName = 64;
constexpr size_t kMaxFileBytes = 8 << 20;
constexpr char kPrefix[] = "evopress_";  // lets scanners find leaked ones

std::string Hash(absl::string_view secret) { return search::Sha256Hex(secret); }

bool SameHash(const std::string& a, const std::string& b) {
  return a.size() == b.size() &&
         CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

absl::StatusOr<std::string> NewSecret() {
  unsigned char bytes[32];
  if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
    return absl::InternalError("no random numbers for a token");
  }
  std::string secret = kPrefix;
  for (const unsigned char byte : bytes) {
    absl::StrAppend(&secret, absl::Hex(byte, absl::kZeroPad2));
  }
  OPENSSL_cleanse(bytes, sizeof(bytes));
  return secret;
}

absl::Status CheckName(const std::string& name) {
  bool valid = !name.empty() && name.size() <= kMaxName && name[0] != '.';
  for (const char c : name) {
    valid = valid && (absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                      c == '.' || c == '_' || c == '-');
  }
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "token name \"", absl::string_view(name).substr(0, kMaxName),
      "\" is not 1 to ", kMaxName, " letters, digits, \".\", \"_\" and \"-\""));
}

absl::Status CheckLimits(const TokenLimits& limits) {
  if (!std::isfinite(limits.requests_per_second) ||
      limits.requests_per_second < 0 || limits.open_jobs < 0 ||
      limits.upload_bytes_per_day < 0) {
    return absl::InvalidArgumentError(
        "a token's limits are numbers of 0 (none) or more");
  }
  return absl::OkStatus();
}

json ToJson(absl::Time time) {
  return absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone());
}

absl::Time ToTime(const json& text) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text.get<std::string>(), &time,
                       &error)) {
    throw std::invalid_argument("not a time: " + text.get<std::string>());
  }
  return time;
}

json ToJson(const Token& token) {
  json out = {{"name", token.name},
              {"role", std::string(RoleName(token.role))},
              {"sha256", token.sha256},
              {"created", ToJson(token.created)}};
  if (token.expires != absl::InfiniteFuture()) {
    out["expires"] = ToJson(token.expires);
  }
  if (!token.previous_sha256.empty()) {
    out["previous"] = {{"sha256", token.previous_sha256},
                       {"expires", ToJson(token.previous_expires)}};
  }
  if (token.limits.requests_per_second > 0) {
    out["requests_per_second"] = token.limits.requests_per_second;
  }
  if (token.limits.open_jobs > 0) out["open_jobs"] = token.limits.open_jobs;
  if (token.limits.upload_bytes_per_day > 0) {
    out["upload_bytes_per_day"] = token.limits.upload_bytes_per_day;
  }
  return out;
}

// Throws what the JSON library throws, and std::invalid_argument.
Token FromJson(const json& in) {
  Token token;
  token.name = in.at("name").get<std::string>();
  const auto role = ParseRole(in.at("role").get<std::string>());
  if (!role.has_value()) throw std::invalid_argument("unknown role");
  token.role = *role;
  token.sha256 = in.at("sha256").get<std::string>();
  token.created = ToTime(in.at("created"));
  if (in.contains("expires")) token.expires = ToTime(in["expires"]);
  if (in.contains("previous")) {
    token.previous_sha256 = in["previous"].at("sha256").get<std::string>();
    token.previous_expires = ToTime(in["previous"].at("expires"));
  }
  token.limits.requests_per_second = in.value("requests_per_second", 0.0);
  token.limits.open_jobs = in.value("open_jobs", int64_t{0});
  token.limits.upload_bytes_per_day =
      in.value("upload_bytes_per_day", int64_t{0});
  if (!proto::IsSha256(token.sha256) ||
      (!token.previous_sha256.empty() &&
       !proto::IsSha256(token.previous_sha256))) {
    throw std::invalid_argument("no SHA-256");
  }
  return token;
}

}  // namespace

absl::StatusOr<TokenTable> TokenTable::Load(const std::string& path) {
  auto content = ReadSmallFile(path, kMaxFileBytes);
  if (!content.ok()) return content.status();
  if (absl::Status s = CheckIsPrivate(path); !s.ok()) return s;
  TokenTable table;
  try {
    const json file = json::parse(*content);
    if (file.at("version").get<int>() != kVersion) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, " is not of version ", kVersion));
    }
    for (const json& entry : file.at("tokens")) {
      Token token = FromJson(entry);
      absl::Status valid = CheckName(token.name);
      if (valid.ok()) valid = CheckLimits(token.limits);
      if (!valid.ok()) throw std::invalid_argument(valid.ToString());
      table.tokens_.push_back(std::move(token));
    }
  } catch (const std::exception&) {
    // What the library says may hold parts of the file.
    return absl::FailedPreconditionError(absl::StrCat(
        path, " is damaged: entry ", table.tokens_.size(),
        " is not one of a token file; make it anew with `evopressd token`"));
  }
  return table;
}

absl::Status TokenTable::Save(const std::string& path) const {
  json file = {{"version", kVersion}, {"tokens", json::array()}};
  for (const Token& token : tokens_) file["tokens"].push_back(ToJson(token));
  return ReplaceFile(path, file.dump(2) + "\n", 0600);
}

absl::StatusOr<std::string> TokenTable::Add(Token token, absl::Time now) {
  if (absl::Status s = CheckName(token.name); !s.ok()) return s;
  if (absl::Status s = CheckLimits(token.limits); !s.ok()) return s;
  for (const Token& known : tokens_) {
    if (known.name == token.name) {
      return absl::AlreadyExistsError(absl::StrCat(
          "there is a token called ", token.name,
          " already; choose another name, or rotate or revoke that one"));
    }
  }
  if (tokens_.size() >= kMaxTokens) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "there are ", kMaxTokens, " tokens; revoke some that nobody uses"));
  }
  auto secret = NewSecret();
  if (!secret.ok()) return secret.status();
  token.sha256 = Hash(*secret);
  token.created = now;
  tokens_.push_back(std::move(token));
  return secret;
}

absl::StatusOr<std::string> TokenTable::Rotate(const std::string& name,
                                               absl::Duration grace,
                                               absl::Time expires,
                                               absl::Time now) {
  for (Token& token : tokens_) {
    if (token.name != name) continue;
    auto secret = NewSecret();
    if (!secret.ok()) return secret.status();
    token.previous_sha256 = std::exchange(token.sha256, Hash(*secret));
    token.previous_expires = std::min(now + grace, token.expires);
    token.created = now;
    token.expires = expires;
    return secret;
  }
  return absl::NotFoundError(absl::StrCat("there is no token called ", name));
}

absl::Status TokenTable::Revoke(const std::string& name) {
  const auto end =
      std::remove_if(tokens_.begin(), tokens_.end(),
                     [&](const Token& token) { return token.name == name; });
  if (end == tokens_.end()) {
    return absl::NotFoundError(absl::StrCat("there is no token called ", name));
  }
  tokens_.erase(end, tokens_.end());
  return absl::OkStatus();
}

const Token* TokenTable::Find(absl::string_view secret) const {
  const std::string hash = Hash(secret);
  const Token* found = nullptr;
  for (const Token& token : tokens_) {
    const bool now = SameHash(token.sha256, hash);
    const bool before = SameHash(token.previous_sha256, hash);
    if (now || before) found = &token;
  }
  return found;
}

bool TokenTable::IsExpired(const Token& token, absl::string_view secret,
                           absl::Time now) {
  return now >= (SameHash(token.sha256, Hash(secret)) ? token.expires
                                                      : token.previous_expires);
}

}  // namespace evopress::server
