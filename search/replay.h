// Runs a strategy to its end in one thread: for tests, simulations and for
// checking a journal against its history hash.
#ifndef EVOPRESS_SEARCH_REPLAY_H_
#define EVOPRESS_SEARCH_REPLAY_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "search/history.h"
#include "search/strategy.h"

namespace evopress::search {

// Measures one assignment on one sample; must be a pure function.
using Measure = std::function<SampleSums(const Assignment&, int32_t sample)>;

// Called with every round before it is measured.
using RoundObserver = std::function<void(const Round&)>;

struct ReplayResult {
  Done done;
  std::string history_hash;
  int64_t rounds = 0;
  int64_t measurements = 0;  // (assignment, sample) pairs
};

RoundResults MeasureRound(const Round& round, const Measure& measure);

// Goes on from `step`, the step that `strategy` has pending. ResourceExhausted
// after `max_rounds`; errors of the strategy are returned as they are.
absl::StatusOr<ReplayResult> RunToEnd(Strategy& strategy, Step step,
                                      History history, const Measure& measure,
                                      int64_t max_rounds = 1'000'000,
                                      const RoundObserver& observer = {});

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_REPLAY_H_
