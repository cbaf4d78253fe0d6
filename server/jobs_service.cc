#include "server/jobs_service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/grpc_status.h"

namespace evopress::server {
namespace {

// Each watch holds a thread.
constexpr int kMaxWatches = 256;
constexpr absl::Duration kRepeat = absl::Seconds(10);
// A client that is gone is noticed after this.
constexpr absl::Duration kCheck = absl::Seconds(1);
// A search of tiny rounds changes faster than anybody can read.
constexpr absl::Duration kPause = absl::Milliseconds(20);

template <typename T>
grpc::Status Reply(absl::StatusOr<T> result, T* response) {
  if (!result.ok()) return ToGrpc(result.status());
  *response = *std::move(result);
  return grpc::Status::OK;
}

bool HasEnded(const v1::Job& job) {
  return job.state() == v1::Job::SUCCEEDED || job.state() == v1::Job::FAILED ||
         job.state() == v1::Job::CANCELLED;
}

}  // namespace

grpc::Status JobsService::CreateJob(grpc::ServerContext*,
                                    const v1::CreateJobRequest* request,
                                    v1::Job* response) {
  return Reply(scheduler_.CreateJob(*request), response);
}

grpc::Status JobsService::GetJob(grpc::ServerContext*,
                                 const v1::GetJobRequest* request,
                                 v1::Job* response) {
  return Reply(scheduler_.GetJob(request->name()), response);
}

grpc::Status JobsService::ListJobs(grpc::ServerContext*,
                                   const v1::ListJobsRequest* request,
                                   v1::ListJobsResponse* response) {
  return Reply(scheduler_.ListJobs(*request), response);
}

grpc::Status JobsService::WatchJob(grpc::ServerContext* context,
                                   const v1::WatchJobRequest* request,
                                   grpc::ServerWriter<v1::Job>* writer) {
  if (++watches_ > kMaxWatches) {
    --watches_;
    return ToGrpc(absl::ResourceExhaustedError(
        absl::StrCat("the limit of ", kMaxWatches, " watches is reached")));
  }
  grpc::Status status = grpc::Status::OK;
  int64_t version = 0;
  absl::Time last_sent = absl::InfinitePast();
  while (!context->IsCancelled()) {
    const int64_t seen = version;
    auto job = scheduler_.WaitForChange(request->name(), kCheck, &version);
    if (!job.ok()) {
      status = ToGrpc(job.status());
      break;
    }
    if (version == seen && absl::Now() - last_sent < kRepeat) continue;
    if (!writer->Write(*job) || HasEnded(*job)) break;
    last_sent = absl::Now();
    absl::SleepFor(kPause);
  }
  --watches_;
  return status;
}

grpc::Status JobsService::PauseJob(grpc::ServerContext*,
                                   const v1::PauseJobRequest* request,
                                   v1::Job* response) {
  return Reply(scheduler_.PauseJob(request->name()), response);
}

grpc::Status JobsService::ResumeJob(grpc::ServerContext*,
                                    const v1::ResumeJobRequest* request,
                                    v1::Job* response) {
  return Reply(scheduler_.ResumeJob(request->name()), response);
}

grpc::Status JobsService::CancelJob(grpc::ServerContext*,
                                    const v1::CancelJobRequest* request,
                                    v1::Job* response) {
  return Reply(scheduler_.CancelJob(request->name()), response);
}

grpc::Status JobsService::DeleteJob(grpc::ServerContext*,
                                    const v1::DeleteJobRequest* request,
                                    v1::DeleteJobResponse*) {
  return ToGrpc(scheduler_.DeleteJob(request->name()));
}

grpc::Status JobsService::ListRounds(grpc::ServerContext*,
                                     const v1::ListRoundsRequest* request,
                                     v1::ListRoundsResponse* response) {
  return Reply(scheduler_.ListRounds(*request), response);
}

}  // namespace evopress::server
