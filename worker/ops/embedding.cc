#include "worker/ops/embedding.h"

#include "worker/ops/vector_math.h"

namespace evopress::worker {

Embedding::Embedding(Arithmetic arithmetic, absl::Span<const float> table,
                     int64_t dims, float scale)
    : dims_(dims), scale_(scale) {
  if (arithmetic == Arithmetic::kF32) {
    f32_.assign(table.begin(), table.end());
    return;
  }
  bf16_.resize(table.size());
  for (size_t i = 0; i < table.size(); ++i) bf16_[i] = RoundToBf16(table[i]);
}

void Embedding::Look(absl::Span<const int32_t> tokens, float* hidden) const {
  for (const int32_t token : tokens) {
    const int64_t row = token * dims_;
    for (int64_t i = 0; i < dims_; ++i) {
      const float x = f32_.empty() ? FromBf16(bf16_[row + i]) : f32_[row + i];
      hidden[i] = x * scale_;
    }
    hidden += dims_;
  }
}

void Embedding::LookAt(absl::Span<const float> row, float* hidden) const {
  for (int64_t i = 0; i < dims_; ++i) {
    const float x = f32_.empty() ? FromBf16(RoundToBf16(row[i])) : row[i];
    hidden[i] = x * scale_;
  }
}

}  // namespace evopress::worker
