// SHA-256, whole or in pieces.
#ifndef EVOPRESS_SERVER_SHA256_H_
#define EVOPRESS_SERVER_SHA256_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

struct evp_md_ctx_st;

namespace evopress::server {

// Update any number of times, then HexDigest once. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Update(absl::string_view bytes);
  // Length first, then the bytes: fields cannot run into each other.
  void UpdateField(absl::string_view bytes);
  std::string HexDigest();  // 64 lower-case hex digits

 private:
  evp_md_ctx_st* context_;
};

std::string Sha256Hex(absl::string_view bytes);

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_SHA256_H_
