// worker/ops/embedding.h
// The token embedding: rows of a table, scaled.
#ifndef EVOPRESS_WORKER_OPS_EMBEDDING_H_
#define EVOPRESS_WORKER_OPS_EMBEDDING_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "worker/ops/arithmetic.h"

namespace evopress::worker {

// vocab x dims, held in the arithmetic's element type. Immutable once filled.
class Embedding {
 public:
  Embedding() = default;
  // `table`: vocab x dims, row-major.
  Embedding(Arithmetic arithmetic, absl::Span<const float> table, int64_t dims,
            float scale);

  // hidden[r] = table[tokens[r]] * scale.
  // REQUIRES: every token is in 0 … vocab-1.
  void Look(absl::Span<const int32_t> tokens, float* hidden) const;

  // What Look() would give for a token whose row has these values.
  void LookAt(absl::Span<const float> row, float* hidden) const;

  int64_t bytes() const { return bf16_.size() * 2 + f32_.size() * 4; }

 private:
  int64_t dims_ = 0;
  float scale_ = 1;
  std::vector<Bf16> bf16_;  // one of the two is empty
  std::vector<float> f32_;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_OPS_EMBEDDING_H_
