// Streams of small unsigned integers: code i takes the bits
// [i * bits, (i + 1) * bits) of the stream, bit 0 being the lowest bit of
// byte 0. Unused bits of the last byte are zero. bits is 1…8.
#ifndef EVOPRESS_QUANT_BIT_PACKING_H_
#define EVOPRESS_QUANT_BIT_PACKING_H_

#include <cstdint>

namespace evopress::quant {

// Bytes of a stream of `count` codes.
constexpr int64_t PackedBytes(int64_t count, int bits) {
  return (count * bits + 7) / 8;
}

// Writes PackedBytes(count, bits) bytes to `out`; of each code the lowest
// `bits` bits count.
void PackBits(const uint8_t* codes, int64_t count, int bits, uint8_t* out);

// Reads exactly PackedBytes(count, bits) bytes of `in`.
void UnpackBits(const uint8_t* in, int64_t count, int bits, uint8_t* codes);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_BIT_PACKING_H_
