#include "search/strategy.h"

#include <cmath>
#include <limits>

namespace evopress::search {

double MeanMetric(const std::vector<SampleSums>& samples, Metric metric) {
  double sum = 0;
  int64_t positions = 0;
  for (const SampleSums& sample : samples) {
    switch (metric) {
      case Metric::kKl:
        sum += sample.kl;
        break;
      case Metric::kTopKKl:
        sum += sample.topk_kl;
        break;
      case Metric::kNll:
        sum += sample.nll;
        break;
    }
    if (sample.positions < 0 ||
        __builtin_add_overflow(positions, sample.positions, &positions)) {
      return std::numeric_limits<double>::infinity();
    }
  }
  if (positions == 0 || !std::isfinite(sum)) {
    return std::numeric_limits<double>::infinity();
  }
  return sum / static_cast<double>(positions);
}

void AddTo(Archive& archive, const Round& round, const RoundResults& results) {
  for (size_t i = 0; i < round.evaluations.size(); ++i) {
    const Evaluation& evaluation = round.evaluations[i];
    std::map<int32_t, SampleSums>& row = archive[evaluation.assignment];
    for (size_t s = 0; s < evaluation.samples.size(); ++s) {
      row.emplace(evaluation.samples[s], results[i][s]);
    }
  }
}

int64_t CountSamples(const Round& round) {
  int64_t samples = 0;
  for (const Evaluation& evaluation : round.evaluations) {
    samples += static_cast<int64_t>(evaluation.samples.size());
  }
  return samples;
}

}  // namespace evopress::search
