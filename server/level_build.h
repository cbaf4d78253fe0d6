// From a search space to a level table: which build tasks make the blobs that
// are still missing, under which keys blobs are found again, and what the
// finished table looks like. Pure.
#ifndef EVOPRESS_SERVER_LEVEL_BUILD_H_
#define EVOPRESS_SERVER_LEVEL_BUILD_H_

#include <compare>
#include <cstdint>
#include <map>
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

// What a blob is made of, whatever else was built along with it.
struct BlobName {
  std::string layer;
  std::string level;
  auto operator<=>(const BlobName&) const = default;
};
using KnownBlobs = std::map<BlobName, v1::LevelTable::Blob>;

// All blobs that the space of `spec` needs, each once.
std::vector<BlobName> BlobsOf(const v1::JobSpec& spec);

// The set that statistics are made from, or null.
const v1::TokenSetRef* StatisticsOf(const v1::JobSpec& spec);

// A build on the job's model and statistics set, without a step and without
// names that are for people and would make equal work look different.
v1::BuildTask BareBuild(const v1::JobSpec& spec);

// Names the same blob in every job, whatever its menu: the hash of model,
// statistics set, numeric class, layer and level.
std::string BlobKey(const v1::JobSpec& spec, const std::string& numeric_class,
                    const BlobName& name);

// Tasks that make what is not `known`, in the order of the blocks
// ("layers.<N>."; units outside any block come last). As tasks are recorded
// whole, those left over after a restart are the same tasks again.
std::vector<v1::BuildTask> PlanBuilds(const v1::JobSpec& spec,
                                      const KnownBlobs& known);

// InvalidArgument unless `result` is `task` with every blob, or the profile,
// filled in.
absl::Status CheckBuildResult(const v1::BuildTask& task,
                              const v1::BuildResult& result);

// The blobs of a finished task.
KnownBlobs BlobsOf(const v1::BuildResult& result);

// The table of the whole space, in its order. "keep" and "drop" have blobs
// without hash. Internal if a blob is not known.
absl::StatusOr<v1::LevelTable> AssembleLevelTable(const v1::SearchSpace& space,
                                                  const KnownBlobs& known);

// [unit][level]: relative error of a choice. For a tie, the mean over its
// layers (blobs do not carry the layers' energies). A dropped module loses all
// that the units in it put out: 1 for each.
std::vector<std::vector<double>> LayerErrors(const v1::LevelTable& table);

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_LEVEL_BUILD_H_
