// The factorization that GPTQ (arXiv 2210.17323, step 3) works with.
#ifndef EVOPRESS_QUANT_GRAM_FACTOR_H_
#define EVOPRESS_QUANT_GRAM_FACTOR_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "quant/gram.h"

namespace evopress::quant {

inline constexpr double kFirstDamping = 0.01;
inline constexpr double kMaxDamping = 1.0;

// V, lower triangular, with V V^T = (H / mean(diag H) + damping * I)^-1, in
// the order of `order`: row and column i belong to input order[i]. Dead inputs
// stand apart, with 1 on the diagonal.
//
// Computed in float64 and stored in float32: rounding errors of a factor of
// the *inverse* grow with the condition number, while the error feedback that
// uses it is as forgiving as the weights' own float32. The factorization is
// n^3 * 2/3 flops once per layer; the updates, in float32, are many times
// that. Memory: 16 n^2 bytes while computing, 4 n^2 kept.
struct GramFactor {
  int64_t n = 0;
  std::vector<float> v;        // row-major n x n, zero above the diagonal
  std::vector<int64_t> order;  // a permutation of 0…n-1
  double damping = 0;          // share of the mean diagonal
  double mean = 0;             // of the diagonal of H, live inputs only
};

// Inputs that were never active: diagonal 0. They do not count in the mean.
std::vector<bool> DeadInputs(const Gram& gram);

// True if every diagonal entry is 0: the Gram says nothing.
bool IsZero(const Gram& gram);

// Only the lower triangle of `gram` is read. With `by_diagonal`, inputs come
// in order of falling diagonal, ties by index. Damping starts at 1 % and rises
// tenfold, up to kMaxDamping, while the matrix is not positive definite;
// InvalidArgument if it never is. Runs on the current TBB arena; the bits do
// not depend on the number of threads. REQUIRES: finite values, !IsZero.
absl::StatusOr<GramFactor> FactorInverse(const Gram& gram, bool by_diagonal);

// The same with this damping, inputs in their own order. InvalidArgument if the
// matrix is not positive definite.
absl::StatusOr<GramFactor> FactorInverse(const Gram& gram, double damping);

// H = I: no column learns from another.
Gram Identity(int64_t n);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_GRAM_FACTOR_H_
