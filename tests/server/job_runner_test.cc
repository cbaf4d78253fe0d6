// Limits of a job, under a clock of the tests' own.
#include "server/job_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <tuple>

#include "server/artifact_store.h"
#include "server/sqlite_journal.h"
#include "tests/server/fake_fleet.h"

namespace evopress::server {
namespace {

constexpr absl::Duration kTaskTime = absl::Seconds(10);

// One journal and artifact store; every task takes kTaskTime on its clock.
class Bench {
 public:
  Bench() {
    auto artifacts =
        ArtifactStore::Open(scratch_.path() + "/artifacts", 1 << 20);
    auto journal = OpenSqliteJournal(scratch_.path() + "/journal");
    EXPECT_TRUE(artifacts.ok() && journal.ok());
    artifacts_ = *std::move(artifacts);
    journal_ = *std::move(journal);
  }

  std::unique_ptr<JobRunner> Begin(const v1::JobSpec& spec,
                                   const std::string& id = "job") {
    JobRecord record;
    record.id = id;
    record.spec = proto::DeterministicBytes(spec);
    record.state = v1::Job::BUILDING;
    record.numeric_class = "fake-1";
    return Resume(record);
  }

  // What the journal holds of the job, in a new life.
  std::unique_ptr<JobRunner> Restart(const std::string& id = "job") {
    auto records = journal_->LoadJobs();
    EXPECT_TRUE(records.ok());
    for (const JobRecord& record : *records) {
      if (record.id == id) return Resume(record);
    }
    return nullptr;
  }

  // False if nothing is left to do at once and no task was answered.
  bool Step(JobRunner& runner) {
    for (const std::string& id : runner.TakeWithdrawn()) open_.erase(id);
    auto more = runner.Advance(now);
    EXPECT_TRUE(more.ok()) << more.status();
    if (!more.ok()) return false;
    for (const std::string& id : runner.TakeWithdrawn()) {
      withdrawn += static_cast<int>(open_.erase(id));
    }
    for (v1::Task& task : runner.TakeTasks()) open_[task.id()] = task;
    const std::vector<JobRunner::Audit> audits = runner.TakeAudits();
    for (const JobRunner::Audit& audit : audits) {
      runner.EndAudit(audit.task.id(), /*confirmed=*/true);
    }
    if (*more || !audits.empty()) return true;
    if (open_.empty() || HasEnded(runner.record()) || !answering) return false;
    const v1::Task task = open_.begin()->second;
    open_.erase(open_.begin());
    now += kTaskTime;
    Answer(runner, task);
    return true;
  }

  v1::Job Finish(JobRunner& runner) {
    while (Step(runner)) {
    }
    return runner.Describe();
  }

  absl::Time now = absl::FromUnixSeconds(1'000'000);
  bool answering = true;
  int withdrawn = 0;
  int64_t answered_tokens = 0;

 private:
  std::unique_ptr<JobRunner> Resume(const JobRecord& record) {
    open_.clear();
    auto runner = JobRunner::Create(record, *journal_, *artifacts_);
    EXPECT_TRUE(runner.ok()) << runner.status();
    return *std::move(runner);
  }

  void Answer(JobRunner& runner, const v1::Task& task) {
    v1::TaskResult result;
    if (task.has_build()) {
      *result.mutable_build()->mutable_units() = task.build().units();
      for (auto& unit :
           *result.mutable_build()->mutable_units()->mutable_units()) {
        for (auto& level : *unit.mutable_levels()) {
          const std::string bytes = unit.name() + "@" + level.name();
          v1::LevelTable::Blob& blob = *level.add_blobs();
          blob.set_sha256(*artifacts_->Put(bytes));
          blob.set_size_bytes(static_cast<int64_t>(bytes.size()));
          blob.set_relative_error(0.1);
        }
      }
    } else {
      const v1::EvaluateTask& work = task.evaluate();
      for (const std::string& levels : work.assignments()) {
        for (const int32_t sequence : work.sequences()) {
          *result.mutable_evaluate()->add_sums() = FakeSums(
              absl::StrCat(levels, "/", work.data().sha256(), "/", sequence));
        }
      }
      answered_tokens +=
          int64_t{result.evaluate().sums_size()} * work.data().length();
    }
    EXPECT_TRUE(runner.CheckResult(task, result).ok());
    JournalBatch batch;
    runner.Record(task, result, "worker", /*replace=*/false, batch);
    batch.jobs.push_back(runner.record());
    EXPECT_TRUE(journal_->Commit(batch).ok());
    runner.Finish(task, result);
  }

  ScratchDirectory scratch_;
  std::unique_ptr<ArtifactStore> artifacts_;
  std::unique_ptr<Journal> journal_;
  std::map<std::string, v1::Task> open_;
};

v1::JobSpec WithDeadline(absl::Duration limit) {
  v1::JobSpec spec = SmallSpec();
  spec.mutable_limits()->mutable_max_time()->set_seconds(
      absl::ToInt64Seconds(limit));
  return spec;
}

v1::JobSpec WithTokens(int64_t tokens) {
  v1::JobSpec spec = SmallSpec();
  spec.mutable_limits()->set_max_tokens(tokens);
  return spec;
}

absl::Duration WorkTime(const v1::Job& job) {
  return absl::Seconds(job.build_time().seconds() +
                       job.measure_time().seconds());
}

TEST(Limits, WithoutThemNothingIsMarked) {
  Bench bench;
  const v1::Job job = bench.Finish(*bench.Begin(SmallSpec()));
  EXPECT_EQ(job.state(), v1::Job::SUCCEEDED);
  EXPECT_EQ(job.stopped_by(), v1::Job::NOT_STOPPED);
  EXPECT_FALSE(job.has_incumbent());
}

TEST(Deadline, TheIncumbentWinsAndTheResultIsMarked) {
  Bench all;
  const v1::Job whole = all.Finish(*all.Begin(SmallSpec()));
  Bench bench;
  auto runner = bench.Begin(WithDeadline(WorkTime(whole) / 2));
  v1::Candidate incumbent;
  while (bench.Step(*runner)) {
    if (runner->record().state == v1::Job::SEARCHING) {
      incumbent = runner->Describe().incumbent();
    }
  }
  const v1::Job job = runner->Describe();
  EXPECT_EQ(job.state(), v1::Job::SUCCEEDED);
  EXPECT_EQ(job.stopped_by(), v1::Job::DEADLINE);
  EXPECT_GT(job.rounds(), 0);
  EXPECT_LT(job.rounds(), whole.rounds());
  ASSERT_EQ(job.results_size(), 3);
  EXPECT_EQ(job.results(0).assignment().levels(),
            incumbent.assignment().levels());
  EXPECT_EQ(job.results(0).held_out(0).sums_size(), kHeldOut);
}

TEST(Deadline, EndsARoundOnTheWayAndCallsItsTasksOff) {
  Bench bench;
  auto runner = bench.Begin(WithDeadline(absl::Hours(1)));
  while (runner->record().state != v1::Job::SEARCHING) {
    ASSERT_TRUE(bench.Step(*runner));
  }
  bench.answering = false;
  while (bench.Step(*runner)) {
  }
  EXPECT_FALSE(runner->Overdue());
  bench.now += absl::Hours(2);
  runner->Tick(bench.now);
  EXPECT_TRUE(runner->Overdue());
  bench.answering = true;
  const v1::Job job = bench.Finish(*runner);
  EXPECT_EQ(job.stopped_by(), v1::Job::DEADLINE);
  EXPECT_GT(bench.withdrawn, 0);
}

TEST(Deadline, DoesNotCountPausesOrTimeWithoutACoordinator) {
  Bench bench;
  auto runner = bench.Begin(WithDeadline(absl::Hours(1)));
  while (runner->record().state != v1::Job::SEARCHING) {
    ASSERT_TRUE(bench.Step(*runner));
  }
  runner->mutable_record().paused = true;
  runner->Tick(bench.now);
  bench.now += absl::Hours(5);
  runner->mutable_record().paused = false;
  runner->Tick(bench.now);
  EXPECT_FALSE(runner->Overdue());
  const absl::Duration before = WorkTime(runner->Describe());
  runner = bench.Restart();
  bench.now += absl::Hours(5);
  ASSERT_TRUE(bench.Step(*runner));
  EXPECT_LE(WorkTime(runner->Describe()), before + kTaskTime);
  EXPECT_EQ(bench.Finish(*runner).stopped_by(), v1::Job::NOT_STOPPED);
}

TEST(Deadline, ALifeAfterwardsDecidesTheSame) {
  Bench all;
  const v1::Job whole = all.Finish(*all.Begin(SmallSpec()));
  Bench bench;
  auto runner = bench.Begin(WithDeadline(WorkTime(whole) / 2));
  while (runner->record().state != v1::Job::REPORTING) {
    ASSERT_TRUE(bench.Step(*runner));
  }
  const v1::Job before = runner->Describe();
  ASSERT_EQ(before.stopped_by(), v1::Job::DEADLINE);
  runner = bench.Restart();
  const v1::Job job = bench.Finish(*runner);
  EXPECT_EQ(job.state(), v1::Job::SUCCEEDED);
  EXPECT_EQ(job.stopped_by(), v1::Job::DEADLINE);
  EXPECT_EQ(job.rounds(), before.rounds());
  EXPECT_EQ(job.history_hash(), before.history_hash());
  EXPECT_EQ(job.results(0).assignment().levels(),
            before.incumbent().assignment().levels());
}

TEST(MaxTokens, NoRoundBeginsThatWouldExceedThem) {
  Bench all;
  const v1::Job whole = all.Finish(*all.Begin(SmallSpec()));
  const int64_t limit = whole.search_tokens() / 2;
  Bench bench;
  const v1::Job job = bench.Finish(*bench.Begin(WithTokens(limit)));
  EXPECT_EQ(job.state(), v1::Job::SUCCEEDED);
  EXPECT_EQ(job.stopped_by(), v1::Job::MAX_TOKENS);
  EXPECT_LE(job.search_tokens(), limit);
  EXPECT_LT(job.rounds(), whole.rounds());
  // A generation here asks for 8 + 4 * 2 + 3 * 4 samples at most.
  EXPECT_GT(job.search_tokens() + 28 * 1024, limit);
}

TEST(MaxTokens, CutAHistoryShortAndChangeNothingElse) {
  Bench all;
  auto runner = all.Begin(SmallSpec());
  std::map<int64_t, std::string> history;
  while (all.Step(*runner)) {
    history[runner->record().rounds] = runner->record().history_hash;
  }
  const int64_t tokens = runner->Describe().search_tokens();
  for (const int64_t limit : {tokens / 3, tokens / 2, tokens - 1}) {
    SCOPED_TRACE(limit);
    Bench bench;
    const v1::Job job = bench.Finish(*bench.Begin(WithTokens(limit)));
    EXPECT_EQ(job.stopped_by(), v1::Job::MAX_TOKENS);
    EXPECT_EQ(job.history_hash(), history[job.rounds()]);
  }
  Bench bench;
  const v1::Job job = bench.Finish(*bench.Begin(WithTokens(tokens)));
  EXPECT_EQ(job.stopped_by(), v1::Job::NOT_STOPPED);
  EXPECT_EQ(job.history_hash(), runner->record().history_hash);
}

TEST(MaxTokens, DoNotDependOnWhatIsKnownAlready) {
  Bench bench;
  const v1::JobSpec spec = WithTokens(60 * 1024);
  const v1::Job first = bench.Finish(*bench.Begin(spec, "first"));
  ASSERT_EQ(first.stopped_by(), v1::Job::MAX_TOKENS);
  const v1::Job second = bench.Finish(*bench.Begin(spec, "second"));
  EXPECT_EQ(second.evaluated_tokens(), 0);
  EXPECT_EQ(second.search_tokens(), first.search_tokens());
  EXPECT_EQ(second.history_hash(), first.history_hash());
  EXPECT_EQ(second.results(0).assignment().levels(),
            first.results(0).assignment().levels());
}

TEST(Ledger, CountsEveryTokenMeasuredForTheJob) {
  for (const v1::JobSpec& spec :
       {SmallSpec(), WithTokens(60 * 1024), WithDeadline(absl::Seconds(100))}) {
    Bench bench;
    const v1::Job job = bench.Finish(*bench.Begin(spec));
    EXPECT_EQ(job.evaluated_tokens(), bench.answered_tokens);
  }
}

v1::JobSpec WithDomains(v1::Calibration::Fitness fitness) {
  v1::JobSpec spec = SmallSpec();
  spec.mutable_calibration()->set_fitness(fitness);
  for (const auto& [name, weight, sequences] :
       {std::tuple{"c4", 0.6, 10}, std::tuple{"code", 0.4, 6}}) {
    auto& domain = *spec.mutable_calibration()->add_domains();
    domain.set_name(name);
    domain.set_weight(weight);
    domain.set_sequences(sequences);
  }
  auto& stages = *spec.mutable_strategy()->mutable_evopress()->mutable_stages();
  stages[0].set_samples(2);
  return spec;
}

TEST(OneText, HasTheHistoryThatItHadBeforeThereWereDomains) {
  Bench bench;
  const v1::Job job = bench.Finish(*bench.Begin(SmallSpec()));
  EXPECT_EQ(job.history_hash(),
            "244413cd1a526b26b3b21058f4c72e483d05cc3520af34fc2586a69ecef52efc");
  ASSERT_EQ(job.results(0).calibration_size(), 1);
  EXPECT_DOUBLE_EQ(job.results(0).calibration(0), job.results(0).fitness());
}

TEST(Domains, AreToldOfTheWinnerAndOfTheIncumbentOnTheWay) {
  Bench bench;
  auto runner = bench.Begin(WithDomains(v1::Calibration::MEAN));
  bool told = false;
  while (bench.Step(*runner)) {
    const v1::Job job = runner->Describe();
    told = told || (job.incumbent().calibration_size() == 2 &&
                    job.incumbent().lead().sequences() == 4);
  }
  EXPECT_TRUE(told);
  const v1::Job job = runner->Describe();
  ASSERT_EQ(job.state(), v1::Job::SUCCEEDED);
  const v1::Candidate& winner = job.results(0);
  ASSERT_EQ(winner.calibration_size(), 2);
  EXPECT_NEAR(winner.fitness(),
              0.6 * winner.calibration(0) + 0.4 * winner.calibration(1), 1e-12);
  EXPECT_GT(winner.lead().needed_tokens(), 0);
  EXPECT_EQ(job.results(1).calibration_size(), 0);
}

TEST(Domains, AreTheSameAfterARestart) {
  for (auto fitness : {v1::Calibration::MEAN, v1::Calibration::WORST}) {
    Bench whole;
    const v1::Job expected = whole.Finish(*whole.Begin(WithDomains(fitness)));
    Bench bench;
    auto runner = bench.Begin(WithDomains(fitness));
    for (int step = 0; step < 20; ++step) bench.Step(*runner);
    runner = bench.Restart();
    const v1::Job job = bench.Finish(*runner);
    EXPECT_EQ(job.history_hash(), expected.history_hash());
    EXPECT_EQ(job.results(0).SerializeAsString(),
              expected.results(0).SerializeAsString());
  }
}

TEST(Domains, DecideTheHistoryButTheirNamesDoNot) {
  const auto hash = [](const v1::JobSpec& spec) {
    Bench bench;
    return bench.Finish(*bench.Begin(spec)).history_hash();
  };
  const v1::JobSpec spec = WithDomains(v1::Calibration::MEAN);
  v1::JobSpec renamed = spec;
  renamed.mutable_calibration()->mutable_domains(0)->set_name("web");
  EXPECT_EQ(hash(renamed), hash(spec));
  v1::JobSpec weighted = spec;
  weighted.mutable_calibration()->mutable_domains(0)->set_weight(0.7);
  EXPECT_NE(hash(weighted), hash(spec));
  EXPECT_NE(hash(WithDomains(v1::Calibration::WORST)), hash(spec));
}

TEST(Domains, ASpecThatMakesNoSenseIsRefused) {
  const auto message = [](auto change) {
    v1::JobSpec spec = WithDomains(v1::Calibration::MEAN);
    change(*spec.mutable_calibration());
    return std::string(proto::Validate(spec).message());
  };
  EXPECT_EQ(message([](v1::Calibration&) {}), "");
  EXPECT_THAT(
      message([](v1::Calibration& c) { c.mutable_domains()->RemoveLast(); }),
      testing::HasSubstr("1 entries"));
  EXPECT_THAT(message([](v1::Calibration& c) {
                c.mutable_domains(0)->set_name("code");
              }),
              testing::HasSubstr("two domains are called \"code\""));
  EXPECT_THAT(
      message([](v1::Calibration& c) { c.mutable_domains(0)->set_weight(-1); }),
      testing::HasSubstr("weight -1"));
  EXPECT_THAT(message([](v1::Calibration& c) {
                c.mutable_domains(0)->set_sequences(9);
              }),
              testing::HasSubstr("15 samples together; the set has 16"));
  EXPECT_THAT(message([](v1::Calibration& c) {
                c.set_fitness(static_cast<v1::Calibration::Fitness>(7));
              }),
              testing::HasSubstr("fitness 7"));
}

TEST(WorkTime, IsToldApartByWhatWasDone) {
  Bench bench;
  const v1::Job job = bench.Finish(*bench.Begin(SmallSpec()));
  EXPECT_GE(job.build_time().seconds(), absl::ToInt64Seconds(kTaskTime));
  EXPECT_GT(job.measure_time().seconds(), job.build_time().seconds());
  EXPECT_EQ(job.built_blobs(), 4 * kUnits);
}

}  // namespace
}  // namespace evopress::server
