// A search without a model: the real strategy is told made-up results, to
// learn what it asks for. How much work a round is depends on how long its
// assignments agree, which no formula knows.
//
// The made-up loss adds up over units, falls fourfold with every bit as
// quantization errors do, and has some noise; nothing but the amount of work
// should be read from it.
#ifndef EVOPRESS_CLIENT_SEARCH_REHEARSAL_H_
#define EVOPRESS_CLIENT_SEARCH_REHEARSAL_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "search/strategy.h"
#include "search/strategy_options.h"

namespace evopress::client {

// What a worker does for one task, in tokens.
struct TaskWork {
  int64_t tokens = 0;       // of all assignments: measured
  double block_tokens = 0;  // through all blocks, shared ones once
  int64_t new_tokens = 0;   // of sequences that no task before had
};

struct Rehearsal {
  std::vector<std::vector<TaskWork>> rounds;
  int64_t tokens = 0;
  double strategy_seconds = 0;  // spent by the strategy itself
  // False: `patience` ran out, and the rounds are only the first ones.
  bool finished = false;
};

// `input` without layer errors (they are made up too). Errors of the strategy
// are returned as they are.
absl::StatusOr<Rehearsal> RehearseSearch(search::StrategyInput input,
                                         const search::StrategyOptions& options,
                                         absl::Duration patience);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_SEARCH_REHEARSAL_H_
