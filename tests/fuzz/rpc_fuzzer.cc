// Calls of clients and workers, in any order and with any content, to the
// scheduler behind the services, on a disk in memory and a clock of its own.
// A coordinator that is killed must start again from what it wrote.
//
// A session, token or task id of one character stands for one that the
// coordinator has given out, a job name of one character for a job that is
// there: so mutations reach what only holders of these can.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/scheduler.h"
#include "spdlog/spdlog.h"
#include "tests/fault/memory_store.h"
#include "tests/fuzz/calls.pb.h"
#include "tests/fuzz/message_mutator.h"
#include "tests/server/small_job.h"

namespace evopress::fuzz {
namespace {

constexpr int kMaxCalls = 48;
constexpr int kMaxJobs = 6;
constexpr int kMaxTurns = 20;  // of the background thread, a call

class StillClock : public server::Clock {
 public:
  absl::Time Now() override { return now; }
  absl::Time now = absl::FromUnixSeconds(1'800'000'000);
};

class Coordinator {
 public:
  Coordinator() : artifacts_(disk_, hooks_) {
    for (const std::string& bytes : server::SpecArtifacts()) {
      (void)artifacts_.Put(bytes);
    }
    options_.background = false;
    options_.max_long_polls = 0;
    options_.clock = &clock_;
    Restart();
  }

  void Take(const Call& call) {
    switch (call.request_case()) {
      case Call::kCreate:
        if (jobs_.size() < kMaxJobs) {
          auto job = scheduler_->CreateJob(call.create());
          if (job.ok()) jobs_.push_back(job->name());
        }
        break;
      case Call::kGet:
        (void)scheduler_->GetJob(Job(call.get().name()));
        break;
      case Call::kList:
        (void)scheduler_->ListJobs(call.list());
        break;
      case Call::kPause:
        (void)scheduler_->PauseJob(Job(call.pause().name()));
        break;
      case Call::kResume:
        (void)scheduler_->ResumeJob(Job(call.resume().name()));
        break;
      case Call::kCancel:
        (void)scheduler_->CancelJob(Job(call.cancel().name()));
        break;
      case Call::kDelete:
        (void)scheduler_->DeleteJob(Job(call.delete_().name()));
        break;
      case Call::kRounds: {
        v1::ListRoundsRequest request = call.rounds();
        request.set_job(Job(request.job()));
        (void)scheduler_->ListRounds(request);
        break;
      }
      case Call::kOpen: {
        auto opened = scheduler_->OpenSession(call.open());
        if (opened.ok()) sessions_.push_back(opened->session());
        break;
      }
      case Call::kLease: {
        v1::LeaseTasksRequest request = call.lease();
        request.set_session(Session(request.session()));
        request.clear_wait();
        auto leased = scheduler_->LeaseTasks(request);
        if (!leased.ok()) break;
        for (const v1::Lease& lease : leased->leases()) {
          leases_.push_back({request.session(), lease});
        }
        break;
      }
      case Call::kHeartbeat: {
        v1::HeartbeatRequest request = call.heartbeat();
        request.set_session(Session(request.session()));
        for (auto& lease : *request.mutable_leases()) {
          lease.set_token(Lease(lease.token()).token());
        }
        (void)scheduler_->Heartbeat(request);
        break;
      }
      case Call::kComplete: {
        v1::CompleteTasksRequest request = call.complete();
        request.set_session(Session(request.session()));
        for (auto& completion : *request.mutable_completions()) {
          const v1::Lease lease = Lease(completion.token());
          completion.set_token(lease.token());
          if (completion.task_id().size() <= 1) {
            completion.set_task_id(lease.task().id());
          }
        }
        (void)scheduler_->CompleteTasks(request);
        break;
      }
      case Call::kClose:
        (void)scheduler_->CloseSession(Session(call.close().session()));
        break;
      case Call::kDrain:
        (void)scheduler_->DrainWorker(call.drain().worker_id());
        break;
      case Call::kWork:
        Work();
        break;
      case Call::kMilliseconds:
        clock_.now +=
            absl::Milliseconds(std::abs(call.milliseconds() % 100000));
        break;
      case Call::kRestart:
        Restart();
        break;
      case Call::REQUEST_NOT_SET:
        break;
    }
    for (int i = 0; i < kMaxTurns && scheduler_->Poll(); ++i) {
    }
  }

  void Restart() {
    scheduler_.reset();
    options_.leases.epoch = absl::StrCat(++lives_);
    auto scheduler = server::Scheduler::Start(
        fault::OpenMemoryJournal(disk_, hooks_), artifacts_, options_);
    if (!scheduler.ok()) {
      std::fprintf(stderr, "does not start: %s\n",
                   scheduler.status().ToString().c_str());
      std::abort();
    }
    scheduler_ = *std::move(scheduler);
  }

 private:
  struct Held {
    std::string session;
    v1::Lease lease;
  };

  template <typename T>
  static size_t Index(const std::string& text, const std::vector<T>& known) {
    return static_cast<unsigned char>(text[0]) % known.size();
  }
  std::string Job(const std::string& text) const {
    return text.size() != 1 || jobs_.empty() ? text : jobs_[Index(text, jobs_)];
  }
  std::string Session(const std::string& text) const {
    return text.size() != 1 || sessions_.empty()
               ? text
               : sessions_[Index(text, sessions_)];
  }
  v1::Lease Lease(const std::string& token) const {
    if (token.size() == 1 && !leases_.empty()) {
      return leases_[Index(token, leases_)].lease;
    }
    v1::Lease unknown;
    unknown.set_token(token);
    return unknown;
  }

  void Work() {
    for (const Held& held : std::exchange(leases_, {})) {
      v1::CompleteTasksRequest request;
      request.set_session(held.session);
      v1::Completion& completion = *request.add_completions();
      completion.set_token(held.lease.token());
      completion.set_task_id(held.lease.task().id());
      *completion.mutable_result() = server::FakeResult(
          held.lease.task(),
          [this](const std::string& bytes) { (void)artifacts_.Put(bytes); });
      (void)scheduler_->CompleteTasks(request);
    }
  }

  fault::Disk disk_;
  fault::WriteHooks hooks_;
  fault::MemoryArtifacts artifacts_;
  StillClock clock_;
  server::SchedulerOptions options_;
  std::unique_ptr<server::Scheduler> scheduler_;
  std::vector<std::string> jobs_;
  std::vector<std::string> sessions_;
  std::vector<Held> leases_;
  int lives_ = 0;
};

}  // namespace
}  // namespace evopress::fuzz

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size,
                                          size_t max_size, unsigned int seed) {
  evopress::fuzz::Calls calls;
  return evopress::fuzz::MutateSerialized(calls, data, size, max_size, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace evopress::fuzz;
  spdlog::set_level(spdlog::level::off);
  Calls calls;
  if (!calls.ParseFromArray(data, static_cast<int>(size))) return 0;
  Coordinator coordinator;
  for (int i = 0; i < std::min(calls.calls_size(), kMaxCalls); ++i) {
    coordinator.Take(calls.calls(i));
  }
  coordinator.Restart();
  return 0;
}
