// Bearer tokens: who may do what, for how long and how much.
//
// The file holds SHA-256 hashes only. A secret has 256 random bits, so that no
// salt and no slow hash is needed: nobody can guess from a hash.
#ifndef EVOPRESS_SERVER_TOKEN_TABLE_H_
#define EVOPRESS_SERVER_TOKEN_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/role.h"

namespace evopress::server {

// 0: no limit of that kind.
struct TokenLimits {
  double requests_per_second = 0;
  int64_t open_jobs = 0;             // created with it and not ended
  int64_t upload_bytes_per_day = 0;  // announced by its uploads
};

struct Token {
  std::string name;  // of letters, digits, ".", "_" and "-"
  Role role = Role::kView;
  std::string sha256;  // of the secret, hex
  absl::Time created;
  absl::Time expires = absl::InfiniteFuture();
  // The secret before the last rotation, still good for a while.
  std::string previous_sha256;
  absl::Time previous_expires = absl::InfinitePast();
  TokenLimits limits;
};

// A value; not thread-safe.
class TokenTable {
 public:
  // FailedPrecondition if others than the owner may read the file or it is
  // damaged; NotFound if there is none.
  static absl::StatusOr<TokenTable> Load(const std::string& path);
  // Atomic, mode 0600.
  absl::Status Save(const std::string& path) const;

  // Return the secret, which is kept nowhere. AlreadyExists, NotFound or
  // InvalidArgument name the token.
  absl::StatusOr<std::string> Add(Token token, absl::Time now);
  // The old secret stays good for `grace`. `expires` replaces the token's.
  absl::StatusOr<std::string> Rotate(const std::string& name,
                                     absl::Duration grace, absl::Time expires,
                                     absl::Time now);
  absl::Status Revoke(const std::string& name);

  // The token of a secret, or null if there is none. Expired ones are found
  // too: see IsExpired. Takes the same time wherever it is found.
  const Token* Find(absl::string_view secret) const;
  static bool IsExpired(const Token& token, absl::string_view secret,
                        absl::Time now);

  const std::vector<Token>& tokens() const { return tokens_; }

 private:
  std::vector<Token> tokens_;
};

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_TOKEN_TABLE_H_
