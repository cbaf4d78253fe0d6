#include "worker/torch/loss.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

namespace evopress::worker {
namespace {

constexpr int64_t kPart = 16384;  // tokens of the vocabulary at a time
constexpr double kLeast = 1e-9;   // as in the cpu engine's top-k KL

// log of the sum over all parts, from that of each.
at::Tensor LogSum(const std::vector<at::Tensor>& parts) {
  return at::logsumexp(at::stack(parts), 0);
}

// KL over the top tokens and the rest as one outcome, at every position.
at::Tensor TopKDivergence(const TorchTeacher& teacher,
                          const at::Tensor& student_top,
                          const at::Tensor& student_log_sum) {
  const at::Tensor log_p =
      teacher.top_logits.to(at::kDouble) - teacher.log_sum.unsqueeze(1);
  const at::Tensor log_q =
      student_top.to(at::kDouble) - student_log_sum.unsqueeze(1);
  const at::Tensor p = log_p.exp();
  const at::Tensor p_rest = (1 - p.sum(1)).clamp_min(kLeast);
  const at::Tensor q_rest = (1 - log_q.exp().sum(1)).clamp_min(kLeast);
  return (p * (log_p - log_q)).sum(1) + p_rest * (p_rest / q_rest).log();
}

// The logits of `ids` (positions x k) that lie in a part go to `out`.
void Pick(const at::Tensor& logits, int64_t first, const at::Tensor& ids,
          at::Tensor& out) {
  const at::Tensor local = ids - first;
  const at::Tensor inside = local.ge(0).logical_and(local.lt(logits.size(1)));
  out = at::where(inside, logits.gather(1, local.clamp(0, logits.size(1) - 1)),
                  out);
}

}  // namespace

int64_t TorchTeacher::bytes() const {
  return final.nbytes() + mean_rows.nbytes() + log_sum.nbytes() + top.nbytes() +
         top_logits.nbytes();
}

at::Tensor TorchLoss::Rounded(const at::Tensor& final) const {
  return final.narrow(0, 0, final.size(0) - 1).to(device_.type).to(at::kFloat);
}

void TorchLoss::ForEachPart(
    const at::Tensor& head, const at::Tensor& final,
    const std::function<void(int64_t, const at::Tensor&)>& use) const {
  const int64_t vocab = head.size(0);
  for (int64_t first = 0; first < vocab; first += kPart) {
    const at::Tensor rows =
        head.narrow(0, first, std::min(kPart, vocab - first));
    at::Tensor logits = at::linear(final, rows.to(at::kFloat));
    if (softcap_ != 0) logits = at::tanh(logits / softcap_) * softcap_;
    use(first, logits);
  }
}

TorchTeacher TorchLoss::Teach(const at::Tensor& final) const {
  TorchTeacher teacher;
  teacher.final = Rounded(final);
  std::vector<at::Tensor> sums, logits_found, ids_found;
  ForEachPart(
      head_, teacher.final, [&](int64_t first, const at::Tensor& logits) {
        sums.push_back(at::logsumexp(logits, 1).to(at::kDouble));
        const auto [values, ids] =
            at::topk(logits, std::min<int64_t>(top_k_, logits.size(1)), 1);
        logits_found.push_back(values);
        ids_found.push_back(ids + first);
      });
  teacher.log_sum = LogSum(sums);
  const at::Tensor all = at::cat(logits_found, 1);
  at::Tensor order;
  std::tie(teacher.top_logits, order) =
      at::topk(all, std::min<int64_t>(top_k_, all.size(1)), 1);
  teacher.top = at::cat(ids_found, 1).gather(1, order);
  teacher.mean_rows = at::zeros_like(teacher.final);
  if (softcap_ != 0) return teacher;  // not of use: see Compare
  const at::Tensor shift = teacher.log_sum.to(at::kFloat).unsqueeze(1);
  ForEachPart(head_, teacher.final,
              [&](int64_t first, const at::Tensor& logits) {
                const at::Tensor rows = head_.narrow(0, first, logits.size(1));
                teacher.mean_rows +=
                    at::matmul((logits - shift).exp(), rows.to(at::kFloat));
              });
  return teacher;
}

search::SampleSums TorchLoss::Compare(const TorchTeacher& teacher,
                                      const at::Tensor& final,
                                      const at::Tensor& tokens,
                                      const at::Tensor& head) const {
  // Logits differ by more than a product with h - h'.
  const bool apart = softcap_ != 0 || head.defined();
  const at::Tensor student = Rounded(final);
  const int64_t positions = student.size(0);
  const at::Tensor next = tokens.narrow(0, 1, positions).unsqueeze(1);
  at::Tensor next_logits =
      at::zeros({positions, 1}, device_.Options(at::kFloat));
  at::Tensor top_logits = at::zeros_like(teacher.top_logits);
  // sum of p (z - z'): by the mean row, or over the logits themselves.
  at::Tensor difference =
      apart ? at::zeros({positions}, device_.Options(at::kDouble))
            : (teacher.mean_rows * (teacher.final - student))
                  .to(at::kDouble)
                  .sum(1);
  std::vector<at::Tensor> sums;
  ForEachPart(head.defined() ? head : head_, student,
              [&](int64_t first, const at::Tensor& logits) {
                sums.push_back(at::logsumexp(logits, 1).to(at::kDouble));
                Pick(logits, first, next, next_logits);
                Pick(logits, first, teacher.top, top_logits);
                if (!apart) return;
                const at::Tensor rows = head_.narrow(0, first, logits.size(1));
                at::Tensor known =
                    at::linear(teacher.final, rows.to(at::kFloat));
                if (softcap_ != 0)
                  known = at::tanh(known / softcap_) * softcap_;
                const at::Tensor p =
                    (known - teacher.log_sum.to(at::kFloat).unsqueeze(1)).exp();
                difference += (p * (known - logits)).to(at::kDouble).sum(1);
              });
  const at::Tensor log_sum = LogSum(sums);
  const at::Tensor losses =
      at::stack({difference + (log_sum - teacher.log_sum),
                 TopKDivergence(teacher, top_logits, log_sum),
                 log_sum - next_logits.squeeze(1).to(at::kDouble)})
          .sum(1)
          .to(at::kCPU);
  const double* const total = losses.const_data_ptr<double>();
  return {total[0], total[1], total[2], positions};
}

}  // namespace evopress::worker
