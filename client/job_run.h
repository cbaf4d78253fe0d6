// Creating a job, or finding it again, and following it to its end.
#ifndef EVOPRESS_CLIENT_JOB_RUN_H_
#define EVOPRESS_CLIENT_JOB_RUN_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/job_flags.h"
#include "client/job_plan.h"
#include "client/local_service.h"
#include "client/service_client.h"
#include "evopress/v1/jobs.pb.h"

namespace evopress::client {

// The job of the plan's request id: made now, or as an earlier run of the
// same command left it; a paused one is resumed. One that failed or was
// cancelled gets a successor, which finds all measurements in the journal.
absl::StatusOr<v1::Job> CreateOrResume(ServiceClient& client,
                                       const JobPlan& plan);

// Follows the job with a progress line on stderr. Returns it when it has ended
// or paused; errors as ServiceClient::WatchJob().
absl::StatusOr<v1::Job> FollowJob(ServiceClient& client,
                                  const std::string& name,
                                  const std::atomic<bool>& stop,
                                  const std::function<absl::Status()>& alive);

// Aborted with the job's own error unless it has succeeded.
absl::Status CheckSucceeded(const v1::Job& job);

// A job run to its end on a service in this process, which stays up for
// fetching artifacts.
struct LocalRun {
  std::unique_ptr<LocalService> service;
  std::unique_ptr<ServiceClient> client;
  v1::Job job;
};

// Prints the plan's warnings, runs it and requires success. Cancelled on
// Ctrl-C, saying how to go on.
absl::StatusOr<LocalRun> RunLocally(JobPlan plan, const LocalFlags& flags);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_JOB_RUN_H_
