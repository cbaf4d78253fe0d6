#include "search/digest.h"

#include <cstring>

namespace evopress::search {

uint64_t Bits(double value) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

double FromBits(uint64_t bits) {
  double value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

void CanonicalWriter::Word(uint64_t value) {
  for (int i = 0; i < 8; ++i) bytes_ += static_cast<char>(value >> (8 * i));
}

void CanonicalWriter::Text(const std::string& value) {
  Word(value.size());
  bytes_ += value;
}

}  // namespace evopress::search
