// What every exporter starts from: a job, and which of its assignments.
#ifndef EVOPRESS_CLIENT_EXPORT_INPUT_H_
#define EVOPRESS_CLIENT_EXPORT_INPUT_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "evopress/v1/jobs.pb.h"
#include "search/space.h"

namespace evopress::client {

struct ExportInput {
  v1::Job job;
  v1::Candidate candidate;
  bool incumbent = false;     // not the winner: the job has not succeeded
  search::SearchSpace space;  // its first budget is the candidate's own
  search::Assignment assignment;
  v1::LevelTable levels;  // may be empty: then nothing is known of blobs
};

// A verified local file of an artifact.
using FetchArtifact =
    std::function<absl::StatusOr<std::string>(const std::string& sha256)>;

// The winner of a job that succeeded or, if `incumbent`, the best so far of any
// other: running, paused, cancelled or failed. FailedPrecondition if there is
// none. `target`: which budget's, by name, of a job that has several
// (InvalidArgument lists them). The level table is fetched unless `fetch` is
// empty.
absl::StatusOr<ExportInput> MakeExportInput(const v1::Job& job, bool incumbent,
                                            const FetchArtifact& fetch,
                                            const std::string& target = "");

// The same for all budgets of the job, in their order; of most jobs one.
absl::StatusOr<std::vector<ExportInput>> MakeExportInputs(
    const v1::Job& job, bool incumbent, const FetchArtifact& fetch);

// The blob that `layer` of unit `unit` uses, or nullptr if it keeps the
// model's weights. InvalidArgument if the table does not match the space.
absl::StatusOr<const v1::LevelTable::Blob*> FindBlob(const ExportInput& input,
                                                     int unit, int layer);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_EXPORT_INPUT_H_
