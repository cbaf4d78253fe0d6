#include "server/scheduler.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proto/conversions.h"
#include "search/digest.h"
#include "server/earlier_rounds.h"
#include "server/explanation.h"

namespace evopress::server {
namespace {

constexpr char kJobPrefix[] = "jobs/";
constexpr size_t kMaxNamedMissing = 20;
constexpr int kMaxRequestIdBytes = 128;
constexpr int kDefaultPage = 100;
constexpr int kMaxPage = 1000;
constexpr int kMaxRoundsPage = 50;

int PageSize(int asked, int limit) {
  return asked <= 0 ? std::min(kDefaultPage, limit) : std::min(asked, limit);
}

// Page tokens are positions: lists only grow at one end.
absl::StatusOr<int64_t> PagePosition(const std::string& token) {
  int64_t position = 0;
  if (!token.empty() && (!absl::SimpleAtoi(token, &position) || position < 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_token \"", token, "\" is not one of ours"));
  }
  return position;
}

// Errors of the store, not of the job: the job can be taken up again.
bool IsStoreTrouble(const absl::Status& status) {
  return absl::IsResourceExhausted(status) || absl::IsUnavailable(status);
}

}  // namespace

Scheduler::Scheduler(std::unique_ptr<Journal> journal, ArtifactSet& artifacts,
                     const SchedulerOptions& options)
    : options_(options),
      artifacts_(artifacts),
      journal_(std::move(journal)),
      leases_(options.leases) {}

absl::StatusOr<std::unique_ptr<Scheduler>> Scheduler::Start(
    std::unique_ptr<Journal> journal, ArtifactSet& artifacts,
    const SchedulerOptions& options) {
  std::unique_ptr<Scheduler> scheduler(
      new Scheduler(std::move(journal), artifacts, options));
  {
    MutexLock lock(scheduler->mutex_);
    auto files = scheduler->journal_->LoadLocalFiles();
    if (!files.ok()) return files.status();
    for (const LocalFileRecord& file : *files) artifacts.AddLocalFile(file);
    auto records = scheduler->journal_->LoadJobs();
    if (!records.ok()) return records.status();
    auto quarantined = scheduler->journal_->LoadQuarantined();
    if (!quarantined.ok()) return quarantined.status();
    for (const std::string& worker : *quarantined) {
      scheduler->leases_.AddQuarantined(worker);
    }
    for (JobRecord& record : *records) {
      const std::string id = record.id;
      if (!record.request_id.empty()) {
        scheduler->by_request_[record.request_id] = id;
      }
      scheduler->order_.push_back(id);
      Entry& entry = scheduler->jobs_[id];
      entry.record = std::move(record);
      if (!HasEnded(entry.record)) scheduler->MakeRunner(entry);
    }
  }
  if (options.background) {
    scheduler->thread_ = std::thread([raw = scheduler.get()] { raw->Run(); });
  }
  return scheduler;
}

Scheduler::~Scheduler() { Stop(); }

void Scheduler::Stop() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
  }
  changed_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

void Scheduler::Run() {
  const absl::Duration tick =
      std::clamp(options_.leases.heartbeat_interval / 4, absl::Milliseconds(5),
                 absl::Seconds(1));
  for (;;) {
    MutexLock lock(mutex_);
    if (stopped_) return;
    const bool more = MoveOn();
    // Between steps the lock is free for a moment.
    changed_.WaitFor(mutex_, more ? absl::Microseconds(50) : tick);
  }
}

bool Scheduler::Poll() {
  MutexLock lock(mutex_);
  return !stopped_ && MoveOn();
}

bool Scheduler::MoveOn() {
  const absl::Time now = options_.clock->Now();
  if (leases_.Expire(now)) changed_.NotifyAll();
  SettleLiars();
  bool more = false;
  for (auto& [id, entry] : jobs_) {
    if (entry.runner != nullptr) {
      entry.runner->Tick(now);
      entry.ready =
          entry.ready || entry.runner->Overdue() || DropHopelessAudits(entry);
    }
    if (!entry.ready) continue;
    Step(entry);
    more = more || entry.ready;
  }
  return more;
}

absl::StatusOr<Scheduler::Entry*> Scheduler::FindJob(const std::string& name) {
  const auto it = absl::StartsWith(name, kJobPrefix)
                      ? jobs_.find(name.substr(sizeof(kJobPrefix) - 1))
                      : jobs_.end();
  if (it == jobs_.end()) {
    return absl::NotFoundError(absl::StrCat("no job \"", name, "\""));
  }
  return &it->second;
}

v1::Job Scheduler::Describe(const Entry& entry) const {
  return entry.runner != nullptr ? entry.runner->Describe()
                                 : DescribeJob(entry.record);
}

void Scheduler::Changed(Entry& entry) {
  ++entry.version;
  if (entry.runner != nullptr) entry.record = entry.runner->record();
  changed_.NotifyAll();
}

absl::Status Scheduler::SaveRecord(const JobRecord& record) {
  JournalBatch batch;
  batch.jobs.push_back(record);
  return journal_->Commit(batch);
}

void Scheduler::MakeRunner(Entry& entry) {
  leases_.RemoveJob(entry.record.id);
  leases_.SetPaused(entry.record.id, entry.record.paused);
  auto runner = JobRunner::Create(entry.record, *journal_, artifacts_);
  if (!runner.ok()) {
    StopJob(entry, runner.status());
    return;
  }
  entry.runner = *std::move(runner);
  leases_.SetPriority(entry.record.id, entry.runner->priority());
  entry.ready = true;
}

void Scheduler::Step(Entry& entry) {
  entry.ready = false;
  if (entry.runner == nullptr || entry.record.paused) return;
  absl::StatusOr<bool> more = entry.runner->Advance(options_.clock->Now());
  if (!more.ok()) {
    StopJob(entry, more.status());
    return;
  }
  for (const std::string& id : entry.runner->TakeWithdrawn()) {
    leases_.RemoveTask(id);
  }
  for (const v1::Task& task : entry.runner->TakeTasks()) {
    absl::Status status = leases_.AddTask(task);
    if (!status.ok()) {
      StopJob(entry, status);
      return;
    }
  }
  entry.ready = *more;
  BeginAudits(entry);
  Changed(entry);
  if (HasEnded(entry.record)) {
    spdlog::info("job {} has ended", entry.record.id);
    leases_.RemoveJob(entry.record.id);
    entry.runner.reset();
  }
}

bool Scheduler::IsDeposed() {
  if (!journal_->Lost()) return false;
  // Who leads now knows the jobs from the journal. Nothing is said of them
  // here any more: waiting clients turn to the new leader.
  stopped_ = true;
  changed_.NotifyAll();
  return true;
}

void Scheduler::StopJob(Entry& entry, const absl::Status& why) {
  if (IsDeposed()) return;
  if (!IsStoreTrouble(why)) {
    EndJob(entry, v1::Job::FAILED, std::string(why.message())).IgnoreError();
    return;
  }
  spdlog::error("job {} is paused: {}", entry.record.id,
                std::string(why.message()));
  if (entry.runner != nullptr) entry.record = entry.runner->record();
  entry.runner.reset();
  entry.ready = false;
  leases_.RemoveJob(entry.record.id);
  entry.record.paused = true;
  entry.record.error = std::string(why.message());
  // With the disk full this may fail too; the job then goes on by itself
  // after a restart.
  SaveRecord(entry.record).IgnoreError();
  Changed(entry);
}

absl::Status Scheduler::EndJob(Entry& entry, v1::Job::State state,
                               const std::string& error) {
  JobRecord record =
      entry.runner != nullptr ? entry.runner->record() : entry.record;
  record.state = state;
  record.paused = false;
  record.error = error;
  record.end_time_ns = absl::ToUnixNanos(options_.clock->Now());
  absl::Status status = SaveRecord(record);
  if (!status.ok() && IsDeposed()) return status;
  if (!status.ok()) {
    spdlog::error("the end of job {} is not in the journal: {}", record.id,
                  std::string(status.message()));
    // Who asked for it is told that it did not happen.
    if (state == v1::Job::CANCELLED) return status;
  }
  entry.record = std::move(record);
  entry.runner.reset();
  entry.ready = false;
  leases_.RemoveJob(entry.record.id);
  if (!error.empty()) spdlog::error("job {}: {}", entry.record.id, error);
  Changed(entry);
  return absl::OkStatus();
}

absl::Status Scheduler::CheckArtifacts(const v1::JobSpec& spec) const {
  std::vector<std::string> missing;
  for (const v1::ModelRef::File& file : spec.model().files()) {
    if (artifacts_.Size(file.sha256()) != file.size_bytes()) {
      missing.push_back(absl::StrCat(file.sha256(), " (", file.name(), ")"));
    }
  }
  for (const v1::TokenSetRef& set : spec.data()) {
    if (!artifacts_.Has(set.sha256())) {
      missing.push_back(absl::StrCat(set.sha256(), " (token set ",
                                     v1::TokenSetRef::Role_Name(set.role()),
                                     " ", set.domain(), ")"));
    }
  }
  if (missing.empty()) return absl::OkStatus();
  const size_t count = missing.size();
  if (count > kMaxNamedMissing) missing.resize(kMaxNamedMissing);
  return absl::FailedPreconditionError(absl::StrCat(
      count,
      " artifacts must be uploaded first: ", absl::StrJoin(missing, ", ")));
}

absl::StatusOr<v1::Job> Scheduler::CreateJob(
    const v1::CreateJobRequest& request) {
  if (static_cast<int>(request.request_id().size()) > kMaxRequestIdBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("request_id has ", request.request_id().size(),
                     " bytes, the limit is ", kMaxRequestIdBytes));
  }
  absl::Status status = proto::Validate(request.spec());
  if (!status.ok()) return status;
  const std::string spec = proto::DeterministicBytes(request.spec());

  MutexLock lock(mutex_);
  if (stopped_) return absl::UnavailableError("shutting down");
  const auto known = by_request_.find(request.request_id());
  if (!request.request_id().empty() && known != by_request_.end()) {
    const Entry& entry = jobs_.at(known->second);
    v1::JobSpec earlier;
    if (!earlier.ParseFromString(entry.record.spec) ||
        proto::IdentityBytes(std::move(earlier)) !=
            proto::IdentityBytes(request.spec())) {
      return absl::AlreadyExistsError(absl::StrCat(
          "request_id \"", request.request_id(),
          "\" was used for another spec by jobs/", entry.record.id));
    }
    return Describe(entry);
  }
  status = CheckArtifacts(request.spec());
  if (!status.ok()) return status;
  if (!request.spec().start_from().empty()) {
    std::vector<JobRecord> records;
    for (const auto& [job, entry] : jobs_) records.push_back(entry.record);
    status = CheckStartFrom(request.spec(), records);
    if (!status.ok()) return status;
  }
  const int64_t active = std::count_if(
      jobs_.begin(), jobs_.end(),
      [](const auto& item) { return !HasEnded(item.second.record); });
  if (active >= options_.max_active_jobs) {
    return absl::ResourceExhaustedError(
        absl::StrCat(active, " jobs are active, the limit is ",
                     options_.max_active_jobs, "; try again later"));
  }
  JobRecord record;
  record.create_time_ns = absl::ToUnixNanos(options_.clock->Now());
  search::CanonicalWriter id("evopress.job.1");
  id.Text(spec);
  id.Int(record.create_time_ns);
  id.Int(created_++);
  record.id = id.Sha256().substr(0, 16);
  record.request_id = request.request_id();
  record.spec = spec;
  record.state = v1::Job::BUILDING;
  record.numeric_class = request.spec().numeric_class();
  status = SaveRecord(record);
  if (!status.ok()) return status;
  if (!record.request_id.empty()) by_request_[record.request_id] = record.id;
  order_.push_back(record.id);
  Entry& entry = jobs_[record.id];
  entry.record = std::move(record);
  MakeRunner(entry);
  Changed(entry);
  return Describe(entry);
}

bool Scheduler::KnowsRequest(const std::string& request_id) {
  MutexLock lock(mutex_);
  return by_request_.find(request_id) != by_request_.end();
}

absl::StatusOr<v1::Job> Scheduler::GetJob(const std::string& name) {
  MutexLock lock(mutex_);
  auto entry = FindJob(name);
  if (!entry.ok()) return entry.status();
  return Describe(**entry);
}

absl::StatusOr<v1::ListJobsResponse> Scheduler::ListJobs(
    const v1::ListJobsRequest& request) {
  auto position = PagePosition(request.page_token());
  if (!position.ok()) return position.status();
  MutexLock lock(mutex_);
  v1::ListJobsResponse response;
  // Newest first: a token counts the jobs not yet listed.
  int64_t left = static_cast<int64_t>(order_.size());
  if (!request.page_token().empty()) left = std::min(left, *position);
  for (int i = PageSize(request.page_size(), kMaxPage); i > 0 && left > 0;
       --i) {
    v1::Job& job = *response.add_jobs();
    job = Describe(jobs_.at(order_[static_cast<size_t>(--left)]));
    job.mutable_spec()->clear_space();
    job.clear_results();
  }
  if (left > 0) response.set_next_page_token(absl::StrCat(left));
  return response;
}

absl::StatusOr<v1::Job> Scheduler::PauseJob(const std::string& name) {
  MutexLock lock(mutex_);
  auto found = FindJob(name);
  if (!found.ok()) return found.status();
  Entry& entry = **found;
  if (HasEnded(entry.record)) {
    return absl::FailedPreconditionError(absl::StrCat(name, " has ended"));
  }
  if (entry.record.paused) return Describe(entry);
  JobRecord record =
      entry.runner != nullptr ? entry.runner->record() : entry.record;
  record.paused = true;
  absl::Status status = SaveRecord(record);
  if (!status.ok()) return status;
  entry.record = record;
  if (entry.runner != nullptr) entry.runner->mutable_record().paused = true;
  leases_.SetPaused(record.id, true);
  Changed(entry);
  return Describe(entry);
}

absl::StatusOr<v1::Job> Scheduler::ResumeJob(const std::string& name) {
  MutexLock lock(mutex_);
  auto found = FindJob(name);
  if (!found.ok()) return found.status();
  Entry& entry = **found;
  const bool failed = entry.record.state == v1::Job::FAILED;
  if (HasEnded(entry.record) && !failed) {
    return absl::FailedPreconditionError(absl::StrCat(name, " has ended"));
  }
  if (!failed && !entry.record.paused) return Describe(entry);
  JobRecord record =
      entry.runner != nullptr ? entry.runner->record() : entry.record;
  record.paused = false;
  record.error.clear();
  record.end_time_ns = 0;
  if (failed) record.state = v1::Job::BUILDING;
  absl::Status status = SaveRecord(record);
  if (!status.ok()) return status;
  entry.record = record;
  if (entry.runner == nullptr) {
    MakeRunner(entry);
  } else {
    entry.runner->mutable_record() = record;
    leases_.SetPaused(record.id, false);
    entry.ready = true;
  }
  Changed(entry);
  return Describe(entry);
}

absl::StatusOr<v1::Job> Scheduler::CancelJob(const std::string& name) {
  MutexLock lock(mutex_);
  auto found = FindJob(name);
  if (!found.ok()) return found.status();
  Entry& entry = **found;
  if (entry.record.state == v1::Job::CANCELLED) return Describe(entry);
  if (HasEnded(entry.record)) {
    return absl::FailedPreconditionError(absl::StrCat(name, " has ended"));
  }
  absl::Status status = EndJob(entry, v1::Job::CANCELLED, "");
  if (!status.ok()) return status;
  return Describe(entry);
}

absl::Status Scheduler::DeleteJob(const std::string& name) {
  MutexLock lock(mutex_);
  auto found = FindJob(name);
  if (!found.ok()) return found.status();
  const JobRecord& record = (*found)->record;
  if (!HasEnded(record)) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, " has not ended; cancel it first"));
  }
  const std::string id = record.id;
  JournalBatch batch;
  batch.delete_jobs.push_back(id);
  absl::Status status = journal_->Commit(batch);
  if (!status.ok()) return status;
  by_request_.erase(record.request_id);
  order_.erase(std::remove(order_.begin(), order_.end(), id), order_.end());
  jobs_.erase(id);
  changed_.NotifyAll();
  return absl::OkStatus();
}

absl::StatusOr<v1::ListRoundsResponse> Scheduler::ListRounds(
    const v1::ListRoundsRequest& request) {
  auto first = PagePosition(request.page_token());
  if (!first.ok()) return first.status();
  MutexLock lock(mutex_);
  auto entry = FindJob(request.job());
  if (!entry.ok()) return entry.status();
  const int page = PageSize(request.page_size(), kMaxRoundsPage);
  auto rows = journal_->LoadRounds((*entry)->record.id, *first, page);
  if (!rows.ok()) return rows.status();
  v1::ListRoundsResponse response;
  for (const RoundRow& row : *rows) {
    if (row.results.empty()) return response;
    v1::RoundRecord& record = *response.add_rounds();
    v1::EvaluateResult flat;
    if (!record.ParseFromString(row.round) ||
        !flat.ParseFromString(row.results)) {
      return absl::DataLossError(
          absl::StrCat("round ", row.index, " in the journal is damaged"));
    }
    int next = 0;
    for (v1::RoundRecord::Evaluation& evaluation :
         *record.mutable_evaluations()) {
      for (int i = 0; i < evaluation.samples_size() && next < flat.sums_size();
           ++i) {
        *evaluation.add_sums() = flat.sums(next++);
      }
    }
    record.set_history_hash(row.history_hash);
  }
  if (static_cast<int>(rows->size()) == page) {
    response.set_next_page_token(absl::StrCat(*first + page));
  }
  return response;
}

absl::StatusOr<v1::ExplainJobResponse> Scheduler::ExplainJob(
    const std::string& name) {
  MutexLock lock(mutex_);
  auto entry = FindJob(name);
  if (!entry.ok()) return entry.status();
  return Explain(Describe(**entry),
                 leases_.Count((*entry)->record.id, options_.clock->Now()));
}

Figures Scheduler::CountFigures() {
  MutexLock lock(mutex_);
  Figures figures;
  figures.counted = counted_;
  figures.work = leases_.Count("", options_.clock->Now());
  figures.long_polls = long_polls_;
  for (const auto& [id, entry] : jobs_) {
    ++figures.jobs[StateOf(entry.record)];
  }
  return figures;
}

absl::Status Scheduler::BackupJournal(const std::string& path) {
  std::unique_ptr<JournalCopy> copy;
  {
    MutexLock lock(mutex_);
    auto begun = journal_->CopyTo(path);
    if (!begun.ok()) return begun.status();
    copy = *std::move(begun);
  }
  for (bool done = false; !done;) {
    MutexLock lock(mutex_);
    absl::StatusOr<bool> step = absl::UnavailableError("shutting down");
    if (!stopped_) step = copy->Step();
    // It ends under the lock, as it uses the journal.
    if (!step.ok() || *step) copy.reset();
    if (!step.ok()) return step.status();
    done = *step;
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::Job> Scheduler::WaitForChange(const std::string& name,
                                                 absl::Duration wait,
                                                 int64_t* version) {
  const absl::Time end = options_.clock->Now() + wait;
  MutexLock lock(mutex_);
  for (;;) {
    if (stopped_) return absl::UnavailableError("shutting down");
    auto entry = FindJob(name);
    if (!entry.ok()) return entry.status();
    const absl::Duration left = end - options_.clock->Now();
    if ((*entry)->version != *version || left <= absl::ZeroDuration()) {
      *version = (*entry)->version;
      return Describe(**entry);
    }
    changed_.WaitFor(mutex_, left);
  }
}

absl::Status Scheduler::RegisterLocalFile(const LocalFileRecord& file) {
  {
    MutexLock lock(mutex_);
    JournalBatch batch;
    batch.local_files.push_back(file);
    absl::Status status = journal_->Commit(batch);
    if (!status.ok()) return status;
  }
  artifacts_.AddLocalFile(file);
  return absl::OkStatus();
}

}  // namespace evopress::server
