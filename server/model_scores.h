// The profile of the uncompressed model: the task that makes it, the key under
// which it is found again, and what it says about the units of a space. Pure.
#ifndef EVOPRESS_SERVER_MODEL_SCORES_H_
#define EVOPRESS_SERVER_MODEL_SCORES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "evopress/v1/jobs.pb.h"
#include "evopress/v1/tasks.pb.h"
#include "search/space.h"
#include "search/strategy.h"

namespace evopress::server {

inline constexpr char kProfileStep[] = "profile";

// The same in every job on this model, statistics set and numeric class.
std::string ProfileKey(const v1::JobSpec& spec,
                       const std::string& numeric_class);

v1::BuildTask PlanProfile(const v1::JobSpec& spec);

// InvalidArgument unless blocks have a flow for every module and as many
// windows as there are blocks from each on, all finite.
absl::Status CheckProfile(const v1::ModelProfile& profile);

// StrategyInput::scores of the space's units; of a tie, the mean over its
// layers. FailedPrecondition, naming it, for a layer or module that the profile
// does not have. REQUIRES: CheckProfile was ok; score is not kNone.
absl::StatusOr<std::vector<std::vector<double>>> UnitScores(
    const search::SearchSpace& space, const v1::ModelProfile& profile,
    search::ModelScore score);

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_MODEL_SCORES_H_
