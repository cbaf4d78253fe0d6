// worker/ops/loss_head.h
// Losses of students against a teacher over the whole vocabulary, without
// keeping logits and, once the teacher is known, without computing the
// teacher's again.
//
// With teacher distribution p, logits z = W h and Z = sum of exp(z),
//
//   KL = sum_v p_v (z_v - z'_v) + log Z' - log Z
//      = (W^T p) . (h - h')     + log Z' - log Z
//
// where h, z, Z are the teacher's and h', z', Z' the student's. W^T p, the mean
// row of W, has as many numbers as h and is made once per teacher position;
// the exact divergence then costs what the NLL alone costs. The product is made
// in the arithmetic of the engine. Of the tokens with the largest p, what
// rounding p lost is made up for with the logits that the top-k KL reads
// anyway.
//
// Logits that are capped are not linear in h, and students may have a head W'
// of their own; then the sum over the vocabulary is taken, with the teacher's
// logits computed again.
#ifndef EVOPRESS_WORKER_OPS_LOSS_HEAD_H_
#define EVOPRESS_WORKER_OPS_LOSS_HEAD_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "worker/ops/arithmetic.h"
#include "worker/ops/kernels.h"
#include "worker/ops/matmul.h"

namespace evopress::worker {

// What is known of the teacher at one position, beside its mean row.
struct TeacherPosition {
  double log_sum = 0;             // log of the sum of exp(logit)
  std::vector<int32_t> top;       // token ids, rising
  std::vector<float> top_logits;  // of `top`
  std::vector<float> top_rest;    // p less the p that the mean row was made of
};

// The teacher at the positions of a panel.
struct TeacherPanel {
  const void* final = nullptr;       // hidden values, as the students'
  const float* mean_rows = nullptr;  // positions x dims
  absl::Span<const TeacherPosition> positions;
};

struct PositionLosses {
  double kl = 0;
  double topk_kl = 0;
  double nll = 0;
};

// Immutable and thread-safe. `final` panels below are kPanelRows rows of
// hidden values after the final norm, in the arithmetic's element type; only
// as many of their rows count as there are positions.
class LossHead {
 public:
  // `weight`: vocab x dims, row-major. `softcap`: 0, or logits are
  // softcap * tanh(W h / softcap).
  static absl::StatusOr<LossHead> Create(Arithmetic arithmetic,
                                         absl::Span<const float> weight,
                                         int64_t vocab, int64_t dims,
                                         float softcap);

  // Rows of a part below.
  static constexpr int64_t kPartRows = 1024;  // logits then stay in the cache

  // A head for students alone, that cannot Teach(): `parts` are its rows, in
  // order, kPartRows each but for the last.
  static LossHead OfParts(
      Arithmetic arithmetic,
      std::vector<std::shared_ptr<const PackedMatrix>> parts, float softcap);

  // Fills one TeacherPosition and one mean row of `dims` numbers for each of
  // the first `out.size()` rows.
  absl::Status Teach(const void* final_panel, int32_t top_k,
                     absl::Span<TeacherPosition> out, float* mean_rows) const;

  // out[s][r]: losses of student s at row r, against next_tokens[r]. Every
  // out[s] and `teacher` have next_tokens.size() entries; without a teacher
  // (no positions) only the NLL is filled in. `teacher_head` is the head that
  // taught: this one or another.
  absl::Status Compare(const LossHead& teacher_head,
                       const TeacherPanel& teacher,
                       absl::Span<const void* const> student_panels,
                       absl::Span<const int32_t> next_tokens,
                       absl::Span<std::vector<PositionLosses>> out) const;

  // Memory taken.
  int64_t bytes() const;

 private:
  // Rows first … first + logits->rows() of W, for z = W h and for W^T p.
  struct Chunk {
    int64_t first;
    std::shared_ptr<const PackedMatrix> logits;
    std::shared_ptr<const PackedMatrix> mean;  // null: of students alone
  };

  LossHead() = default;
  absl::Status Logits(const Chunk& chunk, const void* panel,
                      float* logits) const;
  template <typename Element>
  absl::Status TeachIn(const void* final_panel, int32_t top_k,
                       absl::Span<TeacherPosition> out, float* mean_rows) const;
  // (W^T p) . (h - h') of a row, with what rounding p lost.
  double MeanDifference(const TeacherPanel& teacher, const void* student,
                        absl::Span<const float> student_top_logits,
                        int64_t row) const;

  Arithmetic arithmetic_ = Arithmetic::kF32;
  const Kernels* kernels_ = nullptr;
  int64_t dims_ = 0;
  float softcap_ = 0;
  std::vector<Chunk> chunks_;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_OPS_LOSS_HEAD_H_
