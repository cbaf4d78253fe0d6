#include "worker/ops/loss_head.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "worker/ops/top_k.h"
#include "worker/ops/vector_math.h"

namespace evopress::worker {
namespace {

constexpr int64_t kChunk = LossHead::kPartRows;

// A sum of exp(logit) over chunks. The first chunk's maximum is subtracted
// from all logits, until one stands out so far that floats would overflow.
struct LogSum {
  static constexpr float kHeadroom = 40;

  float shift = 0;
  double sum = 0;
  bool begun = false;

  // Call before a chunk is added. What exp(logit - shift) was summed up so far
  // must be multiplied by the factor returned, nearly always 1.
  double Admit(float chunk_max) {
    double factor = 1;
    if (begun && !(chunk_max > shift + kHeadroom)) return factor;
    if (begun) factor = std::exp(static_cast<double>(shift) - chunk_max);
    shift = chunk_max;
    sum *= factor;
    begun = true;
    return factor;
  }
  double Value() const { return shift + std::log(sum); }
};

// What the products read of a value.
float AsRead(float value, float) { return value; }
float AsRead(float value, Bf16) { return FromBf16(RoundToBf16(value)); }

// KL over the teacher's top tokens and the rest as one outcome.
double TopKDivergence(const TeacherPosition& teacher,
                      const std::vector<float>& student_logits,
                      double student_log_sum) {
  constexpr double kLeast = 1e-9;  // what float32 sums can tell from zero
  double kl = 0;
  double p_rest = 1;
  double q_rest = 1;
  for (size_t i = 0; i < teacher.top.size(); ++i) {
    const double log_p = teacher.top_logits[i] - teacher.log_sum;
    const double log_q = student_logits[i] - student_log_sum;
    const double p = std::exp(log_p);
    kl += p * (log_p - log_q);
    p_rest -= p;
    q_rest -= std::exp(log_q);
  }
  p_rest = std::max(p_rest, kLeast);
  q_rest = std::max(q_rest, kLeast);
  return kl + p_rest * std::log(p_rest / q_rest);
}

// Progress of one student at one position.
struct StudentPosition {
  LogSum log_sum;
  double difference = 0;  // mean of teacher's less own logits, if apart
  float next_logit = 0;
  std::vector<float> top_logits;
};

}  // namespace

absl::StatusOr<LossHead> LossHead::Create(Arithmetic arithmetic,
                                          absl::Span<const float> weight,
                                          int64_t vocab, int64_t dims,
                                          float softcap) {
  LossHead head;
  head.softcap_ = softcap;
  head.arithmetic_ = arithmetic;
  head.kernels_ = &KernelsFor(arithmetic);
  head.dims_ = dims;
  std::vector<float> transposed;
  for (int64_t first = 0; first < vocab; first += kChunk) {
    const int64_t rows = std::min(kChunk, vocab - first);
    const auto part = weight.subspan(first * dims, rows * dims);
    auto logits = PackedMatrix::Create(arithmetic, part, rows, dims);
    if (!logits.ok()) return logits.status();
    transposed.resize(rows * dims);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t d = 0; d < dims; ++d) {
        transposed[d * rows + r] = part[r * dims + d];
      }
    }
    auto mean = PackedMatrix::Create(arithmetic, transposed, dims, rows);
    if (!mean.ok()) return mean.status();
    head.chunks_.push_back({first, *std::move(logits), *std::move(mean)});
  }
  return head;
}

LossHead LossHead::OfParts(
    Arithmetic arithmetic,
    std::vector<std::shared_ptr<const PackedMatrix>> parts, float softcap) {
  LossHead head;
  head.softcap_ = softcap;
  head.arithmetic_ = arithmetic;
  head.kernels_ = &KernelsFor(arithmetic);
  head.dims_ = parts.empty() ? 0 : parts[0]->cols();
  int64_t first = 0;
  for (auto& part : parts) {
    const int64_t rows = part->rows();
    head.chunks_.push_back({first, std::move(part), nullptr});
    first += rows;
  }
  return head;
}

int64_t LossHead::bytes() const {
  int64_t total = 0;
  for (const Chunk& chunk : chunks_) {
    total += chunk.logits->bytes();
    if (chunk.mean != nullptr) total += chunk.mean->bytes();
  }
  return total;
}

absl::Status LossHead::Logits(const Chunk& chunk, const void* panel,
                              float* logits) const {
  const absl::Status status = chunk.logits->Multiply(panel, logits);
  if (!status.ok() || softcap_ == 0) return status;
  // cap * tanh(x / cap) = cap * (1 - 2 / (1 + exp(2 x / cap)))
  for (int64_t i = 0; i < kPanelRows * chunk.logits->rows(); ++i) {
    const float x = std::clamp(2 * logits[i] / softcap_, -80.0f, 80.0f);
    logits[i] = softcap_ * (1 - 2 / (1 + Exp(x)));
  }
  return status;
}

absl::Status LossHead::Teach(const void* final_panel, int32_t top_k,
                             absl::Span<TeacherPosition> out,
                             float* mean_rows) const {
  return arithmetic_ == Arithmetic::kBf16
             ? TeachIn<Bf16>(final_panel, top_k, out, mean_rows)
             : TeachIn<float>(final_panel, top_k, out, mean_rows);
}

template <typename Element>
absl::Status LossHead::TeachIn(const void* final_panel, int32_t top_k,
                               absl::Span<TeacherPosition> out,
                               float* mean_rows) const {
  const auto positions = static_cast<int64_t>(out.size());
  std::vector<float> logits(kPanelRows * kChunk);
  std::vector<Element> p(kPanelRows * kChunk);  // rows without position stay 0
  std::vector<float> product(kPanelRows * dims_);
  std::vector<LogSum> sums(positions);
  std::vector<TopK> tops(positions, TopK(std::max(top_k, 1)));
  std::fill_n(mean_rows, positions * dims_, 0.0f);
  for (const Chunk& chunk : chunks_) {
    const int64_t n = chunk.logits->rows();
    absl::Status status = Logits(chunk, final_panel, logits.data());
    if (!status.ok()) return status;
    std::fill(p.begin() + positions * n, p.end(), Element{0});
    for (int64_t r = 0; r < positions; ++r) {
      const float* const row = logits.data() + r * n;
      const double factor = sums[r].Admit(kernels_->max(row, n));
      if (factor != 1) {
        for (int64_t d = 0; d < dims_; ++d) mean_rows[r * dims_ + d] *= factor;
      }
      sums[r].sum +=
          kernels_->exp_operands(row, n, sums[r].shift, p.data() + r * n);
      tops[r].Add(row, n, chunk.first);
    }
    status = chunk.mean->Multiply(p.data(), product.data());
    if (!status.ok()) return status;
    for (int64_t i = 0; i < positions * dims_; ++i) mean_rows[i] += product[i];
  }
  for (int64_t r = 0; r < positions; ++r) {
    out[r].log_sum = sums[r].Value();
    const auto scale = static_cast<float>(1 / sums[r].sum);
    for (int64_t d = 0; d < dims_; ++d) mean_rows[r * dims_ + d] *= scale;
    for (const auto& [logit, id] : tops[r].Take()) {
      const float value = Exp(logit - sums[r].shift);
      out[r].top.push_back(id);
      out[r].top_logits.push_back(logit);
      out[r].top_rest.push_back((value - AsRead(value, Element{})) * scale);
    }
  }
  return absl::OkStatus();
}

double LossHead::MeanDifference(const TeacherPanel& teacher,
                                const void* student,
                                absl::Span<const float> student_top_logits,
                                int64_t row) const {
  const int64_t first = row * dims_ * ElementBytes(arithmetic_);
  double mean_difference = kernels_->dot_difference(
      teacher.mean_rows + row * dims_,
      static_cast<const uint8_t*>(teacher.final) + first,
      static_cast<const uint8_t*>(student) + first, dims_);
  const TeacherPosition& known = teacher.positions[row];
  for (size_t i = 0; i < known.top.size(); ++i) {
    mean_difference +=
        known.top_rest[i] * (known.top_logits[i] - student_top_logits[i]);
  }
  return mean_difference;
}

absl::Status LossHead::Compare(
    const LossHead& teacher_head, const TeacherPanel& teacher,
    absl::Span<const void* const> student_panels,
    absl::Span<const int32_t> next_tokens,
    absl::Span<std::vector<PositionLosses>> out) const {
  const size_t rows = next_tokens.size();
  const size_t students = student_panels.size();
  std::vector<float> logits(kPanelRows * kChunk);
  // Logits differ by more than a product with h - h'.
  const bool apart =
      (softcap_ != 0 || &teacher_head != this) && !teacher.positions.empty();
  std::vector<float> teacher_logits(apart ? logits.size() : 0);
  std::vector<StudentPosition> state(students * rows);
  std::vector<size_t> top_begin(rows, 0);
  std::vector<size_t> top_end(rows, 0);
  for (size_t c = 0; c < chunks_.size(); ++c) {
    const Chunk& chunk = chunks_[c];
    const int64_t n = chunk.logits->rows();
    for (size_t r = 0; r < teacher.positions.size(); ++r) {
      const std::vector<int32_t>& top = teacher.positions[r].top;
      top_begin[r] = top_end[r];
      while (top_end[r] < top.size() && top[top_end[r]] < chunk.first + n) {
        ++top_end[r];
      }
    }
    if (apart) {
      auto status = teacher_head.Logits(teacher_head.chunks_[c], teacher.final,
                                        teacher_logits.data());
      if (!status.ok()) return status;
    }
    for (size_t s = 0; s < students; ++s) {
      if (auto status = Logits(chunk, student_panels[s], logits.data());
          !status.ok()) {
        return status;
      }
      for (size_t r = 0; r < rows; ++r) {
        const float* const row = logits.data() + r * n;
        StudentPosition& student = state[s * rows + r];
        student.log_sum.Admit(kernels_->max(row, n));
        student.log_sum.sum += kernels_->sum_exp(row, n, student.log_sum.shift);
        if (apart) {
          student.difference += kernels_->mean_difference(
              teacher_logits.data() + r * n, row, n,
              static_cast<float>(teacher.positions[r].log_sum));
        }
        for (size_t i = top_begin[r]; i < top_end[r]; ++i) {
          student.top_logits.push_back(
              row[teacher.positions[r].top[i] - chunk.first]);
        }
        const int64_t next = next_tokens[r] - chunk.first;
        if (next >= 0 && next < n) student.next_logit = row[next];
      }
    }
  }
  for (size_t s = 0; s < students; ++s) {
    out[s].resize(rows);
    for (size_t r = 0; r < rows; ++r) {
      const StudentPosition& student = state[s * rows + r];
      const double log_sum = student.log_sum.Value();
      out[s][r].nll = log_sum - student.next_logit;
      if (teacher.positions.empty()) continue;
      const TeacherPosition& known = teacher.positions[r];
      const double difference = apart
                                    ? student.difference
                                    : MeanDifference(teacher, student_panels[s],
                                                     student.top_logits, r);
      out[s][r].kl = difference + (log_sum - known.log_sum);
      out[s][r].topk_kl = TopKDivergence(known, student.top_logits, log_sum);
    }
  }
  return absl::OkStatus();
}

}  // namespace evopress::worker
