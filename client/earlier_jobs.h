// Jobs that another one starts from (JobSpec.start_from).
#ifndef EVOPRESS_CLIENT_EARLIER_JOBS_H_
#define EVOPRESS_CLIENT_EARLIER_JOBS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/job_plan.h"
#include "client/service_client.h"
#include "evopress/v1/jobs.pb.h"
#include "search/strategy.h"

namespace evopress::client {

// Puts the histories of `plan.from` into its spec, so that they name what the
// search depends on, and into its request id. FailedPrecondition for a job that
// has not succeeded.
absl::Status StartFromEarlier(ServiceClient& client, JobPlan& plan);

// StartFromEarlier() and what the coordinator says of it, without a job made:
// fills in plan.archive. FailedPrecondition also for a job that has searched
// something else.
absl::Status RehearseStart(ServiceClient& client, JobPlan& plan);

// What the strategy of `job` knew beforehand. FailedPrecondition if one of the
// jobs is not there any more.
absl::StatusOr<search::Archive> FetchArchive(ServiceClient& client,
                                             const v1::Job& job);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_EARLIER_JOBS_H_
