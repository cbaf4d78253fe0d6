#include "search/replay.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace evopress::search {

RoundResults MeasureRound(const Round& round, const Measure& measure) {
  RoundResults results;
  results.reserve(round.evaluations.size());
  for (const Evaluation& evaluation : round.evaluations) {
    std::vector<SampleSums>& sums = results.emplace_back();
    for (int32_t sample : evaluation.samples) {
      sums.push_back(measure(evaluation.assignment, sample));
    }
  }
  return results;
}

absl::StatusOr<ReplayResult> RunToEnd(Strategy& strategy, Step step,
                                      History history, const Measure& measure,
                                      int64_t max_rounds,
                                      const RoundObserver& observer) {
  ReplayResult result;
  while (const Round* round = std::get_if<Round>(&step)) {
    if (result.rounds == max_rounds) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "the search did not end within ", max_rounds, " rounds"));
    }
    if (observer) observer(*round);
    const RoundResults results = MeasureRound(*round, measure);
    for (const auto& samples : results) result.measurements += samples.size();
    ++result.rounds;
    history.Add(*round, results);
    absl::StatusOr<Step> next = strategy.Tell(results);
    if (!next.ok()) return next.status();
    step = *std::move(next);
  }
  result.done = std::get<Done>(std::move(step));
  result.history_hash = history.head();
  return result;
}

}  // namespace evopress::search
