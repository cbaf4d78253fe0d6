// From a search space to a level table: which build tasks make the blobs, and
// what the finished table looks like. Pure.
#ifndef EVOPRESS_SERVER_LEVEL_BUILD_H_
#define EVOPRESS_SERVER_LEVEL_BUILD_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "evopress/v1/jobs.pb.h"
#include "evopress/v1/tasks.pb.h"

namespace evopress::server {

// A build task takes whole transformer blocks until they hold this many
// weights. Capturing inputs of block N runs the model up to there, so fewer
// tasks mean less work in all; the bound keeps the captured statistics of a
// task at some gigabytes. A constant, so that tasks do not depend on the fleet.
inline constexpr int64_t kWeightsPerBuildTask = int64_t{1} << 30;

// Tasks in the order of the blocks ("layers.<N>."; units outside any block
// come first). Units with nothing to compress appear in none.
std::vector<v1::BuildTask> PlanBuilds(const v1::JobSpec& spec);

// Names the same work in every job: the hash of task and numeric class.
std::string BuildKey(const v1::BuildTask& task,
                     const std::string& numeric_class);

// InvalidArgument unless `result` is `task` with every blob filled in.
absl::Status CheckBuildResult(const v1::BuildTask& task,
                              const v1::BuildResult& result);

// The table of the whole space, in its order, from the results of all its
// builds. "keep" and "drop" have blobs without hash.
absl::StatusOr<v1::LevelTable> AssembleLevelTable(
    const v1::SearchSpace& space, const std::vector<v1::BuildResult>& results);

// [unit][level]: relative error of a choice. For a tie, the mean over its
// layers (blobs do not carry the layers' energies).
std::vector<std::vector<double>> LayerErrors(const v1::LevelTable& table);

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_LEVEL_BUILD_H_
