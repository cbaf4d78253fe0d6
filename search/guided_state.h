// Where a guided search is: all that its next step depends on beside its input.
#ifndef EVOPRESS_SEARCH_GUIDED_STATE_H_
#define EVOPRESS_SEARCH_GUIDED_STATE_H_

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "search/measured.h"
#include "search/space.h"
#include "search/strategy_options.h"

namespace evopress::search {

// Steps of the descent at most; the last one goes all the way.
inline constexpr int kDescentSteps = 6;

// What the pending round is for.
enum class GuidedPhase {
  kAnchors,
  kScan,
  kDescent,
  kStart,
  kModules,
  kRace,
  kDecision
};

// A plain value; thread-compatible.
struct GuidedState {
  GuidedPhase phase = GuidedPhase::kAnchors;
  int race = 0;  // 1… once races have begun
  size_t rung = 0;
  int misses = 0;  // races in a row without a better incumbent
  double reach = 1;
  int descent = 0;   // steps taken
  Assignment stand;  // where the descent is; unset before the scan
  Assignment pivot;  // where the races start; unset before the scan
  std::vector<Assignment> anchors;
  std::vector<std::string> anchor_names;  // of each
  std::vector<Assignment> contestants;
  std::vector<Assignment> raced;  // by now, in their order
  Measured measured;

  nlohmann::json Save() const;
  // DataLoss if it cannot be one of a search over `space` with `options`;
  // exceptions of the JSON library are the caller's.
  absl::Status Load(const SearchSpace& space, const GuidedOptions& options,
                    const nlohmann::json& saved);
};

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_GUIDED_STATE_H_
