// Build step "levels": compresses layers of a model to all their levels from
// captured statistics, layers in parallel.
#ifndef EVOPRESS_WORKER_LEVEL_BUILDER_H_
#define EVOPRESS_WORKER_LEVEL_BUILDER_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "evopress/v1/tasks.pb.h"
#include "quant/checkpoint.h"
#include "quant/gram.h"
#include "worker/evaluator.h"

namespace evopress::worker {

// True if a level of the table needs captured inputs.
absl::StatusOr<bool> NeedsStatistics(const v1::LevelTable& table);

// Fills in the blobs of `table` (levels "keep" stay without one). `store` takes
// a blob's bytes and returns their hash; it is called from several threads.
// Results do not depend on the number of threads. InvalidArgument or NotFound
// names the layer or level at fault; Cancelled if `progress` said so.
absl::StatusOr<v1::LevelTable> BuildLevels(
    const quant::Checkpoint& model, const quant::Statistics& statistics,
    v1::LevelTable table,
    const std::function<absl::StatusOr<std::string>(const std::string&)>& store,
    int threads, const Progress& progress);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_LEVEL_BUILDER_H_
