// Who works on what: sessions, tasks, leases, votes. Pure: time is an
// argument, nothing is sent or stored from here.
//
// Invariants
//  1. A task is done once: the first valid result wins, equal ones are
//     duplicates.
//  2. A task has at most one live lease, and a done one none, except for its
//     audit and while its result is disputed.
//  3. Two budgets. Losing a worker never counts against a task. Reported
//     faults do: one that three workers report is a verdict on the task. As
//     long as fewer have tried, the fault may be theirs, and the task waits for
//     others; it is a verdict, too, if for `fleet_patience` nobody else was
//     there. What may heal by itself (a full disk, a network) has a budget of
//     its own.
//  4. An audit is a second worker's computation of a done task. Audits come
//     after all other work, and end without a verdict if nobody is there.
//  5. A different second result opens a dispute: other workers compute the
//     task until two agree; those who said otherwise are quarantined. So is who
//     contradicts itself, which is asked for if there are only two.
#ifndef EVOPRESS_SERVER_LEASE_TABLE_H_
#define EVOPRESS_SERVER_LEASE_TABLE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "evopress/v1/workers.pb.h"

namespace evopress::server {

struct LeaseTableOptions {
  absl::Duration heartbeat_interval = absl::Seconds(5);
  int heartbeats_per_lease = 3;
  // Of memory and crashes, by different workers, or by the only one.
  int max_faults = 3;
  absl::Duration fleet_patience = absl::Minutes(1);
  int max_transient_faults = 20;
  int max_votes = 5;  // different opinions before a task fails
  // Each worker's first result is audited, then every one of so many.
  int64_t results_per_audit = 32;
  int64_t max_tasks = 1 << 20;
  int64_t max_workers = 16384;
  int max_leases_per_session = 256;
  std::string epoch = "0";  // makes tokens of different runs differ
};

// What became of one completion, and what the caller has to do about it.
struct CompletionOutcome {
  enum class Action {
    kNone,
    kAccept,   // store the result
    kDispute,  // the result accepted before is in doubt: forget it for now
    kConfirm,  // dispute over, the result accepted before was right
    kReplace,  // dispute over, this result replaces the one accepted before
    kAudited,  // a second worker got the accepted result
    kSplit,    // out of memory: replace the task by smaller ones
    kFail,     // the task cannot be done: `message`
  };
  v1::CompleteTasksResponse::Verdict verdict =
      v1::CompleteTasksResponse::VERDICT_UNSPECIFIED;
  Action action = Action::kNone;
  std::string message;             // for logs and errors; names workers
  std::string worker;              // who completed
  bool audit_due = false;          // of an accepted result
  std::vector<std::string> liars;  // quarantined by this completion
};

// Thread-compatible.
class LeaseTable {
 public:
  explicit LeaseTable(const LeaseTableOptions& options) : options_(options) {}

  // Tasks. Adding a known task changes nothing; ResourceExhausted if full.
  absl::Status AddTask(const v1::Task& task);
  // Forgets tasks; who holds one hears of it with the next heartbeat.
  void RemoveTask(const std::string& id);
  void RemoveJob(const std::string& job);
  // Tasks of a paused job are not leased; what is leased goes on.
  void SetPaused(const std::string& job, bool paused);
  // 0 unless set. Forgotten with RemoveJob().
  void SetPriority(const std::string& job, int priority);
  const v1::Task* FindTask(const std::string& id) const;
  int64_t open_tasks() const { return open_tasks_; }

  // Sessions. All but OpenSession: Aborted if the session is not valid.
  absl::StatusOr<std::string> OpenSession(const v1::OpenSessionRequest& request,
                                          absl::Time now);
  absl::StatusOr<v1::LeaseTasksResponse> LeaseTasks(const std::string& session,
                                                    int capacity,
                                                    absl::Time now);
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(
      const v1::HeartbeatRequest& request, absl::Time now);
  absl::Status CloseSession(const std::string& session, absl::Time now);
  // The class of a session that may take work, "" if it may not.
  absl::StatusOr<std::string> ClassForWork(const std::string& session) const;

  // `value` identifies the result's content (a hash); `fault` is set instead
  // if the worker reports one or its result is malformed.
  absl::StatusOr<CompletionOutcome> Complete(const std::string& session,
                                             const v1::Completion& completion,
                                             const std::string& value,
                                             const v1::Fault* fault,
                                             absl::Time now);

  // Audits. Has a second worker compute a done task whose result only one
  // gave; nothing if it need not be. Whether it is awaited now.
  bool RequestAudit(const std::string& id);
  // The same of a result that was accepted in an earlier life.
  // ResourceExhausted if full.
  absl::StatusOr<bool> AddAudit(const v1::Task& task, const std::string& value,
                                const std::string& worker);
  // Ends and names the audits of a job that nobody is there to make. With
  // `fleet`, workers that were there lately, or may not be back yet since the
  // table was made, are waited for.
  std::vector<std::string> TakeHopelessAudits(const std::string& job,
                                              bool fleet, absl::Time now);
  // As when two workers proved it wrong.
  void AddQuarantined(const std::string& worker);

  // Drops leases of silent workers, frees tasks that wait after a fault. True
  // if a task became free.
  bool Expire(absl::Time now);

  // NotFound for an unknown worker.
  absl::Status DrainWorker(const std::string& worker_id);
  std::vector<v1::Worker> ListWorkers() const;  // by worker id
  // What is there of one job ("": of all), and who could do it.
  struct Counts {
    int64_t queued = 0;
    int64_t leased = 0;
    int64_t resting = 0;
    int64_t audits = 0;         // awaited
    std::string oldest_worker;  // of the leases of the job, and for how long
    absl::Duration oldest_lease = absl::ZeroDuration();
    std::string last_fault;  // that a task of the job is resting from
    std::map<std::string, int64_t> connected;  // active workers by class
    std::map<std::string, int64_t> busy;       // of those, with a lease
    std::map<v1::Worker::State, int64_t> workers;
  };
  Counts Count(const std::string& job, absl::Time now) const;

 private:
  struct TaskEntry {
    v1::Task task;
    bool done = false;
    bool disputed = false;
    bool queued = false;
    bool audit = false;    // awaited
    int repeated = 0;      // opinions in a dispute
    std::string accepted;  // value
    std::map<std::string, std::set<std::string>> votes;  // value -> workers
    std::set<std::string> avoid;  // workers that failed or voted
    int attempts = 0;
    std::map<std::string, int> faults;  // by worker
    absl::Time first_fault = absl::InfiniteFuture();
    int transient_faults = 0;
    std::string last_fault;        // as told to people
    std::set<std::string> tokens;  // live leases
  };
  struct LeaseEntry {
    std::string task;
    std::string session;
    int attempt = 0;
    bool cancelled = false;
    absl::Time begin;
    absl::Time expiry;
  };
  struct SessionEntry {
    std::string worker;
    absl::Time last_seen;
    std::map<std::string, LeaseEntry> leases;  // by token
  };
  struct WorkerEntry {
    v1::OpenSessionRequest info;
    std::string session;  // "" if none is valid
    v1::Worker::State state = v1::Worker::ACTIVE;
    int64_t completed = 0;
    int64_t results = 0;  // accepted ones
    absl::Time last_seen;
  };

  using Queues = std::map<std::string, std::deque<std::string>>;  // job -> ids

  absl::Duration LeaseTime() const {
    return options_.heartbeat_interval * options_.heartbeats_per_lease;
  }
  absl::StatusOr<SessionEntry*> Touch(const std::string& session,
                                      absl::Time now);
  void Enqueue(const std::string& id, TaskEntry& entry, bool first);
  // By value: the token may be the key of the lease that is dropped.
  void DropLease(SessionEntry& session, std::string token);
  void DropSession(const std::string& session);
  void CancelLeases(TaskEntry& entry);
  bool MayTake(const TaskEntry& entry, const WorkerEntry& worker) const;
  bool AnotherCanTake(const TaskEntry& entry, const std::string& worker) const;
  // True if a worker that may still do the task is there, or was lately.
  bool AnotherMayCome(const TaskEntry& entry, absl::Time now) const;
  void RetryLater(const std::string& id, TaskEntry& entry,
                  const std::string& worker, int failures, absl::Time now);
  // The queues to take from, in their order.
  std::vector<Queues::iterator> Turns();
  std::string NextTaskFor(const WorkerEntry& worker);
  std::string NextAuditFor(const WorkerEntry& worker);
  void EndAudit(const std::string& id, TaskEntry& entry);
  CompletionOutcome CompleteWithFault(const std::string& id, TaskEntry& entry,
                                      const std::string& worker,
                                      const v1::Fault& fault, absl::Time now);
  CompletionOutcome CompleteAgain(const std::string& id, TaskEntry& entry,
                                  const std::string& worker,
                                  const std::string& value);
  CompletionOutcome CompleteDisputed(const std::string& id, TaskEntry& entry,
                                     const std::string& worker,
                                     const std::string& value, absl::Time now);
  CompletionOutcome RepeatOpinion(const std::string& id, TaskEntry& entry,
                                  const std::string& worker,
                                  const std::string& before,
                                  const std::string& value, absl::Time now);
  CompletionOutcome Decide(const std::string& id, TaskEntry& entry,
                           const std::string& value);
  void Quarantine(const std::string& worker);
  void ForgetOldWorkers();

  const LeaseTableOptions options_;
  std::map<std::string, TaskEntry> tasks_;
  Queues queues_;
  std::map<std::string, std::deque<std::string>> audits_;  // job -> task ids
  std::multimap<absl::Time, std::string> resting_;  // tasks, by when they end
  std::set<std::string> paused_;
  std::map<std::string, int> priorities_;  // of jobs; 0 is not kept
  std::string last_job_;                   // round-robin position
  std::map<std::string, SessionEntry> sessions_;
  std::map<std::string, WorkerEntry> workers_;
  int64_t open_tasks_ = 0;
  int64_t next_serial_ = 0;
  absl::Time first_time_ = absl::InfiniteFuture();  // seen by this table
};

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_LEASE_TABLE_H_
