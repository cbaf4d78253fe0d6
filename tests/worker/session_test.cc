#include "worker/session.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace evopress::worker {
namespace {

// A coordinator that does what a test tells it to.
class FakeWorkers final : public v1::Workers::Service {
 public:
  grpc::Status OpenSession(grpc::ServerContext*,
                           const v1::OpenSessionRequest* request,
                           v1::OpenSessionResponse* response) override {
    std::lock_guard<std::mutex> lock(mutex);
    worker_id = request->worker_id();
    session = absl::StrCat("session-", ++opened);
    response->set_session(session);
    response->mutable_heartbeat_interval()->set_nanos(50'000'000);
    return grpc::Status::OK;
  }
  grpc::Status LeaseTasks(grpc::ServerContext*,
                          const v1::LeaseTasksRequest* request,
                          v1::LeaseTasksResponse* response) override {
    std::lock_guard<std::mutex> lock(mutex);
    if (request->session() != session) return Stale();
    for (const std::string& id : tasks) {
      v1::Lease* lease = response->add_leases();
      lease->mutable_task()->set_id(id);
      lease->set_token("token-" + id);
    }
    response->set_drain(drain);
    response->mutable_retry_after()->set_nanos(10'000'000);
    return grpc::Status::OK;
  }
  grpc::Status Heartbeat(grpc::ServerContext*,
                         const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override {
    std::lock_guard<std::mutex> lock(mutex);
    if (request->session() != session) return Stale();
    for (const auto& lease : request->leases()) {
      renewed.push_back(lease.token());
    }
    for (const std::string& token : cancel) {
      response->add_cancelled_tokens(token);
    }
    return grpc::Status::OK;
  }
  grpc::Status CompleteTasks(grpc::ServerContext*,
                             const v1::CompleteTasksRequest* request,
                             v1::CompleteTasksResponse* response) override {
    std::lock_guard<std::mutex> lock(mutex);
    if (away) return {grpc::StatusCode::UNAVAILABLE, "away"};
    if (request->session() != session) return Stale();
    for (const v1::Completion& completion : request->completions()) {
      completed.push_back(completion);
      tasks.erase(std::remove(tasks.begin(), tasks.end(), completion.task_id()),
                  tasks.end());
      response->add_verdicts(v1::CompleteTasksResponse::ACCEPTED);
    }
    return grpc::Status::OK;
  }
  grpc::Status CloseSession(grpc::ServerContext*,
                            const v1::CloseSessionRequest* request,
                            v1::CloseSessionResponse*) override {
    std::lock_guard<std::mutex> lock(mutex);
    closed = request->session();
    return grpc::Status::OK;
  }

  static grpc::Status Stale() {
    return {grpc::StatusCode::ABORTED, "the session is stale"};
  }

  std::mutex mutex;
  std::string worker_id;
  std::string session;
  int opened = 0;
  bool drain = false;
  bool away = false;
  std::vector<std::string> tasks;
  std::vector<std::string> cancel;
  std::vector<std::string> renewed;
  std::vector<v1::Completion> completed;
  std::string closed;
};

class SessionTest : public testing::Test {
 protected:
  SessionTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    v1::OpenSessionRequest identity;
    identity.set_worker_id("w1");
    session_ = std::make_unique<Session>(
        std::make_shared<CoordinatorLink>(server_->InProcessChannel({})),
        identity, stop_);
  }
  ~SessionTest() override {
    session_.reset();
    server_->Shutdown();
  }
  void Set(const std::function<void()>& change) {
    std::lock_guard<std::mutex> lock(service_.mutex);
    change();
  }
  // Waits until `condition`, seen under the service's lock, is true.
  bool Eventually(const std::function<bool()>& condition) {
    for (int i = 0; i < 500; ++i) {
      {
        std::lock_guard<std::mutex> lock(service_.mutex);
        if (condition()) return true;
      }
      absl::SleepFor(absl::Milliseconds(10));
    }
    return false;
  }

  FakeWorkers service_;
  std::unique_ptr<grpc::Server> server_;
  std::atomic<bool> stop_ = false;
  std::unique_ptr<Session> session_;
};

TEST_F(SessionTest, ALeasedTaskIsRenewedUntilItsResultIsDelivered) {
  Set([&] { service_.tasks = {"a"}; });
  auto work = session_->NextWork();
  ASSERT_TRUE(work.ok()) << work.status();
  EXPECT_EQ((*work)->lease.task().id(), "a");
  EXPECT_TRUE(Eventually([&] { return service_.renewed.size() >= 2; }));
  session_->Complete(**work, v1::TaskResult(), absl::Seconds(1));
  EXPECT_TRUE(Eventually([&] { return service_.completed.size() == 1; }));
  EXPECT_TRUE(service_.completed[0].has_result());
}

TEST_F(SessionTest, AResultMadeWhileTheCoordinatorIsAwayIsDeliveredLater) {
  Set([&] { service_.tasks = {"a"}; });
  auto work = session_->NextWork();
  ASSERT_TRUE(work.ok()) << work.status();
  Set([&] { service_.away = true; });
  session_->Complete(**work, v1::TaskResult(), absl::Seconds(1));
  EXPECT_TRUE(service_.completed.empty());
  Set([&] {
    service_.away = false;
    service_.tasks = {"b"};
  });
  ASSERT_TRUE(session_->NextWork().ok());
  EXPECT_TRUE(Eventually([&] { return service_.completed.size() == 1; }));
}

TEST_F(SessionTest, ARestartedCoordinatorGetsTheResultInANewSession) {
  Set([&] { service_.tasks = {"a"}; });
  auto work = session_->NextWork();
  ASSERT_TRUE(work.ok()) << work.status();
  Set([&] { service_.session = "forgotten"; });
  session_->Complete(**work, v1::TaskResult(), absl::Seconds(1));
  EXPECT_TRUE(Eventually([&] { return service_.completed.size() == 1; }));
  EXPECT_EQ(service_.opened, 2);
}

TEST_F(SessionTest, AFaultSaysWhetherItWouldRepeatElsewhere) {
  const struct {
    absl::Status status;
    v1::Fault::Kind kind;
  } kCases[] = {
      {absl::InvalidArgumentError("x"), v1::Fault::BAD_INPUT},
      {absl::DataLossError("x"), v1::Fault::BAD_INPUT},
      {absl::InternalError("x"), v1::Fault::CRASH},
      {absl::UnavailableError("x"), v1::Fault::TRANSIENT},
      {absl::ResourceExhaustedError("x"), v1::Fault::OUT_OF_MEMORY},
  };
  for (const auto& c : kCases) {
    Set([&] {
      service_.tasks = {"a"};
      service_.completed.clear();
    });
    auto work = session_->NextWork();
    ASSERT_TRUE(work.ok()) << work.status();
    session_->Complete(**work, c.status, absl::Seconds(1));
    ASSERT_TRUE(Eventually([&] { return service_.completed.size() == 1; }));
    EXPECT_EQ(service_.completed[0].fault().kind(), c.kind) << c.status;
  }
}

TEST_F(SessionTest, ACancelledLeaseIsToldToTheWorkAndNotReported) {
  Set([&] { service_.tasks = {"a"}; });
  auto work = session_->NextWork();
  ASSERT_TRUE(work.ok()) << work.status();
  Set([&] { service_.cancel = {"token-a"}; });
  EXPECT_TRUE(Eventually([&] { return bool{*(*work)->cancelled}; }));
  session_->Complete(**work, absl::CancelledError(""), absl::Seconds(1));
  session_->Close(absl::Seconds(1));
  EXPECT_TRUE(service_.completed.empty());
  EXPECT_EQ(service_.closed, "session-1");
}

TEST_F(SessionTest, ADrainedWorkerGetsNoMoreWork) {
  Set([&] { service_.drain = true; });
  auto work = session_->NextWork();
  ASSERT_TRUE(work.ok()) << work.status();
  EXPECT_EQ(*work, nullptr);
}

TEST_F(SessionTest, AStopEndsTheWaitForWork) {
  std::thread stopper([&] {
    absl::SleepFor(absl::Milliseconds(200));
    stop_ = true;
  });
  EXPECT_TRUE(absl::IsCancelled(session_->NextWork().status()));
  stopper.join();
}

}  // namespace
}  // namespace evopress::worker
