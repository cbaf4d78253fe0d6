// Drives one job from its spec to its results: builds, rounds, report.
//
// A runner is a deterministic machine between the strategy and the journal. It
// asks for tasks (TakeTasks), is told their results, and writes what must
// survive. It is thrown away and made anew from the journal at any time: after
// a crash, a full disk, a pause.
//
//   BUILDING   build tasks -> level table artifact
//   SEARCHING  round journaled -> evaluate tasks -> round told, committed
//   REPORTING  winner, spec.report and reference on every HELD_OUT set
//
// A limit of the spec ends SEARCHING early, with the incumbent as winner. The
// tokens asked for decide alike in every run; the time of work is journaled
// with the decision, so that a life after a crash decides the same.
#ifndef EVOPRESS_SERVER_JOB_RUNNER_H_
#define EVOPRESS_SERVER_JOB_RUNNER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "evopress/v1/jobs.pb.h"
#include "evopress/v1/tasks.pb.h"
#include "search/history.h"
#include "search/strategy.h"
#include "server/artifact_set.h"
#include "server/journal.h"
#include "server/measurement_plan.h"
#include "server/work_clock.h"

namespace evopress::server {

// SUCCEEDED, FAILED or CANCELLED.
bool HasEnded(const JobRecord& record);

// The state as the API shows it: PAUSED where the record is.
v1::Job::State StateOf(const JobRecord& record);

// The job as the API shows it, from its record alone.
v1::Job DescribeJob(const JobRecord& record);

// The rounds are about to be deleted: nothing found or decided counts.
void ForgetSearch(JobRecord& record);

// Thread-compatible.
class JobRunner {
 public:
  // Replays the told rounds. `journal` and `artifacts` must outlive this.
  // DataLoss if the journaled rounds are not what the strategy asks.
  static absl::StatusOr<std::unique_ptr<JobRunner>> Create(
      const JobRecord& record, Journal& journal, ArtifactSet& artifacts);

  const JobRecord& record() const { return record_; }
  JobRecord& mutable_record() { return record_; }
  int priority() const { return spec_.priority(); }

  // True while no worker has given the job its numeric class.
  bool WaitsForClass() const { return record_.numeric_class.empty(); }
  absl::Status PinClass(const std::string& numeric_class);

  // Counts time of work; Advance() does so too.
  void Tick(absl::Time now);
  // True if the time of work is over and Advance() would end the search.
  bool Overdue() const;

  // One step forward, if nothing is pending or the time is over. Returns true
  // if another step may be possible at once. ResourceExhausted and Unavailable:
  // the journal could not be written, make the runner anew later. Other errors
  // fail the job.
  absl::StatusOr<bool> Advance(absl::Time now);

  // Tasks to lease, new since the last call; all journaled before.
  std::vector<v1::Task> TakeTasks();
  // Ids of tasks no longer wanted, since the last call.
  std::vector<std::string> TakeWithdrawn();

  // InvalidArgument unless `result` fits the task (FailedPrecondition if it
  // names artifacts that are not there).
  absl::Status CheckResult(const v1::Task& task,
                           const v1::TaskResult& result) const;

  // Adds what `result` teaches to `batch`. `worker`: who alone vouches for it,
  // "" if two do. `replace`: overwrite what an earlier result taught. Nothing
  // changes here until Finish(): the batch may not become durable.
  void Record(const v1::Task& task, const v1::TaskResult& result,
              const std::string& worker, bool replace,
              JournalBatch& batch) const;
  // Adds that a second worker got the result of `task`.
  void Confirm(const v1::Task& task, const v1::TaskResult& result,
               JournalBatch& batch) const;
  // What Finish() will add to record().evaluated_tokens.
  static int64_t TokensOf(const v1::Task& task);
  // The batch is durable: the task is done.
  void Finish(const v1::Task& task, const v1::TaskResult& result);
  // The result of a finished task is in doubt: nothing is told until it is
  // finished again.
  void Reopen(const v1::Task& task, JournalBatch& batch);
  // Audits (server/job_audit.cc). The job does not end before those that are
  // expected have ended: another worker confirmed the result, or none was
  // there.
  struct Audit {
    v1::Task task;
    std::string value;   // as given to LeaseTable::Complete
    std::string worker;  // whose result it is
  };
  void ExpectAudit(const std::string& task_id) { audits_.insert(task_id); }
  void EndAudit(const std::string& task_id, bool confirmed);
  // Results of earlier lives and jobs to be audited, since the last call.
  std::vector<Audit> TakeAudits();
  // True if nothing else is left to do.
  bool AwaitsAudits() const { return audit_begun_ && !audits_.empty(); }
  // True if several workers took part, as far as the audit has seen.
  bool made_by_fleet() const { return made_by_fleet_; }

  // The task is replaced by smaller ones (TakeTasks).
  void SplitTask(const v1::Task& task);

  v1::Job Describe() const;

 private:
  // Measurements to make on one token set, in canonical order.
  struct Wanted {
    v1::TokenSetRef data;
    std::vector<Pair> pairs;
    std::vector<std::string> keys;  // of the pairs; may repeat
  };

  JobRunner(const JobRecord& record, v1::JobSpec spec, Journal& journal,
            ArtifactSet& artifacts);

  absl::Status FindScores();
  absl::Status Build(absl::Time now);
  absl::Status UseLevelTable(const v1::LevelTable& table);
  bool BlobsPresent(const v1::LevelTable& table) const;
  absl::Status StartSearch();
  absl::Status TakeStep(search::Step step);
  absl::Status StopSearch(v1::Job::Stop reason);
  void CountKnown(const RoundRow& row);
  void KeepIncumbent();
  void AddStanding(const search::Assignment& incumbent,
                   v1::Candidate& candidate) const;
  int64_t TokensOf(const search::Round& round) const;
  void UpdateRecord();
  absl::Status BeginRound(const search::Round& round);
  absl::Status TellRound();
  absl::Status BeginReport();
  absl::Status EndReport(absl::Time now);
  absl::Status BeginAudit();
  Wanted WantedFor(const search::Round& round) const;
  void AddPair(Wanted& wanted, const std::string& levels,
               int32_t sequence) const;
  absl::Status LoadValues(const Wanted& wanted);
  void EmitTasks(const Wanted& wanted, const std::string& known);
  void Emit(v1::Task task);
  std::vector<std::string> KeysOf(const v1::EvaluateTask& task) const;
  std::vector<std::string> BuildKeysOf(const v1::Task& task) const;
  bool AllKnown(const v1::EvaluateTask& task) const;
  search::RoundResults ResultsOf(const search::Round& round,
                                 const v1::EvaluateResult& flat) const;
  v1::Candidate MakeCandidate(const std::string& name,
                              const search::Assignment& assignment) const;
  // Of target `t`, if the spec has targets.
  v1::Candidate MakeBest(const std::string& name, size_t t,
                         const search::Incumbent& best) const;
  absl::Status SaveRecord();

  JobRecord record_;
  v1::Job outcome_;  // what record_.results holds
  WorkClock clock_;
  const v1::JobSpec spec_;
  Journal& journal_;
  ArtifactSet& artifacts_;
  std::optional<v1::TokenSetRef> search_set_;

  search::SearchSpace space_;
  std::optional<MeasurementKeys> keys_;
  std::vector<std::vector<double>> layer_errors_;
  std::vector<std::vector<double>> scores_;  // empty: the strategy needs none

  std::unique_ptr<search::Strategy> strategy_;
  std::optional<search::History> history_;
  std::optional<search::Round> round_;      // pending
  RoundRow row_;                            // of round_
  std::vector<search::Incumbent> winners_;  // one for each target

  std::set<std::string> audits_;  // task ids
  std::vector<Audit> new_audits_;
  bool audit_begun_ = false;
  bool made_by_fleet_ = false;

  bool begun_ = false;          // the tasks of the present state were emitted
  std::vector<Wanted> wanted_;  // present round or report
  std::map<std::string, search::SampleSums> values_;  // by key
  std::set<std::string> pending_;                     // task ids
  int64_t planned_tasks_ = 0;
  std::vector<v1::Task> new_tasks_;
  std::vector<std::string> withdrawn_;
};

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_JOB_RUNNER_H_
