// The canonical encoding of values that are hashed.
//
// Equal values give equal bytes and different values different bytes: every
// number is 8 bytes little-endian, every text and list is preceded by its
// length, every double is its bit pattern.
#ifndef EVOPRESS_SEARCH_DIGEST_H_
#define EVOPRESS_SEARCH_DIGEST_H_

#include <cstdint>
#include <string>

#include "search/sha256.h"

namespace evopress::search {

// The IEEE bit pattern and back.
uint64_t Bits(double value);
double FromBits(uint64_t bits);

// Thread-compatible.
class CanonicalWriter {
 public:
  // `kind` separates encodings of different things; e.g. "evopress.space.1".
  explicit CanonicalWriter(const std::string& kind) { Text(kind); }

  void Int(int64_t value) { Word(static_cast<uint64_t>(value)); }
  void Word(uint64_t value);
  void Double(double value) { Word(Bits(value)); }
  void Text(const std::string& value);

  std::string Sha256() const { return Sha256Hex(bytes_); }

 private:
  std::string bytes_;
};

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_DIGEST_H_
