// worker/ops/loss_head.h
// The output head and the losses over its whole vocabulary, chunk by chunk:
// logits of a panel of positions are never all in memory at once.
//
// With p the teacher's and q the student's distribution after a position:
//   KL      = sum over the vocabulary of p (log p - log q);
//   top-k KL: the same over k+1 outcomes: the teacher's k likeliest tokens
//             (the lower id first among equals), and "any other token";
//   NLL     = -log q[next token].
// Exponentials are float32, sums within a chunk float32, all others double.
#ifndef EVOPRESS_WORKER_OPS_LOSS_HEAD_H_
#define EVOPRESS_WORKER_OPS_LOSS_HEAD_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "worker/ops/arithmetic.h"
#include "worker/ops/matmul.h"

namespace evopress::worker {

// What is known of the teacher at one position.
struct TeacherPosition {
  double log_sum = 0;                // log of the sum of exp(logit)
  std::vector<int32_t> top;          // token ids, rising
  std::vector<float> top_log_probs;  // of `top`
};

struct PositionLosses {
  double kl = 0;
  double topk_kl = 0;
  double nll = 0;
};

// Immutable and thread-safe. `final` panels below are kPanelRows rows of
// hidden values after the final norm, in the arithmetic's element type; only
// their first `positions` rows count.
class LossHead {
 public:
  // `weight`: vocab x dims, row-major. softcap 0: none.
  static absl::StatusOr<LossHead> Create(Arithmetic arithmetic,
                                         absl::Span<const float> weight,
                                         int64_t vocab, int64_t dims,
                                         float softcap);

  // Fills one TeacherPosition for each of the first `out.size()` rows.
  absl::Status Teach(const void* final_panel, int32_t top_k,
                     absl::Span<TeacherPosition> out) const;

  // out[s][r]: losses of student s at row r, against next_tokens[r]. Every
  // out[s] and `teacher` have next_tokens.size() entries.
  absl::Status Compare(const void* teacher_panel,
                       absl::Span<const TeacherPosition> teacher,
                       absl::Span<const void* const> student_panels,
                       absl::Span<const int32_t> next_tokens,
                       absl::Span<std::vector<PositionLosses>> out) const;

  int64_t bytes() const;

 private:
  LossHead() = default;
  absl::Status Logits(int64_t chunk, const void* panel, float* logits) const;

  int64_t vocab_ = 0;
  float softcap_ = 0;
  std::vector<std::shared_ptr<const PackedMatrix>> chunks_;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_OPS_LOSS_HEAD_H_
