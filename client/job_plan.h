// A job ready to be created: its spec, and the files that it refers to.
#ifndef EVOPRESS_CLIENT_JOB_PLAN_H_
#define EVOPRESS_CLIENT_JOB_PLAN_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/artifact_transfer.h"
#include "client/cost_table.h"
#include "client/job_flags.h"
#include "evopress/v1/jobs.pb.h"
#include "quant/checkpoint.h"
#include "search/space.h"
#include "search/strategy.h"

namespace evopress::client {

struct JobPlan {
  v1::JobSpec spec;
  search::SearchSpace space;             // that of the spec
  std::vector<LocalArtifact> artifacts;  // model files, then token sets
  std::vector<std::string> local_roots;  // folders of the model files
  std::vector<std::string> warnings;
  // Hash of everything in the spec that decides the result, so that the same
  // command names the same job.
  std::string request_id;
  std::vector<search::Target> targets;  // those of the spec
  // Jobs or directories to start from, see earlier_jobs.h.
  std::vector<std::string> from;
  search::Archive archive;  // what they know, once fetched
};

// The space that menu, ties, groups, modules to drop and cost tables ask for,
// without budgets.
absl::StatusOr<search::SearchSpace> PlanSpace(
    const JobFlags& flags, const quant::Checkpoint& model,
    const std::vector<CostTable>& tables);

// Where to find the texts that name assignments, and how they are called.
struct NamedText {
  std::string name;
  std::string text;  // see search/assignment_text.h
};

// The job of `evopress search` and `submit`: all that can be checked without
// a worker is checked here. `labels` may carry the command line.
absl::StatusOr<JobPlan> PlanSearch(JobFlags flags);

// A job that searches nothing: it builds the levels of the menu and measures
// `assignments` on the held-out texts (both may be empty, but not the former
// without texts). Results carry the names given.
absl::StatusOr<JobPlan> PlanMeasurement(
    const JobFlags& flags, const std::vector<NamedText>& assignments);

// What Checkpoint::Open says, with the path in the message.
absl::StatusOr<std::unique_ptr<quant::Checkpoint>> OpenModel(
    const std::string& path);

// Its files by hash.
absl::StatusOr<v1::ModelRef> MakeModelRef(const std::string& path,
                                          const quant::Checkpoint& model);

// E.g. that the source is quantized itself; empty if all is well.
std::vector<std::string> ModelWarnings(const quant::Checkpoint& model);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_JOB_PLAN_H_
