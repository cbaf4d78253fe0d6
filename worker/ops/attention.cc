#include "worker/ops/attention.h"

#include <cstring>

namespace evopress::worker {

AttentionBuffers::AttentionBuffers(Arithmetic arithmetic,
                                   const AttentionShape& shape,
                                   int64_t capacity)
    : arithmetic_(arithmetic), shape_(shape), capacity_(capacity) {
  const int64_t row_bytes = shape.head_dim * ElementBytes(arithmetic);
  queries_.resize(capacity * shape.heads * row_bytes);
  output_.resize(capacity * shape.heads * row_bytes);
  keys_.resize(capacity * shape.kv_heads * row_bytes);
  values_.resize(capacity * shape.kv_heads * row_bytes);
}

void AttentionBuffers::StoreQueries(int64_t first_row, const float* queries) {
  const int64_t width = shape_.heads * shape_.head_dim;
  uint8_t* const out =
      queries_.data() + first_row * width * ElementBytes(arithmetic_);
  if (arithmetic_ == Arithmetic::kBf16) {
    PackQueriesBf16(queries, kPanelRows * width, reinterpret_cast<Bf16*>(out));
  } else {
    std::memcpy(out, queries, kPanelRows * width * sizeof(float));
  }
}

// A float at (row, dim) goes to panel column / 16, where the column is the row
// for keys and the dimension for values; the other index is summed over.
void AttentionBuffers::StorePanels(bool transposed, int64_t first_row,
                                   const float* in,
                                   std::vector<uint8_t>& out) const {
  const int64_t dims = shape_.head_dim;
  auto* const elements = reinterpret_cast<float*>(out.data());
  for (int64_t h = 0; h < shape_.kv_heads; ++h) {
    float* const head = elements + h * capacity_ * dims;
    for (int64_t r = 0; r < kPanelRows; ++r) {
      const float* const x = in + (r * shape_.kv_heads + h) * dims;
      const int64_t row = first_row + r;
      for (int64_t d = 0; d < dims; ++d) {
        const int64_t column = transposed ? row : d;
        const int64_t inner = transposed ? d : row;
        const int64_t inner_size = transposed ? dims : capacity_;
        head[column / kPanelColumns * inner_size * kPanelColumns +
             inner * kPanelColumns + column % kPanelColumns] = x[d];
      }
    }
  }
}

void AttentionBuffers::StoreKeys(int64_t first_row, const float* keys) {
  if (arithmetic_ == Arithmetic::kBf16) {
    PackKeysBf16(keys, shape_.kv_heads, shape_.head_dim, capacity_, first_row,
                 reinterpret_cast<Bf16*>(keys_.data()));
  } else {
    StorePanels(/*transposed=*/true, first_row, keys, keys_);
  }
}

void AttentionBuffers::StoreValues(int64_t first_row, const float* values) {
  if (arithmetic_ == Arithmetic::kBf16) {
    PackValuesBf16(values, shape_.kv_heads, shape_.head_dim, capacity_,
                   first_row, reinterpret_cast<Bf16*>(values_.data()));
  } else {
    StorePanels(/*transposed=*/false, first_row, values, values_);
  }
}

template <typename Element>
HeadView<Element> AttentionBuffers::View(const AttentionShape& shape,
                                         int64_t head) {
  const int64_t dims = shape_.head_dim;
  const int64_t kv_offset =
      head / (shape_.heads / shape_.kv_heads) * capacity_ * dims;
  return {.queries = reinterpret_cast<Element*>(queries_.data()) + head * dims,
          .keys = reinterpret_cast<Element*>(keys_.data()) + kv_offset,
          .values = reinterpret_cast<Element*>(values_.data()) + kv_offset,
          .out = reinterpret_cast<Element*>(output_.data()) + head * dims,
          .stride = shape_.heads * dims,
          .capacity = capacity_,
          .head_dim = dims,
          .scale = shape.scale,
          .window = shape.window};
}

void AttentionBuffers::Attend(const AttentionShape& shape, int64_t head,
                              int64_t first_row) {
  if (arithmetic_ == Arithmetic::kBf16) {
    AttendBf16(View<Bf16>(shape, head), first_row, kPanelRows);
  } else {
    AttendF32(View<float>(shape, head), first_row, kPanelRows);
  }
}

}  // namespace evopress::worker
