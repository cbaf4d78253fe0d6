// quant/gguf_types.h
// The tensor and metadata types of GGUF files (github.com/ggml-org/ggml,
// docs/gguf.md).

#ifndef EVOPRESS_QUANT_GGUF_TYPES_H_
#define EVOPRESS_QUANT_GGUF_TYPES_H_

#include <cstdint>
#include <string>

#include "absl/types/span.h"

namespace evopress::quant {

// Type of a tensor; the values are those stored in files.
enum class GgmlType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ8_1 = 9,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kQ8_K = 15,
  kIQ2_XXS = 16,
  kIQ2_XS = 17,
  kIQ3_XXS = 18,
  kIQ1_S = 19,
  kIQ4_NL = 20,
  kIQ3_S = 21,
  kIQ2_S = 22,
  kIQ4_XS = 23,
  kI8 = 24,
  kI16 = 25,
  kI32 = 26,
  kI64 = 27,
  kF64 = 28,
  kIQ1_M = 29,
  kBF16 = 30,
  kTQ1_0 = 34,
  kTQ2_0 = 35,
  kMXFP4 = 39,
  kNVFP4 = 40,
  kQ1_0 = 41,
};

// How a tensor type lies in memory: rows are cut into blocks of
// `block_elements` values, each stored in `block_bytes` bytes.
struct GgmlTypeTraits {
  GgmlType type;
  const char* name;  // as llama.cpp prints it in capitals: "Q4_K", "IQ2_XXS"
  int64_t block_elements;
  int64_t block_bytes;
};

// All known types, by increasing value.
absl::Span<const GgmlTypeTraits> AllGgmlTypes();

// Traits of the type with that stored value or that name, or nullptr if there
// is none we know.
const GgmlTypeTraits* FindGgmlType(uint32_t value);
const GgmlTypeTraits* FindGgmlType(const std::string& name);

// Type of a metadata value; the values are those stored in files.
enum class GgufValueType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_GGUF_TYPES_H_
