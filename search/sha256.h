// SHA-256 of bytes that arrive in pieces: names of blobs and trailers of
// files. Thread-compatible.
#ifndef EVOPRESS_SEARCH_SHA256_H_
#define EVOPRESS_SEARCH_SHA256_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace evopress::search {

using Sha256Digest = std::array<uint8_t, 32>;

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Update(const void* data, size_t size);

  // The digest of everything so far. Call once, last.
  Sha256Digest Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Sha256Digest Sha256Of(const void* data, size_t size);

// 64 lower-case hex digits.
std::string ToHex(const Sha256Digest& digest);

// ToHex(Sha256Of(bytes)).
std::string Sha256Hex(absl::string_view bytes);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_SHA256_H_
