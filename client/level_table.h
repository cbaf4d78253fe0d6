// The level tables of a coordinator's jobs: which blob every layer has at
// every level.
#ifndef EVOPRESS_CLIENT_LEVEL_TABLE_H_
#define EVOPRESS_CLIENT_LEVEL_TABLE_H_

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "client/export_input.h"
#include "client/service_client.h"
#include "evopress/v1/jobs.pb.h"
#include "evopress/v1/tasks.pb.h"

namespace evopress::client {

// FailedPrecondition if the job has none yet; DataLoss if it is damaged.
absl::StatusOr<v1::LevelTable> FetchLevelTable(const FetchArtifact& fetch,
                                               const v1::Job& job);

// (layer, level) of all blobs that `jobs` have made for the model and the
// statistics of `spec` and that are still stored. `numeric_class`: of these
// workers only; empty: of any.
absl::StatusOr<std::set<std::pair<std::string, std::string>>> FindPresentLevels(
    ServiceClient& client, const FetchArtifact& fetch,
    const std::vector<v1::Job>& jobs, const v1::JobSpec& spec,
    const std::string& numeric_class);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_LEVEL_TABLE_H_
