#include "server/job_runner.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/conversions.h"
#include "search/sha256.h"
#include "search/strategy_options.h"
#include "server/earlier_rounds.h"
#include "server/level_build.h"
#include "server/model_scores.h"
#include "server/standing.h"

namespace evopress::server {
namespace {

constexpr int64_t kRoundsPerPage = 64;

// What the history starts from: all of the spec that the search depends on.
std::string HistoryOrigin(v1::JobSpec spec, const std::string& numeric_class) {
  spec.clear_display_name();
  spec.clear_labels();
  spec.clear_report();
  spec.clear_limits();  // they cut a history short, nothing else
  spec.set_numeric_class(numeric_class);
  spec.mutable_model()->clear_display_name();
  auto* data = spec.mutable_data();
  data->erase(std::remove_if(data->begin(), data->end(),
                             [](const v1::TokenSetRef& set) {
                               return set.role() == v1::TokenSetRef::HELD_OUT;
                             }),
              data->end());
  for (v1::TokenSetRef& set : *data) set.clear_domain();
  if (spec.has_calibration()) {
    for (auto& domain : *spec.mutable_calibration()->mutable_domains()) {
      domain.clear_name();
    }
  }
  return search::Sha256Hex(proto::DeterministicBytes(spec));
}

std::string PackKeepAll(int units) {
  return std::string(static_cast<size_t>(units) * 2, '\xFF');
}

v1::RoundRecord ToRecord(const search::Round& round) {
  v1::RoundRecord record;
  record.set_index(round.index);
  record.set_purpose(round.purpose);
  for (const search::Evaluation& evaluation : round.evaluations) {
    v1::RoundRecord::Evaluation& out = *record.add_evaluations();
    *out.mutable_assignment() = proto::ToProto(evaluation.assignment);
    out.mutable_samples()->Add(evaluation.samples.begin(),
                               evaluation.samples.end());
  }
  return record;
}

// A Timestamp or a Duration.
template <typename Message>
void SetNanoseconds(int64_t nanoseconds, Message& message) {
  message.set_seconds(nanoseconds / 1'000'000'000);
  message.set_nanos(static_cast<int32_t>(nanoseconds % 1'000'000'000));
}

absl::Duration FromProto(const google::protobuf::Duration& message) {
  return absl::Seconds(message.seconds()) + absl::Nanoseconds(message.nanos());
}

}  // namespace

bool HasEnded(const JobRecord& record) {
  return record.state == v1::Job::SUCCEEDED ||
         record.state == v1::Job::FAILED || record.state == v1::Job::CANCELLED;
}

v1::Job::State StateOf(const JobRecord& record) {
  return record.paused ? v1::Job::PAUSED
                       : static_cast<v1::Job::State>(record.state);
}

v1::Job DescribeJob(const JobRecord& record) {
  v1::Job job;
  job.ParseFromString(record.results);
  job.set_name(absl::StrCat("jobs/", record.id));
  job.mutable_spec()->ParseFromString(record.spec);
  job.set_state(StateOf(record));
  job.set_error(record.error);
  job.set_numeric_class(record.numeric_class);
  SetNanoseconds(record.create_time_ns, *job.mutable_create_time());
  if (record.end_time_ns != 0) {
    SetNanoseconds(record.end_time_ns, *job.mutable_end_time());
  }
  if (record.state == v1::Job::SUCCEEDED) job.set_progress(1);
  job.set_rounds(record.rounds);
  job.set_evaluated_tokens(record.evaluated_tokens);
  job.set_level_table_sha256(record.level_table_sha256);
  job.set_history_hash(record.history_hash);
  job.set_etag(absl::StrCat(record.state, record.paused ? "p" : "", "-",
                            record.rounds, "-", record.evaluated_tokens));
  return job;
}

void ForgetSearch(JobRecord& record) {
  v1::Job found;
  found.ParseFromString(record.results);
  found.clear_incumbent();
  found.clear_incumbents();
  found.clear_stopped_by();
  found.clear_audited_tasks();
  found.clear_unaudited_tasks();
  record.results = found.SerializeAsString();
}

JobRunner::JobRunner(const JobRecord& record, v1::JobSpec spec,
                     Journal& journal, ArtifactSet& artifacts)
    : record_(record),
      spec_(std::move(spec)),
      journal_(journal),
      artifacts_(artifacts) {
  for (const v1::TokenSetRef& set : spec_.data()) {
    if (set.role() == v1::TokenSetRef::SEARCH) search_set_ = set;
  }
  outcome_.ParseFromString(record_.results);
  clock_ = WorkClock(FromProto(outcome_.build_time()),
                     FromProto(outcome_.measure_time()));
}

absl::StatusOr<std::unique_ptr<JobRunner>> JobRunner::Create(
    const JobRecord& record, Journal& journal, ArtifactSet& artifacts) {
  v1::JobSpec spec;
  if (!spec.ParseFromString(record.spec)) {
    return absl::DataLossError(
        absl::StrCat("the journaled spec of job ", record.id, " is damaged"));
  }
  std::unique_ptr<JobRunner> runner(
      new JobRunner(record, std::move(spec), journal, artifacts));
  auto space = proto::FromProto(runner->spec_.space());
  if (!space.ok()) return space.status();
  runner->space_ = *std::move(space);
  // Present builds are found again, so every life starts with BUILDING; the
  // search then replays itself from the journaled rounds.
  runner->record_.state = v1::Job::BUILDING;
  return runner;
}

void JobRunner::UpdateRecord() {
  SetNanoseconds(absl::ToInt64Nanoseconds(clock_.build()),
                 *outcome_.mutable_build_time());
  SetNanoseconds(absl::ToInt64Nanoseconds(clock_.measure()),
                 *outcome_.mutable_measure_time());
  record_.results = outcome_.SerializeAsString();
}

void JobRunner::Tick(absl::Time now) {
  const bool works = !record_.paused && !HasEnded(record_) && !WaitsForClass();
  const WorkClock::Work work = !works ? WorkClock::Work::kNone
                               : record_.state == v1::Job::BUILDING
                                   ? WorkClock::Work::kBuild
                                   : WorkClock::Work::kMeasure;
  const bool counts = clock_.work() != WorkClock::Work::kNone;
  clock_.Tick(now, work);
  if (counts) UpdateRecord();
}

bool JobRunner::Overdue() const {
  const absl::Duration limit = FromProto(spec_.limits().max_time());
  return limit > absl::ZeroDuration() &&
         clock_.build() + clock_.measure() >= limit && round_.has_value() &&
         !pending_.empty() && !strategy_->incumbents().empty();
}

absl::Status JobRunner::SaveRecord() {
  UpdateRecord();
  JournalBatch batch;
  batch.jobs.push_back(record_);
  return journal_.Commit(batch);
}

absl::Status JobRunner::PinClass(const std::string& numeric_class) {
  record_.numeric_class = numeric_class;
  absl::Status status = SaveRecord();
  if (!status.ok()) record_.numeric_class.clear();
  return status;
}

absl::StatusOr<bool> JobRunner::Advance(absl::Time now) {
  Tick(now);
  if (Overdue()) {
    absl::Status stopped = StopSearch(v1::Job::DEADLINE);
    if (!stopped.ok()) return stopped;
  }
  if (!pending_.empty() || HasEnded(record_) || WaitsForClass()) return false;
  absl::Status status;
  switch (record_.state) {
    case v1::Job::BUILDING:
      status = Build(now);
      break;
    case v1::Job::SEARCHING:
      if (strategy_ == nullptr) {
        status = StartSearch();
      } else if (round_.has_value()) {
        status = TellRound();
      }
      break;
    case v1::Job::REPORTING:
      if (!begun_) {
        status = BeginReport();
      } else if (!audit_begun_) {
        status = BeginAudit();
      } else if (audits_.empty()) {
        status = EndReport(now);
      }
      break;
    default:
      return absl::InternalError(absl::StrCat("job in state ", record_.state));
  }
  if (!status.ok()) return status;
  return pending_.empty() && !HasEnded(record_) && !AwaitsAudits();
}

bool JobRunner::BlobsPresent(const v1::LevelTable& table) const {
  for (const v1::LevelTable::Unit& unit : table.units()) {
    for (const v1::LevelTable::Level& level : unit.levels()) {
      for (const v1::LevelTable::Blob& blob : level.blobs()) {
        if (!blob.sha256().empty() && !artifacts_.Has(blob.sha256())) {
          return false;
        }
      }
    }
  }
  return true;
}

// What the strategy must know of the uncompressed model: from the journal, or
// by a task.
absl::Status JobRunner::FindScores() {
  auto options = proto::FromProto(spec_.strategy());
  if (!options.ok()) return options.status();
  const search::ModelScore needed = search::NeededScore(*options);
  if (needed == search::ModelScore::kNone) return absl::OkStatus();
  auto stored = journal_.FindBuild(ProfileKey(spec_, record_.numeric_class));
  if (!stored.ok()) return stored.status();
  v1::ModelProfile profile;
  if (stored->has_value() && profile.ParseFromString(**stored)) {
    auto scores = UnitScores(space_, profile, needed);
    if (!scores.ok()) return scores.status();
    scores_ = *std::move(scores);
    return absl::OkStatus();
  }
  v1::Task task;
  task.set_job(record_.id);
  task.set_numeric_class(record_.numeric_class);
  *task.mutable_build() = PlanProfile(spec_);
  Emit(std::move(task));
  return absl::OkStatus();
}

absl::Status JobRunner::Build(absl::Time) {
  if (absl::Status s = FindScores(); !s.ok()) return s;
  KnownBlobs known;
  for (const BlobName& name : BlobsOf(spec_)) {
    auto stored =
        journal_.FindBuild(BlobKey(spec_, record_.numeric_class, name));
    if (!stored.ok()) return stored.status();
    v1::LevelTable::Blob blob;
    if (stored->has_value() && blob.ParseFromString(**stored) &&
        artifacts_.Has(blob.sha256())) {
      known[name] = std::move(blob);
    }
  }
  const std::vector<v1::BuildTask> tasks = PlanBuilds(spec_, known);
  for (const v1::BuildTask& work : tasks) {
    v1::Task task;
    task.set_job(record_.id);
    task.set_numeric_class(record_.numeric_class);
    *task.mutable_build() = work;
    Emit(std::move(task));
  }
  planned_tasks_ = static_cast<int64_t>(pending_.size());
  if (!pending_.empty()) return absl::OkStatus();

  auto table = AssembleLevelTable(spec_.space(), known);
  if (!table.ok()) return table.status();
  auto sha256 = artifacts_.Put(proto::DeterministicBytes(*table));
  if (!sha256.ok()) return sha256.status();
  record_.level_table_sha256 = *sha256;
  keys_.emplace(spec_.model().hash(), record_.numeric_class, *table);
  layer_errors_ = LayerErrors(*table);
  history_.emplace(HistoryOrigin(spec_, record_.numeric_class));
  record_.rounds = 0;
  record_.history_hash = history_->head();
  outcome_.set_search_tokens(0);
  outcome_.set_known_tokens(0);
  record_.state = v1::Job::SEARCHING;
  if (!search_set_.has_value() && spec_.strategy().has_fixed()) {
    auto first = proto::FromProto(spec_.strategy().fixed().assignments(0));
    if (!first.ok()) return first.status();
    winners_ = {{*first, std::numeric_limits<double>::quiet_NaN()}};
    record_.state = v1::Job::REPORTING;
  }
  return SaveRecord();
}

absl::Status JobRunner::StartSearch() {
  auto options = proto::FromProto(spec_.strategy());
  if (!options.ok()) return options.status();
  search::StrategyInput input;
  input.space = space_;
  proto::ReadSamples(spec_, input);
  input.layer_errors = layer_errors_;
  auto targets = proto::TargetsOf(spec_);
  if (!targets.ok()) return targets.status();
  input.targets = *std::move(targets);
  auto archive = LoadEarlierRounds(spec_, record_, journal_);
  if (!archive.ok()) return archive.status();
  int64_t start_samples = 0;
  for (const auto& [assignment, known] : *archive) {
    start_samples += static_cast<int64_t>(known.size());
  }
  outcome_.set_start_tokens(start_samples * input.sample_tokens);
  input.archive = *std::move(archive);
  input.scores = scores_;
  auto strategy = search::MakeStrategy(std::move(input), *options);
  if (!strategy.ok()) return strategy.status();
  strategy_ = *std::move(strategy);
  auto step = strategy_->Start();
  if (!step.ok()) return step.status();

  // Told rounds are told again; the pending one, if any, is asked again.
  for (int64_t first = 0;; first += kRoundsPerPage) {
    auto rows = journal_.LoadRounds(record_.id, first, kRoundsPerPage);
    if (!rows.ok()) return rows.status();
    for (const RoundRow& row : *rows) {
      if (row.results.empty()) break;
      const search::Round* round = std::get_if<search::Round>(&*step);
      v1::EvaluateResult flat;
      if (round == nullptr || !flat.ParseFromString(row.results) ||
          proto::DeterministicBytes(ToRecord(*round)) != row.round) {
        return absl::DataLossError(absl::StrCat(
            "round ", row.index, " in the journal of job ", record_.id,
            " is not what the strategy of this version asks; the job was made "
            "by another version: create it again, its measurements are kept"));
      }
      const search::RoundResults results = ResultsOf(*round, flat);
      history_->Add(*round, results);
      if (history_->head() != row.history_hash) {
        return absl::DataLossError(
            absl::StrCat("round ", row.index, " in the journal of job ",
                         record_.id, " does not match its history hash"));
      }
      record_.rounds = history_->rounds();
      record_.history_hash = history_->head();
      outcome_.set_search_tokens(outcome_.search_tokens() + TokensOf(*round));
      CountKnown(row);
      step = strategy_->Tell(results);
      if (!step.ok()) return step.status();
    }
    if (static_cast<int64_t>(rows->size()) < kRoundsPerPage) break;
  }
  return TakeStep(*std::move(step));
}

int64_t JobRunner::TokensOf(const search::Round& round) const {
  return search_set_.has_value()
             ? search::CountSamples(round) * search_set_->length()
             : 0;
}

void JobRunner::CountKnown(const RoundRow& row) {
  const int64_t known = std::count(row.known.begin(), row.known.end(), '1');
  outcome_.set_known_tokens(outcome_.known_tokens() +
                            known * search_set_->length());
}

void JobRunner::KeepIncumbent() {
  const auto incumbent = strategy_->incumbent();
  if (!incumbent.has_value()) return;
  *outcome_.mutable_incumbent() =
      MakeCandidate("incumbent", incumbent->assignment);
  outcome_.mutable_incumbent()->set_fitness(
      incumbent->fitness.value_or(std::numeric_limits<double>::infinity()));
  AddStanding(incumbent->assignment, *outcome_.mutable_incumbent());
  outcome_.clear_incumbents();
  if (spec_.targets().empty()) return;
  const std::vector<search::Incumbent> all = strategy_->incumbents();
  for (size_t t = 0; t < all.size(); ++t) {
    *outcome_.add_incumbents() = MakeBest("incumbent", t, all[t]);
  }
}

void JobRunner::AddStanding(const search::Assignment& incumbent,
                            v1::Candidate& candidate) const {
  const auto standing = strategy_->standing(incumbent);
  if (!standing.has_value()) return;
  DescribeStanding(*standing, search_set_->length(), candidate);
}

absl::Status JobRunner::TakeStep(search::Step step) {
  round_.reset();
  wanted_.clear();
  values_.clear();
  KeepIncumbent();
  if (search::Round* round = std::get_if<search::Round>(&step)) {
    // Stopped in an earlier life.
    if (outcome_.stopped_by() != v1::Job::NOT_STOPPED) {
      return StopSearch(outcome_.stopped_by());
    }
    const int64_t limit = spec_.limits().max_tokens();
    const int64_t tokens = TokensOf(*round);
    if (limit > 0 && tokens > limit - outcome_.search_tokens()) {
      return StopSearch(v1::Job::MAX_TOKENS);
    }
    outcome_.set_search_tokens(outcome_.search_tokens() + tokens);
    UpdateRecord();
    return BeginRound(*round);
  }
  winners_ = strategy_->incumbents();
  record_.state = v1::Job::REPORTING;
  begun_ = false;
  return SaveRecord();
}

absl::Status JobRunner::StopSearch(v1::Job::Stop reason) {
  std::vector<search::Incumbent> incumbents = strategy_->incumbents();
  if (incumbents.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("max_tokens=", spec_.limits().max_tokens(),
                     " stops the search after ", outcome_.search_tokens(),
                     " tokens, when it has found nothing yet; "
                     "raise it"));
  }
  withdrawn_.insert(withdrawn_.end(), pending_.begin(), pending_.end());
  pending_.clear();
  new_tasks_.clear();
  round_.reset();
  wanted_.clear();
  values_.clear();
  winners_ = std::move(incumbents);
  outcome_.set_stopped_by(reason);
  record_.state = v1::Job::REPORTING;
  begun_ = false;
  return SaveRecord();
}

std::vector<std::string> JobRunner::TakeWithdrawn() {
  return std::exchange(withdrawn_, {});
}

void JobRunner::AddPair(Wanted& wanted, const std::string& levels,
                        int32_t sequence) const {
  wanted.pairs.push_back({levels, sequence});
  wanted.keys.push_back(
      keys_->Key(keys_->Phenotype(levels), wanted.data.sha256(), sequence));
}

JobRunner::Wanted JobRunner::WantedFor(const search::Round& round) const {
  Wanted wanted;
  wanted.data = *search_set_;
  for (const search::Evaluation& evaluation : round.evaluations) {
    const std::string levels = proto::PackLevels(evaluation.assignment);
    const std::string phenotype = keys_->Phenotype(levels);
    for (const int32_t sample : evaluation.samples) {
      wanted.pairs.push_back({levels, sample});
      wanted.keys.push_back(
          keys_->Key(phenotype, wanted.data.sha256(), sample));
    }
  }
  return wanted;
}

absl::Status JobRunner::LoadValues(const Wanted& wanted) {
  for (const std::string& key : wanted.keys) {
    if (values_.count(key) != 0) continue;
    auto found = journal_.FindMeasurement(key);
    if (!found.ok()) return found.status();
    if (found->has_value()) values_[key] = **found;
  }
  return absl::OkStatus();
}

absl::Status JobRunner::BeginRound(const search::Round& round) {
  if (!search_set_.has_value()) {
    return absl::FailedPreconditionError(
        "this strategy measures candidates, but the job has no SEARCH set");
  }
  round_ = round;
  wanted_.push_back(WantedFor(round));
  absl::Status status = LoadValues(wanted_[0]);
  if (!status.ok()) return status;

  // A round that was journaled before keeps the tasks that it had then, so
  // that workers which still compute them are not disappointed.
  auto rows = journal_.LoadRounds(record_.id, round.index, 1);
  if (!rows.ok()) return rows.status();
  const std::string bytes = proto::DeterministicBytes(ToRecord(round));
  if (!rows->empty() && rows->front().index == round.index &&
      rows->front().round == bytes &&
      rows->front().known.size() == wanted_[0].keys.size()) {
    row_ = rows->front();
  } else {
    row_ = RoundRow{record_.id, round.index, bytes, "", "", ""};
    for (const std::string& key : wanted_[0].keys) {
      row_.known.push_back(values_.count(key) != 0 ? '1' : '0');
    }
    JournalBatch batch;
    batch.rounds.push_back(row_);
    batch.jobs.push_back(record_);
    status = journal_.Commit(batch);
    if (!status.ok()) return status;
  }
  CountKnown(row_);
  EmitTasks(wanted_[0], row_.known);
  // Measurements that have vanished since the round was journaled.
  std::string missing(wanted_[0].keys.size(), '1');
  bool any = false;
  for (size_t i = 0; i < missing.size(); ++i) {
    if (row_.known[i] == '1' && values_.count(wanted_[0].keys[i]) == 0) {
      missing[i] = '0';
      any = true;
    }
  }
  if (any) EmitTasks(wanted_[0], missing);
  planned_tasks_ = static_cast<int64_t>(pending_.size());
  return absl::OkStatus();
}

void JobRunner::EmitTasks(const Wanted& wanted, const std::string& known) {
  // Of pairs with one phenotype the first in order stands for all.
  std::map<std::string, Pair> unknown;
  for (size_t i = 0; i < wanted.keys.size(); ++i) {
    if (known[i] == '1') continue;
    const auto [it, added] = unknown.emplace(wanted.keys[i], wanted.pairs[i]);
    if (!added && wanted.pairs[i] < it->second) it->second = wanted.pairs[i];
  }
  std::vector<Pair> pairs;
  for (const auto& [key, pair] : unknown) pairs.push_back(pair);
  v1::EvaluateTask common;
  *common.mutable_model() = spec_.model();
  common.set_level_table_sha256(record_.level_table_sha256);
  *common.mutable_data() = wanted.data;
  for (v1::EvaluateTask& work : PackTasks(common, pairs)) {
    if (AllKnown(work)) continue;
    v1::Task task;
    task.set_job(record_.id);
    task.set_numeric_class(record_.numeric_class);
    *task.mutable_evaluate() = std::move(work);
    Emit(std::move(task));
  }
}

void JobRunner::Emit(v1::Task task) {
  // Unlike proto::TaskId this covers the job: two jobs that want the same work
  // at once each have a task of their own, so that either can be cancelled.
  task.set_id(search::Sha256Hex(proto::DeterministicBytes(task)));
  if (pending_.insert(task.id()).second) new_tasks_.push_back(std::move(task));
}

std::vector<v1::Task> JobRunner::TakeTasks() {
  return std::exchange(new_tasks_, {});
}

std::vector<std::string> JobRunner::KeysOf(const v1::EvaluateTask& task) const {
  std::vector<std::string> keys;
  for (const std::string& levels : task.assignments()) {
    const std::string phenotype = keys_->Phenotype(levels);
    for (const int32_t sequence : task.sequences()) {
      keys.push_back(keys_->Key(phenotype, task.data().sha256(), sequence));
    }
  }
  return keys;
}

std::vector<std::string> JobRunner::BuildKeysOf(const v1::Task& task) const {
  std::vector<std::string> keys;
  if (task.build().step() == kProfileStep) {
    keys.push_back(ProfileKey(spec_, task.numeric_class()));
  }
  for (const v1::LevelTable::Unit& unit : task.build().units().units()) {
    for (const v1::LevelTable::Level& level : unit.levels()) {
      for (const std::string& layer : unit.layers()) {
        keys.push_back(
            BlobKey(spec_, task.numeric_class(), {layer, level.name()}));
      }
    }
  }
  return keys;
}

bool JobRunner::AllKnown(const v1::EvaluateTask& task) const {
  const std::vector<std::string> keys = KeysOf(task);
  return std::all_of(keys.begin(), keys.end(), [this](const std::string& key) {
    return values_.count(key) != 0;
  });
}

search::RoundResults JobRunner::ResultsOf(
    const search::Round& round, const v1::EvaluateResult& flat) const {
  search::RoundResults results;
  int next = 0;
  for (const search::Evaluation& evaluation : round.evaluations) {
    std::vector<search::SampleSums>& row = results.emplace_back();
    for (size_t i = 0; i < evaluation.samples.size(); ++i, ++next) {
      if (next >= flat.sums_size()) return {};
      const v1::SampleSums& sums = flat.sums(next);
      row.push_back({sums.kl(), sums.topk_kl(), sums.nll(), sums.positions()});
    }
  }
  return results;
}

absl::Status JobRunner::TellRound() {
  v1::EvaluateResult flat;
  for (const std::string& key : wanted_[0].keys) {
    const auto it = values_.find(key);
    if (it == values_.end()) {
      return absl::InternalError(
          absl::StrCat("round ", round_->index, " lacks measurement ", key));
    }
    *flat.add_sums() = proto::ToProto(it->second);
  }
  const search::RoundResults results = ResultsOf(*round_, flat);
  search::History history = *history_;
  history.Add(*round_, results);
  row_.results = proto::DeterministicBytes(flat);
  row_.history_hash = history.head();
  record_.rounds = history.rounds();
  record_.history_hash = history.head();
  JournalBatch batch;
  batch.rounds.push_back(row_);
  batch.jobs.push_back(record_);
  absl::Status status = journal_.Commit(batch);
  if (!status.ok()) return status;
  history_ = std::move(history);
  auto step = strategy_->Tell(results);
  if (!step.ok()) return step.status();
  return TakeStep(*std::move(step));
}

absl::Status JobRunner::BeginReport() {
  std::vector<std::string> candidates;
  for (const search::Incumbent& winner : winners_) {
    candidates.push_back(proto::PackLevels(winner.assignment));
  }
  for (const v1::NamedAssignment& named : spec_.report()) {
    candidates.push_back(named.assignment().levels());
  }
  candidates.push_back(PackKeepAll(spec_.space().units_size()));
  wanted_.clear();
  values_.clear();
  for (const v1::TokenSetRef& set : spec_.data()) {
    if (set.role() != v1::TokenSetRef::HELD_OUT) continue;
    Wanted& wanted = wanted_.emplace_back();
    wanted.data = set;
    for (const std::string& levels : candidates) {
      for (int32_t s = 0; s < set.sequences(); ++s) {
        AddPair(wanted, levels, s);
      }
    }
    absl::Status status = LoadValues(wanted);
    if (!status.ok()) return status;
    std::string known;
    for (const std::string& key : wanted.keys) {
      known.push_back(values_.count(key) != 0 ? '1' : '0');
    }
    EmitTasks(wanted, known);
  }
  begun_ = true;
  planned_tasks_ = static_cast<int64_t>(pending_.size());
  return absl::OkStatus();
}

v1::Candidate JobRunner::MakeCandidate(
    const std::string& name, const search::Assignment& assignment) const {
  v1::Candidate candidate;
  candidate.set_name(name);
  *candidate.mutable_assignment() = proto::ToProto(assignment);
  if (!search::Validate(space_, assignment).ok()) return candidate;
  for (size_t kind = 0; kind < space_.cost_kinds.size(); ++kind) {
    candidate.add_costs(
        search::Cost(space_, assignment, static_cast<int>(kind)));
  }
  return candidate;
}

v1::Candidate JobRunner::MakeBest(const std::string& name, size_t t,
                                  const search::Incumbent& best) const {
  v1::Candidate candidate = MakeCandidate(name, best.assignment);
  candidate.set_fitness(
      best.fitness.value_or(std::numeric_limits<double>::infinity()));
  candidate.set_anchor(best.anchor);
  if (strategy_ != nullptr) AddStanding(best.assignment, candidate);
  if (!spec_.targets().empty()) {
    const std::string& target = spec_.targets(static_cast<int>(t)).name();
    candidate.set_name(absl::StrCat(name, " ", target));
    candidate.set_target(target);
  }
  return candidate;
}

absl::Status JobRunner::EndReport(absl::Time now) {
  v1::Job& holder = outcome_;
  holder.clear_results();
  for (size_t t = 0; t < winners_.size(); ++t) {
    *holder.add_results() = MakeBest("winner", t, winners_[t]);
  }
  for (const v1::NamedAssignment& named : spec_.report()) {
    auto assignment = proto::FromProto(named.assignment());
    if (!assignment.ok()) return assignment.status();
    *holder.add_results() = MakeCandidate(named.name(), *assignment);
  }
  v1::Candidate& reference = *holder.add_results();
  reference.set_name("reference");
  reference.mutable_assignment()->set_levels(
      PackKeepAll(spec_.space().units_size()));

  for (int c = 0; c < holder.results_size(); ++c) {
    v1::Candidate& candidate = *holder.mutable_results(c);
    std::vector<search::SampleSums> all;
    for (const Wanted& wanted : wanted_) {
      v1::Candidate::Domain& domain = *candidate.add_held_out();
      domain.set_domain(wanted.data.domain());
      const int sequences = wanted.data.sequences();
      for (int s = 0; s < sequences; ++s) {
        const auto it = values_.find(wanted.keys[c * sequences + s]);
        if (it == values_.end()) {
          return absl::InternalError("the report lacks a measurement");
        }
        *domain.add_sums() = proto::ToProto(it->second);
        all.push_back(it->second);
      }
    }
    // Of winners what the search itself measured, where there was one.
    if (strategy_ != nullptr && c < static_cast<int>(winners_.size())) continue;
    candidate.set_fitness(search::MeanMetric(all, search::Metric::kKl));
  }
  holder.clear_incumbent();
  holder.clear_incumbents();
  record_.state = v1::Job::SUCCEEDED;
  record_.end_time_ns = absl::ToUnixNanos(now);
  absl::Status status = SaveRecord();
  if (!status.ok()) {  // not ended yet: it can be taken up again
    record_.state = v1::Job::REPORTING;
    record_.end_time_ns = 0;
  }
  return status;
}

absl::Status JobRunner::CheckResult(const v1::Task& task,
                                    const v1::TaskResult& result) const {
  if (task.has_build()) {
    if (!result.has_build()) {
      return absl::InvalidArgumentError("a build task needs a build result");
    }
    absl::Status status = CheckBuildResult(task.build(), result.build());
    if (!status.ok()) return status;
    if (!BlobsPresent(result.build().units())) {
      return absl::FailedPreconditionError(
          "build result: blobs must be uploaded before the task is completed");
    }
    return absl::OkStatus();
  }
  if (!result.has_evaluate()) {
    return absl::InvalidArgumentError("a measurement needs its sums");
  }
  const int expected =
      task.evaluate().assignments_size() * task.evaluate().sequences_size();
  if (result.evaluate().sums_size() != expected) {
    return absl::InvalidArgumentError(
        absl::StrCat("result has ", result.evaluate().sums_size(),
                     " sums instead of ", expected));
  }
  for (const v1::SampleSums& message : result.evaluate().sums()) {
    auto sums = proto::FromProto(message);
    if (!sums.ok()) return sums.status();
    if (sums->positions > task.evaluate().data().length()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a sequence of ", task.evaluate().data().length(),
          " tokens cannot have ", sums->positions, " scored positions"));
    }
  }
  return absl::OkStatus();
}

void JobRunner::Record(const v1::Task& task, const v1::TaskResult& result,
                       const std::string& worker, bool replace,
                       JournalBatch& batch) const {
  if (task.has_build()) {
    if (task.build().step() == kProfileStep) {
      batch.builds.push_back({ProfileKey(spec_, task.numeric_class()),
                              result.build().profile().SerializeAsString(),
                              worker});
    }
    for (const auto& [name, blob] : BlobsOf(result.build())) {
      batch.builds.push_back({BlobKey(spec_, task.numeric_class(), name),
                              blob.SerializeAsString(), worker});
    }
    return;
  }
  const std::vector<std::string> keys = KeysOf(task.evaluate());
  for (size_t i = 0; i < keys.size(); ++i) {
    const v1::SampleSums& sums = result.evaluate().sums(static_cast<int>(i));
    if (replace) batch.forget_measurements.push_back(keys[i]);
    batch.measurements.push_back(
        {keys[i],
         {sums.kl(), sums.topk_kl(), sums.nll(), sums.positions()},
         worker});
  }
}

void JobRunner::Confirm(const v1::Task& task, const v1::TaskResult& result,
                        JournalBatch& batch) const {
  if (task.has_build()) {
    const std::vector<std::string> keys = BuildKeysOf(task);
    batch.confirm_builds.insert(batch.confirm_builds.end(), keys.begin(),
                                keys.end());
    return;
  }
  const std::vector<std::string> keys = KeysOf(task.evaluate());
  for (size_t i = 0; i < keys.size(); ++i) {
    const v1::SampleSums& sums = result.evaluate().sums(static_cast<int>(i));
    batch.confirm_measurements.push_back(
        {keys[i], {sums.kl(), sums.topk_kl(), sums.nll(), sums.positions()}});
  }
}

int64_t JobRunner::TokensOf(const v1::Task& task) {
  return int64_t{task.evaluate().assignments_size()} *
         task.evaluate().sequences_size() * task.evaluate().data().length();
}

void JobRunner::Finish(const v1::Task& task, const v1::TaskResult& result) {
  const bool wanted = pending_.erase(task.id()) > 0;
  if (task.has_build()) {
    if (!wanted) return;
    const auto made = static_cast<int64_t>(BlobsOf(result.build()).size());
    outcome_.set_built_blobs(outcome_.built_blobs() + made);
    UpdateRecord();
    return;
  }
  record_.evaluated_tokens += TokensOf(task);
  const std::vector<std::string> keys = KeysOf(task.evaluate());
  for (size_t i = 0; i < keys.size(); ++i) {
    const v1::SampleSums& sums = result.evaluate().sums(static_cast<int>(i));
    values_[keys[i]] = {sums.kl(), sums.topk_kl(), sums.nll(),
                        sums.positions()};
  }
}

void JobRunner::Reopen(const v1::Task& task, JournalBatch& batch) {
  pending_.insert(task.id());
  audits_.erase(task.id());
  if (task.has_build()) {
    const std::vector<std::string> keys = BuildKeysOf(task);
    batch.forget_builds.insert(batch.forget_builds.end(), keys.begin(),
                               keys.end());
    return;
  }
  for (const std::string& key : KeysOf(task.evaluate())) {
    values_.erase(key);
    batch.forget_measurements.push_back(key);
  }
}

void JobRunner::SplitTask(const v1::Task& task) {
  pending_.erase(task.id());
  for (v1::EvaluateTask& half : Split(task.evaluate())) {
    // An earlier life may have split the task, too.
    if (AllKnown(half)) continue;
    v1::Task smaller;
    smaller.set_job(task.job());
    smaller.set_numeric_class(task.numeric_class());
    *smaller.mutable_evaluate() = std::move(half);
    Emit(std::move(smaller));
  }
}

v1::Job JobRunner::Describe() const {
  v1::Job job = DescribeJob(record_);
  if (HasEnded(record_)) return job;
  const double share =
      planned_tasks_ == 0
          ? 0
          : 1 - std::min(1.0, static_cast<double>(pending_.size()) /
                                  static_cast<double>(planned_tasks_));
  const std::string counted = absl::StrCat(
      planned_tasks_ - std::min<int64_t>(planned_tasks_,
                                         static_cast<int64_t>(pending_.size())),
      " of ", planned_tasks_, " tasks done");
  if (WaitsForClass()) {
    job.set_activity("waiting for a first worker");
  } else if (record_.state == v1::Job::BUILDING) {
    job.set_progress(share);
    job.set_activity(absl::StrCat("building levels, ", counted));
  } else if (record_.state == v1::Job::REPORTING) {
    job.set_progress(share);
    job.set_activity(AwaitsAudits()
                         ? absl::StrCat("a second worker confirms the winner, ",
                                        audits_.size(), " tasks left")
                         : absl::StrCat("held-out measurements, ", counted));
  } else if (round_.has_value()) {
    job.set_progress(round_->progress);
    job.set_activity(absl::StrCat(round_->purpose, ", ", counted));
  }
  return job;
}

}  // namespace evopress::server
