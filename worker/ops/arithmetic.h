// worker/ops/arithmetic.h
// The kinds of arithmetic the cpu engine knows, and their name. Measurements
// made with different arithmetic are never mixed.
#ifndef EVOPRESS_WORKER_OPS_ARITHMETIC_H_
#define EVOPRESS_WORKER_OPS_ARITHMETIC_H_

#include <cstdint>
#include <string>

namespace evopress::worker {

// What matrix products read. Sums, norms, softmax and the residual stream are
// float32 in both.
enum class Arithmetic {
  kBf16,  // bfloat16 factors; needs AVX-512 with bf16, uses AMX where present
  kF32,   // float32 factors; any x86-64-v3 processor
};

// Rows of every matrix product. One fixed number, since oneDNN's rounding
// changes with it: shorter inputs are padded.
inline constexpr int64_t kPanelRows = 128;

// A bfloat16 as its bits.
using Bf16 = uint16_t;

// The best arithmetic of this processor; DNNL_MAX_CPU_ISA restricts it.
Arithmetic DetectArithmetic();

inline int64_t ElementBytes(Arithmetic arithmetic) {
  return arithmetic == Arithmetic::kBf16 ? 2 : 4;
}

// "cpu-3:bf16:avx512_core_bf16:onednn-2.6.3": engine version, factors,
// instruction set and library.
std::string NumericClass(Arithmetic arithmetic);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_OPS_ARITHMETIC_H_
