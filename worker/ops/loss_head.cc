#include "worker/ops/loss_head.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "worker/ops/vector_math.h"

namespace evopress::worker {
namespace {

constexpr int64_t kChunk = 1024;  // logits of a panel then stay in the cache

float MaxOf(const float* x, int64_t n) {
  float max = -std::numeric_limits<float>::infinity();
  int64_t i = 0;
  if (n >= 8) {
    __m256 v = _mm256_loadu_ps(x);
    for (i = 8; i + 8 <= n; i += 8)
      v = _mm256_max_ps(v, _mm256_loadu_ps(x + i));
    max = Max(v);
  }
  for (; i < n; ++i) max = std::max(max, x[i]);
  return max;
}

// out[i] = exp(x[i] - shift); returns the sum.
float ExpAndSum(const float* x, int64_t n, float shift, float* out) {
  const __m256 s = _mm256_set1_ps(shift);
  __m256 sum = _mm256_setzero_ps();
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256 e = Exp(_mm256_sub_ps(_mm256_loadu_ps(x + i), s));
    _mm256_storeu_ps(out + i, e);
    sum = _mm256_add_ps(sum, e);
  }
  float total = Sum(sum);
  for (; i < n; ++i) {
    out[i] = Exp(x[i] - shift);
    total += out[i];
  }
  return total;
}

// Sums of exp(student - shift) and of p * (teacher - student).
struct StudentSums {
  float exponentials = 0;
  float divergence = 0;
};
StudentSums Accumulate(const float* teacher, const float* p,
                       const float* student, int64_t n, float shift) {
  const __m256 s = _mm256_set1_ps(shift);
  __m256 exponentials = _mm256_setzero_ps();
  __m256 divergence = _mm256_setzero_ps();
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256 x = _mm256_loadu_ps(student + i);
    exponentials = _mm256_add_ps(exponentials, Exp(_mm256_sub_ps(x, s)));
    divergence = _mm256_fmadd_ps(_mm256_loadu_ps(p + i),
                                 _mm256_sub_ps(_mm256_loadu_ps(teacher + i), x),
                                 divergence);
  }
  StudentSums sums{Sum(exponentials), Sum(divergence)};
  for (; i < n; ++i) {
    sums.exponentials += Exp(student[i] - shift);
    sums.divergence += p[i] * (teacher[i] - student[i]);
  }
  return sums;
}

// log(sum of exp) over chunks, by the running maximum.
struct RunningLogSum {
  float max = -1e30f;
  double sum = 0;

  void RaiseTo(float chunk_max) {
    if (chunk_max <= max) return;
    sum *= std::exp(static_cast<double>(max) - chunk_max);
    max = chunk_max;
  }
  double Value() const { return max + std::log(sum); }
};

// The k largest logits seen so far.
class TopK {
 public:
  explicit TopK(int64_t k) : k_(k) { entries_.reserve(4 * k + 8); }

  void Add(const float* logits, int64_t n, int32_t first_id) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
      const __m256 v = _mm256_loadu_ps(logits + i);
      if (_mm256_movemask_ps(
              _mm256_cmp_ps(v, _mm256_set1_ps(threshold_), _CMP_GT_OQ)) == 0) {
        continue;
      }
      for (int64_t j = i; j < i + 8; ++j) AddOne(logits[j], first_id + j);
    }
    for (; i < n; ++i) AddOne(logits[i], first_id + i);
  }

  std::vector<std::pair<float, int32_t>> Take() {
    Shrink();
    return std::move(entries_);
  }

 private:
  // Ids come in rising order, so a later equal never displaces an earlier.
  void AddOne(float logit, int32_t id) {
    if (!(logit > threshold_)) return;
    entries_.emplace_back(logit, id);
    if (entries_.size() >= static_cast<size_t>(4 * k_ + 8)) Shrink();
  }
  void Shrink() {
    if (entries_.size() <= static_cast<size_t>(k_)) return;
    std::nth_element(entries_.begin(), entries_.begin() + (k_ - 1),
                     entries_.end(), [](const auto& a, const auto& b) {
                       return a.first != b.first ? a.first > b.first
                                                 : a.second < b.second;
                     });
    entries_.resize(k_);
    threshold_ = entries_[k_ - 1].first;
  }

  int64_t k_;
  float threshold_ = -std::numeric_limits<float>::infinity();
  std::vector<std::pair<float, int32_t>> entries_;
};

// KL over the teacher's top tokens and the rest as one outcome.
double TopKDivergence(const TeacherPosition& teacher,
                      const std::vector<float>& student_logits,
                      double student_log_sum) {
  constexpr double kLeast = 1e-9;  // what float32 sums can tell from zero
  double kl = 0;
  double p_rest = 1;
  double q_rest = 1;
  for (size_t i = 0; i < teacher.top.size(); ++i) {
    const double log_p = teacher.top_log_probs[i];
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
  RunningLogSum log_sum;
  double divergence = 0;
  float next_logit = 0;
  std::vector<float> top_logits;
};

}  // namespace

absl::StatusOr<LossHead> LossHead::Create(Arithmetic arithmetic,
                                          absl::Span<const float> weight,
                                          int64_t vocab, int64_t dims,
                                          float softcap) {
  LossHead head;
  head.vocab_ = vocab;
  head.softcap_ = softcap;
  for (int64_t first = 0; first < vocab; first += kChunk) {
    const int64_t rows = std::min(kChunk, vocab - first);
    auto chunk = PackedMatrix::Create(
        arithmetic, weight.subspan(first * dims, rows * dims), rows, dims);
    if (!chunk.ok()) return chunk.status();
    head.chunks_.push_back(*std::move(chunk));
  }
  return head;
}

int64_t LossHead::bytes() const {
  int64_t total = 0;
  for (const auto& chunk : chunks_) total += chunk->bytes();
  return total;
}

absl::Status LossHead::Logits(int64_t chunk, const void* panel,
                              float* logits) const {
  const absl::Status status = chunks_[chunk]->Multiply(panel, logits);
  if (!status.ok() || softcap_ == 0) return status;
  // cap * tanh(x / cap) = cap * (1 - 2 / (1 + exp(2 x / cap)))
  for (int64_t i = 0; i < kPanelRows * chunks_[chunk]->rows(); ++i) {
    const float x = std::clamp(2 * logits[i] / softcap_, -80.0f, 80.0f);
    logits[i] = softcap_ * (1 - 2 / (1 + Exp(x)));
  }
  return status;
}

absl::Status LossHead::Teach(const void* final_panel, int32_t top_k,
                             absl::Span<TeacherPosition> out) const {
  std::vector<float> logits(kPanelRows * kChunk);
  std::vector<float> unused(kChunk);
  std::vector<RunningLogSum> sums(out.size());
  std::vector<TopK> tops(out.size(), TopK(std::max(top_k, 1)));
  for (size_t c = 0; c < chunks_.size(); ++c) {
    const int64_t n = chunks_[c]->rows();
    if (auto s = Logits(c, final_panel, logits.data()); !s.ok()) return s;
    for (size_t r = 0; r < out.size(); ++r) {
      const float* const row = logits.data() + r * n;
      sums[r].RaiseTo(MaxOf(row, n));
      sums[r].sum += ExpAndSum(row, n, sums[r].max, unused.data());
      tops[r].Add(row, n, c * kChunk);
    }
  }
  for (size_t r = 0; r < out.size(); ++r) {
    out[r].log_sum = sums[r].Value();
    auto top = tops[r].Take();
    std::sort(top.begin(), top.end(),
              [](const auto& a, const auto& b) { return a.second < b.second; });
    for (const auto& [logit, id] : top) {
      out[r].top.push_back(id);
      out[r].top_log_probs.push_back(logit - out[r].log_sum);
    }
  }
  return absl::OkStatus();
}

absl::Status LossHead::Compare(
    const void* teacher_panel, absl::Span<const TeacherPosition> teacher,
    absl::Span<const void* const> student_panels,
    absl::Span<const int32_t> next_tokens,
    absl::Span<std::vector<PositionLosses>> out) const {
  const size_t rows = next_tokens.size();
  const size_t students = student_panels.size();
  std::vector<float> teacher_logits(kPanelRows * kChunk);
  std::vector<float> p(kPanelRows * kChunk);
  std::vector<float> logits(kPanelRows * kChunk);
  std::vector<double> p_sum(rows, 0.0);
  std::vector<StudentPosition> state(students * rows);
  std::vector<size_t> top_begin(rows, 0);
  std::vector<size_t> top_end(rows, 0);
  for (size_t c = 0; c < chunks_.size(); ++c) {
    const int64_t n = chunks_[c]->rows();
    const int64_t first = c * kChunk;
    if (auto s = Logits(c, teacher_panel, teacher_logits.data()); !s.ok()) {
      return s;
    }
    for (size_t r = 0; r < rows; ++r) {
      p_sum[r] +=
          ExpAndSum(teacher_logits.data() + r * n, n,
                    static_cast<float>(teacher[r].log_sum), p.data() + r * n);
      top_begin[r] = top_end[r];
      while (top_end[r] < teacher[r].top.size() &&
             teacher[r].top[top_end[r]] < first + n) {
        ++top_end[r];
      }
    }
    for (size_t s = 0; s < students; ++s) {
      if (auto status = Logits(c, student_panels[s], logits.data());
          !status.ok()) {
        return status;
      }
      for (size_t r = 0; r < rows; ++r) {
        const float* const row = logits.data() + r * n;
        StudentPosition& student = state[s * rows + r];
        student.log_sum.RaiseTo(MaxOf(row, n));
        const StudentSums sums =
            Accumulate(teacher_logits.data() + r * n, p.data() + r * n, row, n,
                       student.log_sum.max);
        student.log_sum.sum += sums.exponentials;
        student.divergence += sums.divergence;
        for (size_t i = top_begin[r]; i < top_end[r]; ++i) {
          student.top_logits.push_back(row[teacher[r].top[i] - first]);
        }
        if (next_tokens[r] >= first && next_tokens[r] < first + n) {
          student.next_logit = row[next_tokens[r] - first];
        }
      }
    }
  }
  for (size_t s = 0; s < students; ++s) {
    out[s].resize(rows);
    for (size_t r = 0; r < rows; ++r) {
      const StudentPosition& student = state[s * rows + r];
      const double log_sum = student.log_sum.Value();
      // p was taken with log_sum as a float; p_sum makes up for what that and
      // rounding lost, so that equal logits give a divergence of zero.
      out[s][r].kl =
          (student.divergence / p_sum[r]) + (log_sum - teacher[r].log_sum);
      out[s][r].topk_kl =
          TopKDivergence(teacher[r], student.top_logits, log_sum);
      out[s][r].nll = log_sum - student.next_logit;
    }
  }
  return absl::OkStatus();
}

}  // namespace evopress::worker
