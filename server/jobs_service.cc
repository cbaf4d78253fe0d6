#include "server/jobs_service.h"

#include <unistd.h>

#include <fstream>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/retry_info.h"
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
// When a token with too many open jobs may ask again.
constexpr absl::Duration kJobRetry = absl::Minutes(1);
constexpr std::streamsize kChunkBytes = 512 << 10;

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

// Which token a job was created with.
constexpr char kOwnerLabel[] = "evopress.token";

}  // namespace

grpc::Status JobsService::CheckOpenJobs(const Caller& caller,
                                        const std::string& request_id) {
  const int64_t limit = caller.limits.open_jobs;
  if (limit <= 0 || scheduler_.KnowsRequest(request_id)) {
    return grpc::Status::OK;
  }
  int64_t open = 0;
  v1::ListJobsRequest request;
  do {
    auto page = scheduler_.ListJobs(request);
    if (!page.ok()) return ToGrpc(page.status());
    for (const v1::Job& job : page->jobs()) {
      const auto owner = job.spec().labels().find(kOwnerLabel);
      open += !HasEnded(job) && owner != job.spec().labels().end() &&
              owner->second == caller.name;
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  if (open < limit) return grpc::Status::OK;
  return proto::TryAgainIn(
      kJobRetry, absl::StrCat("the token ", caller.name, " has ", open,
                              " open jobs, the limit is ", limit,
                              "; wait for one to end or cancel one"));
}

grpc::Status JobsService::CreateJob(grpc::ServerContext* context,
                                    const v1::CreateJobRequest* request,
                                    v1::Job* response) {
  Caller caller;
  if (auto s = access_.Check(*context, "/evopress.v1.Jobs/CreateJob", &caller);
      !s.ok())
    return s;
  v1::CreateJobRequest owned = *request;
  auto& labels = *owned.mutable_spec()->mutable_labels();
  labels.erase(kOwnerLabel);
  if (!caller.name.empty()) labels[kOwnerLabel] = caller.name;
  // Two at once must not both find the last free place.
  MutexLock lock(creating_);
  if (auto s = CheckOpenJobs(caller, request->request_id()); !s.ok()) return s;
  return Reply(scheduler_.CreateJob(owned), response);
}

grpc::Status JobsService::GetJob(grpc::ServerContext* context,
                                 const v1::GetJobRequest* request,
                                 v1::Job* response) {
  if (auto s = access_.Check(*context, "/evopress.v1.Jobs/GetJob"); !s.ok())
    return s;
  return Reply(scheduler_.GetJob(request->name()), response);
}

grpc::Status JobsService::ListJobs(grpc::ServerContext* context,
                                   const v1::ListJobsRequest* request,
                                   v1::ListJobsResponse* response) {
  if (auto s = access_.Check(*context, "/evopress.v1.Jobs/ListJobs"); !s.ok())
    return s;
  return Reply(scheduler_.ListJobs(*request), response);
}

grpc::Status JobsService::WatchJob(grpc::ServerContext* context,
                                   const v1::WatchJobRequest* request,
                                   grpc::ServerWriter<v1::Job>* writer) {
  if (auto s = access_.Check(*context, "/evopress.v1.Jobs/WatchJob"); !s.ok())
    return s;
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

grpc::Status JobsService::PauseJob(grpc::ServerContext* context,
                                   const v1::PauseJobRequest* request,
                                   v1::Job* response) {
  if (auto s = access_.Check(*context, "/evopress.v1.Jobs/PauseJob"); !s.ok())
    return s;
  return Reply(scheduler_.PauseJob(request->name()), response);
}

grpc::Status JobsService::ResumeJob(grpc::ServerContext* context,
                                    const v1::ResumeJobRequest* request,
                                    v1::Job* response) {
  if (auto s = access_.Check(*context, "/evopress.v1.Jobs/ResumeJob"); !s.ok())
    return s;
  return Reply(scheduler_.ResumeJob(request->name()), response);
}

grpc::Status JobsService::CancelJob(grpc::ServerContext* context,
                                    const v1::CancelJobRequest* request,
                                    v1::Job* response) {
  if (auto s = access_.Check(*context, "/evopress.v1.Jobs/CancelJob"); !s.ok())
    return s;
  return Reply(scheduler_.CancelJob(request->name()), response);
}

grpc::Status JobsService::DeleteJob(grpc::ServerContext* context,
                                    const v1::DeleteJobRequest* request,
                                    v1::DeleteJobResponse*) {
  if (auto s = access_.Check(*context, "/evopress.v1.Jobs/DeleteJob"); !s.ok())
    return s;
  return ToGrpc(scheduler_.DeleteJob(request->name()));
}

grpc::Status JobsService::ListRounds(grpc::ServerContext* context,
                                     const v1::ListRoundsRequest* request,
                                     v1::ListRoundsResponse* response) {
  if (auto s = access_.Check(*context, "/evopress.v1.Jobs/ListRounds"); !s.ok())
    return s;
  return Reply(scheduler_.ListRounds(*request), response);
}

grpc::Status JobsService::ExplainJob(grpc::ServerContext* context,
                                     const v1::ExplainJobRequest* request,
                                     v1::ExplainJobResponse* response) {
  if (auto s = access_.Check(*context, "/evopress.v1.Jobs/ExplainJob"); !s.ok())
    return s;
  return Reply(scheduler_.ExplainJob(request->name()), response);
}

grpc::Status JobsService::BackupJournal(
    grpc::ServerContext* context, const v1::BackupJournalRequest*,
    grpc::ServerWriter<v1::BackupJournalResponse>* writer) {
  if (auto s = access_.Check(*context, "/evopress.v1.Jobs/BackupJournal");
      !s.ok())
    return s;
  const std::string path =
      absl::StrCat(scratch_, "/backup-", ::getpid(), "-", ++backups_);
  absl::Cleanup remove = [&path] { ::unlink(path.c_str()); };
  ::unlink(path.c_str());  // of an earlier process of this number
  if (auto s = scheduler_.BackupJournal(path); !s.ok()) return ToGrpc(s);
  std::ifstream file(path, std::ios::binary);
  v1::BackupJournalResponse response;
  std::string chunk(kChunkBytes, '\0');
  while (file.read(chunk.data(), kChunkBytes) || file.gcount() > 0) {
    response.set_data(chunk.data(), static_cast<size_t>(file.gcount()));
    if (!writer->Write(response)) return grpc::Status::CANCELLED;
  }
  if (!file.eof()) {
    return ToGrpc(absl::DataLossError(absl::StrCat("cannot read ", path)));
  }
  return grpc::Status::OK;
}

}  // namespace evopress::server
