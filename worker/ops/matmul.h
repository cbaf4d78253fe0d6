// worker/ops/matmul.h
// y = W x for panels of exactly kPanelRows inputs: on matrix tiles by our own
// kernel (tile_matmul.h), else by oneDNN.
//
// Rounding depends on neither the batch nor the number of threads, provided
// that OpenMP is held at one thread where these functions are called (see
// thread_arena.h): parallelism goes across panels.
#ifndef EVOPRESS_WORKER_OPS_MATMUL_H_
#define EVOPRESS_WORKER_OPS_MATMUL_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "oneapi/tbb/cache_aligned_allocator.h"
#include "worker/ops/arithmetic.h"

namespace evopress::worker {

template <typename T>
using AlignedVector = std::vector<T, tbb::cache_aligned_allocator<T>>;

// A weight matrix in the layout that the kernels like best. Immutable and
// thread-safe.
class PackedMatrix {
 public:
  // `weight` is rows x cols, row-major, cols the input dimension.
  // ResourceExhausted if memory is short, Internal if oneDNN has no kernel.
  static absl::StatusOr<std::shared_ptr<const PackedMatrix>> Create(
      Arithmetic arithmetic, absl::Span<const float> weight, int64_t rows,
      int64_t cols);
  ~PackedMatrix();

  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  int64_t bytes() const { return bytes_; }

  // input: kPanelRows x cols in the arithmetic's element type.
  // output: kPanelRows x rows. Both row-major, without gaps.
  absl::Status Multiply(const void* input, float* output) const;

  // Outputs that it pays to compute at a time, if what becomes of them can be
  // done piece by piece: they then stay in the cache.
  int64_t piece() const;
  // Outputs first … first+count alone: output is kPanelRows x count. `first` is
  // a multiple of piece(), count is piece() or what is left.
  absl::Status MultiplyPiece(const void* input, int64_t first, int64_t count,
                             float* output) const;

 private:
  struct Impl;
  PackedMatrix();

  std::unique_ptr<Impl> impl_;
  int64_t rows_ = 0;
  int64_t cols_ = 0;
  int64_t bytes_ = 0;
};

// Adds columns first … first+count of X^T X, down to the diagonal block, to
// `strip`: first+count rows of `count` floats without gaps (oneDNN's fast
// kernels want that). X is `rows` x n inputs; rounding depends on `rows`.
absl::Status AccumulateGram(Arithmetic arithmetic, const void* inputs,
                            int64_t rows, int64_t n, int64_t first,
                            int64_t count, float* strip);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_OPS_MATMUL_H_
