// worker/ops/attention.h
// Causal attention with grouped key/value heads, optionally over a sliding
// window; block by block with a running softmax (arXiv 2205.14135), so no
// score matrix is ever held.
//
// Keys and values are kept packed in panels of 16 columns, in the order in
// which the kernels read them. Nothing depends on the batch or on threads: a
// query block of a head is computed by one thread, always in the same order.
#ifndef EVOPRESS_WORKER_OPS_ATTENTION_H_
#define EVOPRESS_WORKER_OPS_ATTENTION_H_

#include <cstdint>
#include <vector>

#include "worker/ops/arithmetic.h"
#include "worker/ops/attention_kernel.h"

namespace evopress::worker {

struct AttentionShape {
  int64_t heads = 0;
  int64_t kv_heads = 0;  // divides heads
  int64_t head_dim = 0;  // a multiple of 16, at most kMaxHeadDim
  float scale = 1;       // multiplies scores
  int64_t window = 0;    // keys a query sees, itself included; 0: all before it
};

// One sequence's queries, keys, values and results in one layer. `rows` is
// its length rounded up to a multiple of kPanelRows.
class AttentionBuffers {
 public:
  // Contents are zero at first. The buffers may be reused for sequences of at
  // most `capacity` rows by Reset.
  AttentionBuffers(Arithmetic arithmetic, const AttentionShape& shape,
                   int64_t capacity);
  void Reset(int64_t rows) { rows_ = rows; }
  int64_t rows() const { return rows_; }

  // Take kPanelRows rows of heads x head_dim (kv_heads x head_dim) values.
  // Concurrent calls must be for different panels.
  void StoreQueries(int64_t first_row, const float* queries);
  void StoreKeys(int64_t first_row, const float* keys);
  void StoreValues(int64_t first_row, const float* values);

  // Computes the results of `head` for kPanelRows queries from `first_row`;
  // `shape` may differ from the constructor's in scale and window only.
  void Attend(const AttentionShape& shape, int64_t head, int64_t first_row);

  // Row-major rows x (heads * head_dim), in the arithmetic's element type.
  uint8_t* output() { return output_.data(); }

 private:
  void StorePanels(bool transposed, int64_t first_row, const float* in,
                   std::vector<uint8_t>& out) const;
  template <typename Element>
  HeadView<Element> View(const AttentionShape& shape, int64_t head);

  Arithmetic arithmetic_;
  AttentionShape shape_;
  int64_t capacity_;
  int64_t rows_ = 0;
  // w = 2 for bf16, 1 for f32
  std::vector<uint8_t> queries_;  // [row][head][dim]
  std::vector<uint8_t> keys_;     // [head][row / 16][dim / w][row % 16][w]
  std::vector<uint8_t> values_;   // [head][dim / 16][row / w][dim % 16][w]
  std::vector<uint8_t> output_;   // as queries_
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_OPS_ATTENTION_H_
