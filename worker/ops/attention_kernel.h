// worker/ops/attention_kernel.h
// Attention of one head for some queries, once per arithmetic: block by block
// over the keys with a running softmax (arXiv 2205.14135).
#ifndef EVOPRESS_WORKER_OPS_ATTENTION_KERNEL_H_
#define EVOPRESS_WORKER_OPS_ATTENTION_KERNEL_H_

#include <cstdint>

#include "worker/ops/arithmetic.h"

namespace evopress::worker {

// Queries that are computed together; numbers of queries are multiples of it.
inline constexpr int64_t kQueryRows = 32;
// Keys whose scores are held at a time.
inline constexpr int64_t kKeyColumns = 128;
// Columns of a packed panel of keys or values.
inline constexpr int64_t kPanelColumns = 16;
// Above any model's: what belongs to a block of queries is on the stack.
inline constexpr int64_t kMaxHeadDim = 512;
// The score of a key that must not be seen.
inline constexpr float kMaskedScore = -1e30f;

// One head of one sequence. Keys and values are in panels (attention.h).
template <typename Element>
struct HeadView {
  const Element* queries = nullptr;  // row r at queries + r * stride
  const Element* keys = nullptr;     // panels head_dim * 16 apart
  const Element* values = nullptr;   // panels capacity * 16 apart
  Element* out = nullptr;            // as the queries
  int64_t stride = 0;
  int64_t capacity = 0;
  int64_t head_dim = 0;  // a multiple of 16
  float scale = 1;       // multiplies scores
  int64_t window = 0;    // keys a query sees, itself included; 0: all before it
};

// Computes `rows` queries from `first_row`; both multiples of kQueryRows.
void AttendF32(const HeadView<float>& head, int64_t first_row, int64_t rows);
// On tiles (AMX) where UsesTiles(), else with AVX-512.
void AttendBf16(const HeadView<Bf16>& head, int64_t first_row, int64_t rows);

// Packs kPanelRows rows of `heads` x `head_dim` values into the panels of keys
// and values that begin at position `first_row`. `out` is that of head 0; heads
// are capacity * head_dim apart.
void PackKeysBf16(const float* in, int64_t heads, int64_t head_dim,
                  int64_t capacity, int64_t first_row, Bf16* out);
void PackValuesBf16(const float* in, int64_t heads, int64_t head_dim,
                    int64_t capacity, int64_t first_row, Bf16* out);
void PackQueriesBf16(const float* in, int64_t values, Bf16* out);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_OPS_ATTENTION_KERNEL_H_
