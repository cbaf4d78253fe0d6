// quant/dequantize.h
// Blocks of quantized weights, as GGUF files hold them, back to float. Every
// result has the bits that the `gguf` Python package computes in float32.

#ifndef EVOPRESS_QUANT_DEQUANTIZE_H_
#define EVOPRESS_QUANT_DEQUANTIZE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "quant/gguf_types.h"

namespace evopress::quant {

// Writes `count` consecutive blocks of one type to `out`. Needs no alignment
// of `blocks`; pure and thread-safe.
using DequantizeBlocks = void (*)(const uint8_t* blocks, int64_t count,
                                  float* out);

// The dequantizer of `type`, or nullptr where there is none (integer types,
// and types that only live inside llama.cpp's kernels).
DequantizeBlocks FindDequantizer(GgmlType type);

// Dequantizes whole blocks. InvalidArgument unless `bytes` is a whole number
// of blocks that fills `out` exactly; Unimplemented without a dequantizer.
absl::Status Dequantize(GgmlType type, absl::Span<const uint8_t> bytes,
                        absl::Span<float> out);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_DEQUANTIZE_H_
