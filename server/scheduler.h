// The state of the coordinator behind one lock: jobs, leases, journal. The
// gRPC services are thin layers over it.
#ifndef EVOPRESS_SERVER_SCHEDULER_H_
#define EVOPRESS_SERVER_SCHEDULER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "evopress/v1/jobs.pb.h"
#include "evopress/v1/workers.pb.h"
#include "server/artifact_set.h"
#include "server/clock.h"
#include "server/job_runner.h"
#include "server/journal.h"
#include "server/lease_table.h"
#include "server/metrics.h"
#include "server/mutex.h"

namespace evopress::server {

struct SchedulerOptions {
  LeaseTableOptions leases;
  int64_t max_active_jobs = 1000;
  int max_long_polls = 512;  // further ones are answered at once
  Clock* clock = &Clock::System();
  // False: the owner calls Poll() instead of the background thread, and only
  // asks what does not wait (a simulation, in one thread).
  bool background = true;
};

// Thread-safe. One background thread expires leases and moves jobs that need
// no worker.
class Scheduler {
 public:
  // Replays the unfinished jobs. `artifacts` must outlive this.
  static absl::StatusOr<std::unique_ptr<Scheduler>> Start(
      std::unique_ptr<Journal> journal, ArtifactSet& artifacts,
      const SchedulerOptions& options);
  ~Scheduler();

  // Jobs. Names are "jobs/<id>"; NotFound for unknown ones.
  absl::StatusOr<v1::Job> CreateJob(const v1::CreateJobRequest& request);
  // Whether a job was made for this request id.
  bool KnowsRequest(const std::string& request_id);
  absl::StatusOr<v1::Job> GetJob(const std::string& name);
  absl::StatusOr<v1::ListJobsResponse> ListJobs(
      const v1::ListJobsRequest& request);
  absl::StatusOr<v1::Job> PauseJob(const std::string& name);
  // Also takes up a FAILED job again: what was measured is kept.
  absl::StatusOr<v1::Job> ResumeJob(const std::string& name);
  absl::StatusOr<v1::Job> CancelJob(const std::string& name);
  absl::Status DeleteJob(const std::string& name);
  absl::StatusOr<v1::ListRoundsResponse> ListRounds(
      const v1::ListRoundsRequest& request);
  absl::StatusOr<v1::ExplainJobResponse> ExplainJob(const std::string& name);
  Figures CountFigures();
  // Copies the journal to a new file, in steps: work goes on.
  absl::Status BackupJournal(const std::string& path);
  // Waits until the job's version differs from *version (0: never seen) or
  // `wait` is over, and sets *version. Unavailable after Stop().
  absl::StatusOr<v1::Job> WaitForChange(const std::string& name,
                                        absl::Duration wait, int64_t* version);

  // Workers.
  absl::StatusOr<v1::OpenSessionResponse> OpenSession(
      const v1::OpenSessionRequest& request);
  absl::StatusOr<v1::LeaseTasksResponse> LeaseTasks(
      const v1::LeaseTasksRequest& request);
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(
      const v1::HeartbeatRequest& request);
  absl::StatusOr<v1::CompleteTasksResponse> CompleteTasks(
      const v1::CompleteTasksRequest& request);
  absl::Status CloseSession(const std::string& session);
  absl::StatusOr<v1::ListWorkersResponse> ListWorkers(
      const v1::ListWorkersRequest& request);
  absl::Status DrainWorker(const std::string& worker_id);

  absl::Status RegisterLocalFile(const LocalFileRecord& file);

  // What the background thread does: expires leases, moves jobs that need no
  // worker by one step. True if more can be done at once.
  bool Poll();

  // Answers long polls and watches, ends the background thread. Idempotent.
  void Stop();

 private:
  struct Entry {
    JobRecord record;                   // as last seen; the runner's if any
    std::unique_ptr<JobRunner> runner;  // none: ended, or halted
    int64_t version = 1;
    bool ready = false;  // may be able to go on without a worker
  };
  // What one CompleteTasks call has to do once its batch is durable.
  struct Settlement;

  Scheduler(std::unique_ptr<Journal> journal, ArtifactSet& artifacts,
            const SchedulerOptions& options);

  void Run();
  bool MoveOn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Entry*> FindJob(const std::string& name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  v1::Job Describe(const Entry& entry) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MakeRunner(Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Step(Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // True once another coordinator leads; then this one has stopped.
  bool IsDeposed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StopJob(Entry& entry, const absl::Status& why)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A cancellation that cannot be journaled changes nothing and is an error.
  absl::Status EndJob(Entry& entry, v1::Job::State state,
                      const std::string& error)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Changed(Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckArtifacts(const v1::JobSpec& spec) const;
  absl::Status SaveRecord(const JobRecord& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PinClasses(const std::string& numeric_class)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<v1::CompleteTasksResponse::Verdict> CompleteOne(
      const std::string& session, const v1::Completion& completion,
      Settlement& settlement) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void BeginAudits(Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // True if the job waited for audits and need not any longer.
  bool DropHopelessAudits(Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SettleLiars() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Settle(Settlement& settlement)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const SchedulerOptions options_;
  ArtifactSet& artifacts_;
  Mutex mutex_;
  CondVar changed_;  // anything a waiter may wait for
  std::unique_ptr<Journal> journal_ ABSL_GUARDED_BY(mutex_);
  LeaseTable leases_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Entry> jobs_ ABSL_GUARDED_BY(mutex_);  // by id
  std::vector<std::string> order_ ABSL_GUARDED_BY(mutex_);     // oldest first
  std::map<std::string, std::string> by_request_ ABSL_GUARDED_BY(mutex_);
  int long_polls_ ABSL_GUARDED_BY(mutex_) = 0;
  Counted counted_ ABSL_GUARDED_BY(mutex_);
  int64_t created_ ABSL_GUARDED_BY(mutex_) = 0;
  // Quarantined workers that the journal does not know of yet.
  std::set<std::string> liars_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_SCHEDULER_H_
