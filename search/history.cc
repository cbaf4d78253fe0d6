#include "search/history.h"

#include <utility>

#include "search/digest.h"

namespace evopress::search {

History::History(const std::string& origin) {
  CanonicalWriter out("evopress.history.1");
  out.Text(origin);
  head_ = out.Sha256();
}

History::History(std::string head, int64_t rounds)
    : head_(std::move(head)), rounds_(rounds) {}

void History::Add(const Round& round, const RoundResults& results) {
  CanonicalWriter out("evopress.round.1");
  out.Text(head_);
  out.Int(round.index);
  out.Word(round.evaluations.size());
  for (const Evaluation& evaluation : round.evaluations) {
    out.Word(evaluation.assignment.levels.size());
    for (uint16_t level : evaluation.assignment.levels) out.Word(level);
    out.Word(evaluation.samples.size());
    for (int32_t sample : evaluation.samples) out.Int(sample);
  }
  out.Word(results.size());
  for (const std::vector<SampleSums>& samples : results) {
    out.Word(samples.size());
    for (const SampleSums& sums : samples) {
      out.Double(sums.kl);
      out.Double(sums.topk_kl);
      out.Double(sums.nll);
      out.Int(sums.positions);
    }
  }
  head_ = out.Sha256();
  ++rounds_;
}

}  // namespace evopress::search
