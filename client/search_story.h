// What happened in a search, round by round.
//
// The journal keeps what was asked and measured; what the strategy made of it
// is told by the strategy itself, which is made anew and told all rounds again.
#ifndef EVOPRESS_CLIENT_SEARCH_STORY_H_
#define EVOPRESS_CLIENT_SEARCH_STORY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "evopress/v1/jobs.pb.h"
#include "evopress/v1/tasks.pb.h"
#include "search/strategy.h"

namespace evopress::client {

struct StoryRound {
  int64_t index = 0;
  std::string purpose;
  int64_t samples = 0;              // (assignment, sample) pairs
  int64_t tokens = 0;               // asked for up to and with this round
  std::vector<double> losses;       // mean of each candidate, in nats
  std::optional<double> incumbent;  // fitness of the best after this round
  bool changed = false;             // another one than before the round
};

struct SearchStory {
  std::string metric;  // "KL", "top-k KL", "NLL" or "worst relative KL" …
  std::string unit;    // of the losses
  std::vector<StoryRound> rounds;
  // False if the strategy of this program asks for other rounds than the
  // journal holds; incumbents and changes are then unknown.
  bool replayed = false;
};

// `rounds` as ListRounds gives them; `archive`: what the job started from, see
// earlier_jobs.h. InvalidArgument for messages that do not
// fit the job.
absl::StatusOr<SearchStory> TellStory(
    const v1::Job& job, const std::vector<v1::RoundRecord>& rounds,
    const v1::LevelTable& table, const search::Archive& archive = {});

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_SEARCH_STORY_H_
