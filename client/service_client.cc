#include "client/service_client.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/retry_info.h"
#include "worker/rpc_retry.h"

namespace evopress::client {
namespace {

using worker::FromGrpc;

constexpr auto kCallDeadline = std::chrono::seconds(60);
constexpr absl::Duration kLongestRetryDelay = absl::Seconds(10);
constexpr int kAttempts = 6;  // waits of 0.25, 0.5, 1, 2 and 4 s in between
constexpr int kMaxMessageBytes = 256 << 20;
constexpr int kPageSize = 100;

}  // namespace

absl::StatusOr<std::shared_ptr<worker::CoordinatorLink>> OpenLink(
    const worker::CoordinatorAddress& to) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 60000);
  return worker::CoordinatorLink::Open(to, arguments);
}

ServiceClient::ServiceClient(std::shared_ptr<worker::CoordinatorLink> link,
                             std::function<absl::Status()> why_unavailable)
    : why_unavailable_(std::move(why_unavailable)), link_(std::move(link)) {}

template <typename Response, typename Stub, typename Request>
absl::StatusOr<Response> ServiceClient::Call(
    Stub& (worker::CoordinatorLink::*stub)(),
    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                 Response*),
    const Request& request) {
  absl::Status last;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallDeadline);
    Response response;
    const grpc::Status status =
        ((*link_.*stub)().*method)(&context, request, &response);
    if (status.ok()) return response;
    link_->Heed(status);
    last = FromGrpc(status);
    const auto delay = proto::RetryDelay(status);
    if (delay.has_value() && *delay <= kLongestRetryDelay) {
      absl::SleepFor(*delay);
      continue;
    }
    if (!absl::IsUnavailable(last)) return last;
    if (attempt == 0 && why_unavailable_) {
      if (absl::Status why = why_unavailable_(); !why.ok()) return why;
    }
    if (attempt + 1 < kAttempts) {
      absl::SleepFor(absl::Milliseconds(250) * (1 << attempt));
    }
  }
  if (!absl::IsUnavailable(last)) return last;
  return absl::UnavailableError(absl::StrCat(
      "the coordinator does not answer: ", last.message(),
      "; check that evopressd runs and that --server (or EVOPRESS_SERVER) "
      "names its address"));
}

absl::StatusOr<v1::Job> ServiceClient::CreateJob(
    const v1::JobSpec& spec, const std::string& request_id) {
  v1::CreateJobRequest request;
  *request.mutable_spec() = spec;
  request.set_request_id(request_id);
  return Call<v1::Job>(&worker::CoordinatorLink::jobs,
                       &v1::Jobs::Stub::CreateJob, request);
}

absl::StatusOr<v1::Job> ServiceClient::GetJob(const std::string& name) {
  v1::GetJobRequest request;
  request.set_name(name);
  return Call<v1::Job>(&worker::CoordinatorLink::jobs, &v1::Jobs::Stub::GetJob,
                       request);
}

absl::StatusOr<std::vector<v1::Job>> ServiceClient::ListJobs() {
  std::vector<v1::Job> jobs;
  v1::ListJobsRequest request;
  request.set_page_size(kPageSize);
  do {
    auto page = Call<v1::ListJobsResponse>(&worker::CoordinatorLink::jobs,
                                           &v1::Jobs::Stub::ListJobs, request);
    if (!page.ok()) return page.status();
    for (auto& job : *page->mutable_jobs()) jobs.push_back(std::move(job));
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return jobs;
}

absl::StatusOr<v1::Job> ServiceClient::PauseJob(const std::string& name) {
  v1::PauseJobRequest request;
  request.set_name(name);
  return Call<v1::Job>(&worker::CoordinatorLink::jobs,
                       &v1::Jobs::Stub::PauseJob, request);
}

absl::StatusOr<v1::Job> ServiceClient::ResumeJob(const std::string& name) {
  v1::ResumeJobRequest request;
  request.set_name(name);
  return Call<v1::Job>(&worker::CoordinatorLink::jobs,
                       &v1::Jobs::Stub::ResumeJob, request);
}

absl::StatusOr<v1::Job> ServiceClient::CancelJob(const std::string& name) {
  v1::CancelJobRequest request;
  request.set_name(name);
  return Call<v1::Job>(&worker::CoordinatorLink::jobs,
                       &v1::Jobs::Stub::CancelJob, request);
}

absl::Status ServiceClient::DeleteJob(const std::string& name) {
  v1::DeleteJobRequest request;
  request.set_name(name);
  return Call<v1::DeleteJobResponse>(&worker::CoordinatorLink::jobs,
                                     &v1::Jobs::Stub::DeleteJob, request)
      .status();
}

absl::StatusOr<std::vector<v1::RoundRecord>> ServiceClient::ListRounds(
    const std::string& job) {
  std::vector<v1::RoundRecord> rounds;
  v1::ListRoundsRequest request;
  request.set_job(job);
  request.set_page_size(kPageSize);
  do {
    auto page = Call<v1::ListRoundsResponse>(
        &worker::CoordinatorLink::jobs, &v1::Jobs::Stub::ListRounds, request);
    if (!page.ok()) return page.status();
    for (auto& round : *page->mutable_rounds()) {
      rounds.push_back(std::move(round));
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return rounds;
}

absl::StatusOr<v1::ExplainJobResponse> ServiceClient::ExplainJob(
    const std::string& name) {
  v1::ExplainJobRequest request;
  request.set_name(name);
  return Call<v1::ExplainJobResponse>(&worker::CoordinatorLink::jobs,
                                      &v1::Jobs::Stub::ExplainJob, request);
}

absl::Status ServiceClient::BackupJournal(
    const std::function<absl::Status(const std::string&)>& write) {
  // One that leads, if there are several: a stream cannot be taken up again.
  v1::ListJobsRequest one;
  one.set_page_size(1);
  auto leads = Call<v1::ListJobsResponse>(&worker::CoordinatorLink::jobs,
                                          &v1::Jobs::Stub::ListJobs, one);
  if (!leads.ok()) return leads.status();
  grpc::ClientContext context;
  auto stream = link_->jobs().BackupJournal(&context, {});
  v1::BackupJournalResponse part;
  absl::Status status;
  while (status.ok() && stream->Read(&part)) status = write(part.data());
  if (!status.ok()) context.TryCancel();
  const grpc::Status ended = stream->Finish();
  return status.ok() ? FromGrpc(ended) : status;
}

absl::StatusOr<std::vector<v1::Worker>> ServiceClient::ListWorkers() {
  std::vector<v1::Worker> workers;
  v1::ListWorkersRequest request;
  request.set_page_size(kPageSize);
  do {
    auto page =
        Call<v1::ListWorkersResponse>(&worker::CoordinatorLink::workers,
                                      &v1::Workers::Stub::ListWorkers, request);
    if (!page.ok()) return page.status();
    for (auto& worker : *page->mutable_workers()) {
      workers.push_back(std::move(worker));
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return workers;
}

absl::Status ServiceClient::DrainWorker(const std::string& worker_id) {
  v1::DrainWorkerRequest request;
  request.set_worker_id(worker_id);
  return Call<v1::DrainWorkerResponse>(&worker::CoordinatorLink::workers,
                                       &v1::Workers::Stub::DrainWorker, request)
      .status();
}

absl::StatusOr<std::vector<int64_t>> ServiceClient::StatArtifacts(
    const std::vector<std::string>& sha256) {
  constexpr size_t kMaxHashes = 10000;
  std::vector<int64_t> sizes;
  for (size_t begin = 0; begin < sha256.size(); begin += kMaxHashes) {
    const size_t end = std::min(sha256.size(), begin + kMaxHashes);
    v1::StatArtifactsRequest request;
    for (size_t i = begin; i < end; ++i) request.add_sha256(sha256[i]);
    auto response = Call<v1::StatArtifactsResponse>(
        &worker::CoordinatorLink::artifacts,
        &v1::Artifacts::Stub::StatArtifacts, request);
    if (!response.ok()) return response.status();
    if (response->size_bytes_size() != request.sha256_size()) {
      return absl::InternalError(
          absl::StrCat("the coordinator answered ", response->size_bytes_size(),
                       " sizes for ", request.sha256_size(), " artifacts"));
    }
    sizes.insert(sizes.end(), response->size_bytes().begin(),
                 response->size_bytes().end());
  }
  return sizes;
}

absl::StatusOr<v1::Job> ServiceClient::WatchJob(
    const std::string& name, const std::atomic<bool>& stop,
    const std::function<absl::Status()>& alive,
    const std::function<void(const v1::Job&)>& seen) {
  int failures = 0;
  while (true) {
    grpc::ClientContext context;
    v1::WatchJobRequest request;
    request.set_name(name);
    // Read() blocks for as long as nothing changes, so a second thread looks
    // at `stop` and `alive` and cancels the stream.
    std::atomic<bool> finished{false};
    absl::Status broken;
    std::thread guard([&] {
      while (!finished) {
        if (stop) {
          broken = absl::CancelledError("interrupted");
        } else {
          broken = alive();
        }
        if (!broken.ok()) {
          context.TryCancel();
          return;
        }
        absl::SleepFor(absl::Milliseconds(50));
      }
    });
    auto stream = link_->jobs().WatchJob(&context, request);
    v1::Job job;
    bool settled = false;
    while (!settled && stream->Read(&job)) {
      failures = 0;
      seen(job);
      settled = HasEnded(job) || job.state() == v1::Job::PAUSED;
    }
    if (settled) context.TryCancel();
    const grpc::Status status = stream->Finish();
    finished = true;
    guard.join();
    if (settled) return job;
    if (!broken.ok()) return broken;
    link_->Heed(status);
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE && !status.ok()) {
      return FromGrpc(status);
    }
    if (++failures > 60) {
      return absl::UnavailableError(
          absl::StrCat("the coordinator has been away for too long: ",
                       status.error_message(),
                       "; the job goes on there, watch "
                       "it again with `evopress jobs watch ",
                       name, "`"));
    }
    absl::SleepFor(
        absl::Milliseconds(std::min(5000, 100 << std::min(failures, 6))));
  }
}

bool HasEnded(const v1::Job& job) {
  return job.state() == v1::Job::SUCCEEDED || job.state() == v1::Job::FAILED ||
         job.state() == v1::Job::CANCELLED;
}

}  // namespace evopress::client
