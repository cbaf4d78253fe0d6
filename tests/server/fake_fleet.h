// A coordinator's data directory, a small job, and workers that compute
// deterministic sums from hashes instead of running a model.
#ifndef EVOPRESS_TESTS_SERVER_FAKE_FLEET_H_
#define EVOPRESS_TESTS_SERVER_FAKE_FLEET_H_

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "evopress/v1/artifacts.grpc.pb.h"
#include "evopress/v1/jobs.grpc.pb.h"
#include "evopress/v1/workers.grpc.pb.h"
#include "proto/conversions.h"
#include "search/sha256.h"
#include "server/coordinator.h"
#include "server/level_build.h"
#include "server/measurement_plan.h"
#include "tests/server/scratch_directory.h"
#include "tests/server/small_job.h"

namespace evopress::server {

inline absl::Status Upload(const std::shared_ptr<grpc::Channel>& channel,
                           const std::string& bytes,
                           const std::string& sha256 = "", int64_t size = -1) {
  auto stub = v1::Artifacts::NewStub(channel);
  grpc::ClientContext context;
  v1::UploadArtifactResponse response;
  auto writer = stub->UploadArtifact(&context, &response);
  v1::UploadArtifactRequest message;
  message.mutable_header()->set_sha256(sha256.empty() ? search::Sha256Hex(bytes)
                                                      : sha256);
  message.mutable_header()->set_size_bytes(
      size < 0 ? static_cast<int64_t>(bytes.size()) : size);
  writer->Write(message);
  for (size_t at = 0; at < bytes.size(); at += 1 << 20) {
    message.set_data(bytes.substr(at, 1 << 20));
    if (!writer->Write(message)) break;
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

// What a fake worker answers to a task; may upload artifacts.
inline v1::TaskResult FakeResult(const std::shared_ptr<grpc::Channel>& channel,
                                 const v1::Task& task) {
  return FakeResult(task, [&channel](const std::string& bytes) {
    EXPECT_TRUE(Upload(channel, bytes).ok());
  });
}

// A worker in a thread. `answer` may change or withhold what is sent.
class FakeWorker {
 public:
  // Returns false to drop the completion silently.
  using Answer = std::function<bool(const v1::Lease&, v1::Completion*)>;

  FakeWorker(std::shared_ptr<grpc::Channel> channel, const std::string& id,
             Answer answer = {}, const std::string& numeric_class = "fake-1",
             int replies = 1)
      : channel_(std::move(channel)),
        answer_(std::move(answer)),
        replies_(replies) {
    open_.set_worker_id(id);
    open_.set_numeric_class(numeric_class);
    thread_ = std::thread([this] { Run(); });
  }
  ~FakeWorker() {
    stop_ = true;
    thread_.join();
  }

  int64_t evaluations() const { return evaluations_; }

 private:
  void Run() {
    auto stub = v1::Workers::NewStub(channel_);
    std::string session;
    while (!stop_) {
      if (session.empty()) {
        grpc::ClientContext context;
        v1::OpenSessionResponse opened;
        if (!stub->OpenSession(&context, open_, &opened).ok()) {
          absl::SleepFor(absl::Milliseconds(5));
          continue;
        }
        session = opened.session();
      }
      v1::LeaseTasksRequest request;
      request.set_session(session);
      request.set_capacity(2);
      request.mutable_wait()->set_nanos(100'000'000);
      v1::LeaseTasksResponse leased;
      grpc::ClientContext context;
      const grpc::Status status = stub->LeaseTasks(&context, request, &leased);
      if (!status.ok()) {
        session.clear();
        continue;
      }
      if (leased.drain()) {
        absl::SleepFor(absl::Milliseconds(5));
        continue;
      }
      v1::CompleteTasksRequest complete;
      complete.set_session(session);
      for (const v1::Lease& lease : leased.leases()) {
        v1::Completion completion;
        completion.set_token(lease.token());
        completion.set_task_id(lease.task().id());
        *completion.mutable_result() = FakeResult(channel_, lease.task());
        if (lease.task().has_evaluate()) ++evaluations_;
        if (answer_ && !answer_(lease, &completion)) continue;
        *complete.add_completions() = completion;
      }
      if (complete.completions_size() == 0) continue;
      for (int i = 0; i < replies_; ++i) {
        grpc::ClientContext complete_context;
        v1::CompleteTasksResponse verdicts;
        stub->CompleteTasks(&complete_context, complete, &verdicts);
      }
    }
  }

  const std::shared_ptr<grpc::Channel> channel_;
  const Answer answer_;
  const int replies_;  // how often everything is sent
  v1::OpenSessionRequest open_;
  std::atomic<bool> stop_ = false;
  std::atomic<int64_t> evaluations_ = 0;
  std::thread thread_;
};

inline std::unique_ptr<Coordinator> StartCoordinator(
    const std::string& data_dir,
    absl::Duration heartbeat = absl::Milliseconds(200)) {
  CoordinatorOptions options;
  options.data_dir = data_dir;
  options.heartbeat_interval = heartbeat;
  options.fleet_patience = absl::ZeroDuration();
  auto coordinator = Coordinator::Start(options);
  EXPECT_TRUE(coordinator.ok()) << coordinator.status();
  return coordinator.ok() ? *std::move(coordinator) : nullptr;
}

inline void UploadSpecArtifacts(const std::shared_ptr<grpc::Channel>& channel) {
  for (const std::string& bytes : SpecArtifacts()) {
    ASSERT_TRUE(Upload(channel, bytes).ok());
  }
}

inline grpc::Status Create(const std::shared_ptr<grpc::Channel>& channel,
                           const v1::JobSpec& spec, v1::Job* job,
                           const std::string& request_id = "") {
  grpc::ClientContext context;
  v1::CreateJobRequest request;
  *request.mutable_spec() = spec;
  request.set_request_id(request_id);
  return v1::Jobs::NewStub(channel)->CreateJob(&context, request, job);
}

inline v1::Job Get(const std::shared_ptr<grpc::Channel>& channel,
                   const std::string& name) {
  grpc::ClientContext context;
  v1::GetJobRequest request;
  request.set_name(name);
  v1::Job job;
  const grpc::Status status =
      v1::Jobs::NewStub(channel)->GetJob(&context, request, &job);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return job;
}

inline bool Ended(const v1::Job& job) {
  return job.state() == v1::Job::SUCCEEDED || job.state() == v1::Job::FAILED ||
         job.state() == v1::Job::CANCELLED;
}

inline v1::Job WaitUntil(const std::shared_ptr<grpc::Channel>& channel,
                         const std::string& name,
                         const std::function<bool(const v1::Job&)>& condition,
                         absl::Duration patience = absl::Seconds(60)) {
  const absl::Time end = absl::Now() + patience;
  for (;;) {
    v1::Job job = Get(channel, name);
    if (condition(job) || absl::Now() > end) return job;
    absl::SleepFor(absl::Milliseconds(2));
  }
}

inline v1::Job WaitForEnd(const std::shared_ptr<grpc::Channel>& channel,
                          const std::string& name) {
  if (name.empty()) return v1::Job();
  return WaitUntil(channel, name, Ended);
}

}  // namespace evopress::server

#endif  // EVOPRESS_TESTS_SERVER_FAKE_FLEET_H_
