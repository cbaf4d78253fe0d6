#include "server/coordinator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <variant>

#include "search/rng.h"
#include "search/strategy_options.h"
#include "tests/server/fake_fleet.h"

namespace evopress::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The winner and history of an undisturbed run with one worker.
v1::Job UndisturbedRun(const v1::JobSpec& spec, int workers = 1) {
  ScratchDirectory scratch;
  auto coordinator = StartCoordinator(scratch.path());
  const auto channel = coordinator->InProcessChannel();
  UploadSpecArtifacts(channel);
  std::vector<std::unique_ptr<FakeWorker>> fleet;
  for (int i = 0; i < workers; ++i) {
    fleet.push_back(
        std::make_unique<FakeWorker>(channel, absl::StrCat("w", i)));
  }
  v1::Job job;
  const grpc::Status created = Create(channel, spec, &job);
  EXPECT_TRUE(created.ok()) << created.error_message();
  job = WaitForEnd(channel, job.name());
  fleet.clear();
  return job;
}

void ExpectSameOutcome(const v1::Job& a, const v1::Job& b) {
  EXPECT_EQ(a.state(), v1::Job::SUCCEEDED) << a.error();
  EXPECT_EQ(b.state(), v1::Job::SUCCEEDED) << b.error();
  EXPECT_EQ(a.history_hash(), b.history_hash());
  EXPECT_EQ(a.rounds(), b.rounds());
  ASSERT_EQ(a.results_size(), b.results_size());
  for (int i = 0; i < a.results_size(); ++i) {
    EXPECT_EQ(a.results(i).SerializeAsString(),
              b.results(i).SerializeAsString());
  }
}

TEST(Coordinator, AJobRunsToItsEndAndReportsWinnerUniformAndReference) {
  const v1::Job job = UndisturbedRun(SmallSpec());
  ASSERT_EQ(job.state(), v1::Job::SUCCEEDED) << job.error();
  ASSERT_EQ(job.results_size(), 3);
  EXPECT_EQ(job.results(0).name(), "winner");
  EXPECT_EQ(job.results(1).name(), "uniform");
  EXPECT_EQ(job.results(2).name(), "reference");
  EXPECT_LE(job.results(0).costs(0), kUnits * 300);
  EXPECT_EQ(job.results(2).costs_size(), 0);
  for (const v1::Candidate& candidate : job.results()) {
    ASSERT_EQ(candidate.held_out_size(), 1);
    EXPECT_EQ(candidate.held_out(0).domain(), "wiki");
    EXPECT_EQ(candidate.held_out(0).sums_size(), kHeldOut);
  }
  EXPECT_EQ(job.numeric_class(), "fake-1");
  EXPECT_GT(job.rounds(), 4);
  EXPECT_EQ(job.history_hash().size(), 64u);
  EXPECT_GT(job.evaluated_tokens(), 0);
  EXPECT_TRUE(job.has_end_time());
}

TEST(Coordinator, ThreeWorkersFindWhatOneFinds) {
  ExpectSameOutcome(UndisturbedRun(SmallSpec(7)),
                    UndisturbedRun(SmallSpec(7), 3));
}

TEST(Coordinator, ASecondJobMeasuresNothingAgain) {
  ScratchDirectory scratch;
  auto coordinator = StartCoordinator(scratch.path());
  const auto channel = coordinator->InProcessChannel();
  UploadSpecArtifacts(channel);
  FakeWorker worker(channel, "w");
  v1::Job first;
  ASSERT_TRUE(Create(channel, SmallSpec(3), &first).ok());
  first = WaitForEnd(channel, first.name());
  const int64_t evaluations = worker.evaluations();
  v1::Job second;
  ASSERT_TRUE(Create(channel, SmallSpec(3), &second).ok());
  EXPECT_NE(second.name(), first.name());
  second = WaitForEnd(channel, second.name());
  EXPECT_EQ(worker.evaluations(), evaluations);
  EXPECT_EQ(second.evaluated_tokens(), 0);
  ExpectSameOutcome(first, second);
}

TEST(Coordinator, ABackupRestoredElsewhereKnowsAllJobs) {
  ScratchDirectory scratch, elsewhere;
  v1::Job job;
  {
    auto coordinator = StartCoordinator(scratch.path());
    const auto channel = coordinator->InProcessChannel();
    UploadSpecArtifacts(channel);
    FakeWorker worker(channel, "w");
    ASSERT_TRUE(Create(channel, SmallSpec(3), &job).ok());
    job = WaitForEnd(channel, job.name());
    grpc::ClientContext context;
    auto stream = v1::Jobs::NewStub(channel)->BackupJournal(&context, {});
    v1::BackupJournalResponse part;
    std::ofstream file(elsewhere.path() + "/journal.sqlite", std::ios::binary);
    while (stream->Read(&part)) file << part.data();
    const grpc::Status status = stream->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  for (const auto& entry :
       std::filesystem::directory_iterator(scratch.path())) {
    EXPECT_THAT(entry.path().filename().string(), Not(HasSubstr("backup")));
  }
  auto coordinator = StartCoordinator(elsewhere.path());
  grpc::ClientContext context;
  v1::GetJobRequest request;
  request.set_name(job.name());
  v1::Job restored;
  ASSERT_TRUE(v1::Jobs::NewStub(coordinator->InProcessChannel())
                  ->GetJob(&context, request, &restored)
                  .ok());
  ExpectSameOutcome(job, restored);
}

// What a GET of /metrics on `port` answers.
std::string Scrape(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string text;
  const std::string get = "GET /metrics HTTP/1.0\r\n\r\n";
  if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 &&
      ::write(fd, get.data(), get.size()) == ssize_t(get.size())) {
    char buffer[4096];
    for (ssize_t n; (n = ::read(fd, buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<size_t>(n));
    }
  }
  ::close(fd);
  return text;
}

TEST(Coordinator, FiguresOfAJobAreServedToPrometheus) {
  ScratchDirectory scratch;
  CoordinatorOptions options;
  options.data_dir = scratch.path();
  options.metrics = "127.0.0.1:0";
  auto started = Coordinator::Start(options);
  ASSERT_TRUE(started.ok()) << started.status();
  const auto channel = (*started)->InProcessChannel();
  UploadSpecArtifacts(channel);
  v1::Job job;
  {
    FakeWorker worker(channel, "w");
    ASSERT_TRUE(Create(channel, SmallSpec(3), &job).ok());
    job = WaitForEnd(channel, job.name());
  }
  const std::string text = Scrape((*started)->metrics_port());
  EXPECT_THAT(text, HasSubstr(absl::StrCat("evopress_evaluated_tokens_total ",
                                           job.evaluated_tokens())));
  EXPECT_THAT(text, HasSubstr("evopress_tasks_queued 0"));
  EXPECT_THAT(text, HasSubstr("evopress_jobs{state=\"succeeded\"} 1"));
  EXPECT_THAT(text, HasSubstr("evopress_task_seconds_bucket"));
  EXPECT_THAT(text, Not(HasSubstr("evopress_tasks_completed_total 0")));
  EXPECT_THAT(text, Not(HasSubstr("commit_seconds_count 0")));

  options.data_dir += "/other";
  options.metrics = absl::StrCat("127.0.0.1:", (*started)->metrics_port());
  EXPECT_THAT(std::string(Coordinator::Start(options).status().message()),
              HasSubstr("cannot serve metrics on 127.0.0.1:"));
}

TEST(Coordinator, AJobThatWaitsIsExplained) {
  ScratchDirectory scratch;
  auto coordinator = StartCoordinator(scratch.path());
  const auto channel = coordinator->InProcessChannel();
  UploadSpecArtifacts(channel);
  v1::Job job;
  ASSERT_TRUE(Create(channel, SmallSpec(), &job).ok());
  grpc::ClientContext context;
  v1::ExplainJobRequest request;
  request.set_name(job.name());
  v1::ExplainJobResponse told;
  ASSERT_TRUE(
      v1::Jobs::NewStub(channel)->ExplainJob(&context, request, &told).ok());
  ASSERT_GE(told.reasons_size(), 1);
  EXPECT_THAT(told.reasons(0), HasSubstr("waits for a first worker"));
}

TEST(Coordinator, ALimitBelowTheFirstRoundIsRefused) {
  ScratchDirectory scratch;
  auto coordinator = StartCoordinator(scratch.path());
  const auto channel = coordinator->InProcessChannel();
  UploadSpecArtifacts(channel);
  v1::JobSpec spec = SmallSpec();
  spec.mutable_limits()->set_max_tokens(1024);
  v1::Job job;
  const grpc::Status status = Create(channel, spec, &job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("max_tokens=1024"));
  EXPECT_THAT(status.error_message(), HasSubstr("8192"));
}

TEST(Coordinator, TheDeadlineEndsAJobThatNobodyWorksOn) {
  ScratchDirectory scratch;
  auto coordinator = StartCoordinator(scratch.path());
  const auto channel = coordinator->InProcessChannel();
  UploadSpecArtifacts(channel);
  v1::JobSpec spec = SmallSpec();
  spec.mutable_limits()->mutable_max_time()->set_nanos(400'000'000);
  // Only levels and the report are ever answered.
  FakeWorker worker(channel, "w", [&](const v1::Lease& lease, v1::Completion*) {
    return !lease.task().has_evaluate() ||
           lease.task().evaluate().data().role() == v1::TokenSetRef::HELD_OUT;
  });
  v1::Job job;
  ASSERT_TRUE(Create(channel, spec, &job).ok());
  job = WaitForEnd(channel, job.name());
  EXPECT_EQ(job.state(), v1::Job::SUCCEEDED) << job.error();
  EXPECT_EQ(job.stopped_by(), v1::Job::DEADLINE);
  EXPECT_EQ(job.rounds(), 0);
}

TEST(Coordinator, ACancelledJobKeepsItsIncumbentForGood) {
  ScratchDirectory scratch;
  v1::Job job;
  {
    auto coordinator = StartCoordinator(scratch.path());
    const auto channel = coordinator->InProcessChannel();
    UploadSpecArtifacts(channel);
    std::atomic<int> left = 12;
    FakeWorker worker(channel, "w", [&](const v1::Lease&, v1::Completion*) {
      return --left >= 0;
    });
    ASSERT_TRUE(Create(channel, SmallSpec(), &job).ok());
    job = WaitUntil(channel, job.name(), [&](const v1::Job& now) {
      return now.rounds() > 1 && left < 0;
    });
    ASSERT_TRUE(job.has_incumbent());
    grpc::ClientContext context;
    v1::CancelJobRequest request;
    request.set_name(job.name());
    v1::Job cancelled;
    ASSERT_TRUE(v1::Jobs::NewStub(channel)
                    ->CancelJob(&context, request, &cancelled)
                    .ok());
    EXPECT_EQ(cancelled.state(), v1::Job::CANCELLED);
    EXPECT_EQ(cancelled.incumbent().SerializeAsString(),
              job.incumbent().SerializeAsString());
  }
  auto coordinator = StartCoordinator(scratch.path());
  const v1::Job later = Get(coordinator->InProcessChannel(), job.name());
  EXPECT_EQ(later.state(), v1::Job::CANCELLED);
  EXPECT_EQ(later.incumbent().SerializeAsString(),
            job.incumbent().SerializeAsString());
  EXPECT_EQ(later.level_table_sha256(), job.level_table_sha256());
}

TEST(Coordinator, AWiderMenuBuildsOnlyTheLevelsItAdds) {
  ScratchDirectory scratch;
  auto coordinator = StartCoordinator(scratch.path());
  const auto channel = coordinator->InProcessChannel();
  UploadSpecArtifacts(channel);
  std::vector<std::string> built;
  FakeWorker worker(channel, "w", [&](const v1::Lease& lease, v1::Completion*) {
    for (const auto& unit : lease.task().build().units().units()) {
      for (const auto& level : unit.levels()) built.push_back(level.name());
    }
    return true;
  });
  v1::JobSpec narrow = SmallSpec();
  for (v1::Unit& unit : *narrow.mutable_space()->mutable_units()) {
    unit.mutable_menu()->RemoveLast();
  }
  v1::Job job;
  ASSERT_TRUE(Create(channel, narrow, &job).ok());
  ASSERT_EQ(WaitForEnd(channel, job.name()).state(), v1::Job::SUCCEEDED);
  EXPECT_EQ(built.size(), size_t{3 * kUnits});
  built.clear();
  ASSERT_TRUE(Create(channel, SmallSpec(), &job).ok());
  ASSERT_EQ(WaitForEnd(channel, job.name()).state(), v1::Job::SUCCEEDED);
  EXPECT_EQ(built, std::vector<std::string>(kUnits, "rtn:b5:g32:asym"));
}

TEST(Coordinator, ARestartAtAnyTimeChangesNothing) {
  const v1::JobSpec spec = SmallSpec(11);
  const v1::Job expected = UndisturbedRun(spec);
  ScratchDirectory scratch;
  std::string name;
  v1::Job job;
  for (int life = 0; life < 40; ++life) {
    auto coordinator = StartCoordinator(scratch.path());
    ASSERT_NE(coordinator, nullptr);
    const auto channel = coordinator->InProcessChannel();
    if (life == 0) {
      UploadSpecArtifacts(channel);
      ASSERT_TRUE(Create(channel, spec, &job).ok());
      name = job.name();
    }
    // Each life ends after a few more tasks.
    std::atomic<int> left = 1 + life % 5;
    FakeWorker worker(channel, "w", [&](const v1::Lease&, v1::Completion*) {
      return --left >= 0;
    });
    job = WaitUntil(channel, name,
                    [&](const v1::Job& now) { return Ended(now) || left < 0; });
    if (Ended(job)) break;
  }
  ExpectSameOutcome(job, expected);
}

TEST(Coordinator, AKilledProcessLosesNothingThatWasAccepted) {
  const v1::JobSpec spec = SmallSpec(12);
  ScratchDirectory scratch;
  const std::string socket = "unix:" + scratch.path() + "/socket";
  const std::string data = scratch.path() + "/data";
  // gRPC does not survive fork: the child is a process of its own.
  const std::string binary =
      std::string(EVOPRESS_BINARY_DIR) + "/server/evopressd";
  if (!std::filesystem::exists(binary)) {
    GTEST_SKIP() << "build evopressd to run this test: " << binary;
  }
  const auto start = [&] {
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::execl(binary.c_str(), binary.c_str(), "--listen", socket.c_str(),
              "--data", data.c_str(), "--heartbeat", "200ms", nullptr);
      ::_exit(127);
    }
    return pid;
  };
  const auto connect = [&] {
    auto channel =
        grpc::CreateChannel(socket, grpc::InsecureChannelCredentials());
    EXPECT_TRUE(channel->WaitForConnected(std::chrono::system_clock::now() +
                                          std::chrono::seconds(20)));
    return channel;
  };
  v1::Job job;
  int64_t tokens = 0;
  for (int life = 0; life < 3; ++life) {
    const pid_t pid = start();
    {
      const auto channel = connect();
      if (life == 0) {
        UploadSpecArtifacts(channel);
        ASSERT_TRUE(Create(channel, spec, &job).ok());
      }
      FakeWorker worker(channel, "w");
      job = WaitUntil(channel, job.name(), [&](const v1::Job& now) {
        return Ended(now) || (life < 2 && now.rounds() > 2 + 3 * life);
      });
      EXPECT_GE(job.evaluated_tokens(), tokens);
      tokens = job.evaluated_tokens();
      if (life < 2) ::kill(pid, SIGKILL);
    }
    if (life == 2) ::kill(pid, SIGTERM);
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    if (life == 2) {
      EXPECT_TRUE(WIFEXITED(status));
      EXPECT_EQ(WEXITSTATUS(status), 0);
    }
  }
  ExpectSameOutcome(job, UndisturbedRun(spec, 3));
}

TEST(Coordinator, LostWorkersAndDuplicatesDoNotChangeTheWinner) {
  const v1::JobSpec spec = SmallSpec(13);
  ScratchDirectory scratch;
  auto coordinator = StartCoordinator(scratch.path(), absl::Milliseconds(20));
  const auto channel = coordinator->InProcessChannel();
  UploadSpecArtifacts(channel);
  std::atomic<int> count = 0;
  const FakeWorker::Answer forgetful = [&](const v1::Lease&, v1::Completion*) {
    return ++count % 3 != 0;  // every third is computed and lost
  };
  FakeWorker a(channel, "a", forgetful);
  FakeWorker b(channel, "b", forgetful);
  FakeWorker c(channel, "c");
  v1::Job job;
  ASSERT_TRUE(Create(channel, spec, &job).ok());
  ExpectSameOutcome(WaitForEnd(channel, job.name()), UndisturbedRun(spec));
}

std::vector<search::StrategyOptions> OneOfEachStrategy() {
  search::EvoPressOptions evopress;
  evopress.generations = 3;
  evopress.offspring = 8;
  evopress.stages = {{4, 1}, {1, 2}};
  evopress.initial_samples = 2;
  search::GuidedOptions guided;
  guided.races = 3;
  guided.candidates = 6;
  guided.samples = {1, 2, 4};
  guided.decision_samples = 4;
  guided.anchors = {{{1, 0, 2, 1, 1, 0}}};
  search::PolicyGradientOptions policy_gradient;
  policy_gradient.steps = 3;
  policy_gradient.draws = 6;
  search::SubnetGaOptions subnet_ga;
  subnet_ga.generations = 3;
  subnet_ga.population = 8;
  subnet_ga.parents = 4;
  subnet_ga.crossovers = 3;
  search::FixedOptions fixed;
  fixed.assignments = {{std::vector<uint16_t>(kUnits, 0)},
                       {std::vector<uint16_t>(kUnits, 1)}};
  return {evopress,
          search::UniformOptions{},
          search::RandomOptions{12, 4},
          search::GreedyOptions{2},
          search::DpOptions{},
          search::WeightedDpOptions{2},
          fixed,
          guided,
          search::BruteForceOptions{1},
          policy_gradient,
          subnet_ga,
          search::OwlOptions{},
          search::DropScoreOptions{}};
}

// A job that the strategy accepts.
v1::JobSpec SpecFor(const search::StrategyOptions& strategy, uint64_t seed) {
  v1::JobSpec spec =
      std::holds_alternative<search::OwlOptions>(strategy) ? SparseSpec(seed)
      : std::holds_alternative<search::DropScoreOptions>(strategy)
          ? DropSpec(seed)
          : SmallSpec(seed);
  *spec.mutable_strategy() = proto::ToProto(strategy);
  return spec;
}

TEST(Coordinator, EveryStrategyEndsAlikeWhateverTheFleet) {
  const auto strategies = OneOfEachStrategy();
  ASSERT_EQ(strategies.size(), std::variant_size_v<search::StrategyOptions>);
  for (const search::StrategyOptions& strategy : strategies) {
    SCOPED_TRACE(search::StrategyName(strategy));
    const v1::JobSpec spec = SpecFor(strategy, 17);
    const v1::Job alone = UndisturbedRun(spec);
    for (int workers : {2, 7}) {
      SCOPED_TRACE(workers);
      ScratchDirectory scratch;
      auto coordinator = StartCoordinator(scratch.path());
      const auto channel = coordinator->InProcessChannel();
      UploadSpecArtifacts(channel);
      std::atomic<uint64_t> count = 0;
      const FakeWorker::Answer late = [&](const v1::Lease&, v1::Completion*) {
        search::Rng rng(count++, static_cast<uint64_t>(workers));
        absl::SleepFor(absl::Microseconds(rng.Below(3000)));
        return true;
      };
      std::vector<std::unique_ptr<FakeWorker>> fleet;
      for (int i = 0; i < workers; ++i) {
        fleet.push_back(std::make_unique<FakeWorker>(
            channel, absl::StrCat("w", i), late, "fake-1", /*replies=*/2));
      }
      v1::Job job;
      ASSERT_TRUE(Create(channel, spec, &job).ok());
      job = WaitForEnd(channel, job.name());
      fleet.clear();
      ExpectSameOutcome(job, alone);
    }
  }
}

TEST(Coordinator, OutOfMemorySplitsTasksUntilTheyFit) {
  const v1::JobSpec spec = SmallSpec(14);
  ScratchDirectory scratch;
  auto coordinator = StartCoordinator(scratch.path());
  const auto channel = coordinator->InProcessChannel();
  UploadSpecArtifacts(channel);
  FakeWorker worker(
      channel, "small", [](const v1::Lease& lease, v1::Completion* completion) {
        const v1::EvaluateTask& work = lease.task().evaluate();
        if (work.assignments_size() * work.sequences_size() > 2) {
          completion->mutable_fault()->set_kind(v1::Fault::OUT_OF_MEMORY);
        }
        return true;
      });
  v1::Job job;
  ASSERT_TRUE(Create(channel, spec, &job).ok());
  ExpectSameOutcome(WaitForEnd(channel, job.name()), UndisturbedRun(spec));
}

TEST(Coordinator, ReproducibleFaultsFailTheJobWithTheirMessageAndItCanResume) {
  ScratchDirectory scratch;
  auto coordinator = StartCoordinator(scratch.path());
  const auto channel = coordinator->InProcessChannel();
  UploadSpecArtifacts(channel);
  std::atomic<bool> broken = true;
  std::atomic<int> attempts = 0;
  FakeWorker worker(channel, "w",
                    [&](const v1::Lease&, v1::Completion* completion) {
                      if (broken) {
                        ++attempts;
                        completion->mutable_fault()->set_kind(v1::Fault::CRASH);
                        completion->mutable_fault()->set_message("signal 11");
                      }
                      return true;
                    });
  v1::Job job;
  ASSERT_TRUE(Create(channel, SmallSpec(), &job).ok());
  job = WaitForEnd(channel, job.name());
  EXPECT_EQ(job.state(), v1::Job::FAILED);
  EXPECT_THAT(job.error(), HasSubstr("signal 11"));
  EXPECT_GE(attempts, 3);
  broken = false;
  grpc::ClientContext context;
  v1::ResumeJobRequest resume;
  resume.set_name(job.name());
  ASSERT_TRUE(
      v1::Jobs::NewStub(channel)->ResumeJob(&context, resume, &job).ok());
  ExpectSameOutcome(WaitForEnd(channel, job.name()),
                    UndisturbedRun(SmallSpec()));
}

TEST(Coordinator, AWorkerOfAnotherNumericClassTakesNoPart) {
  ScratchDirectory scratch;
  auto coordinator = StartCoordinator(scratch.path());
  const auto channel = coordinator->InProcessChannel();
  UploadSpecArtifacts(channel);
  v1::JobSpec spec = SmallSpec();
  spec.set_numeric_class("fake-2");
  FakeWorker other(channel, "other", {}, "fake-1");
  v1::Job job;
  ASSERT_TRUE(Create(channel, spec, &job).ok());
  absl::SleepFor(absl::Milliseconds(200));
  EXPECT_EQ(Get(channel, job.name()).state(), v1::Job::BUILDING);
  FakeWorker right(channel, "right", {}, "fake-2");
  job = WaitForEnd(channel, job.name());
  EXPECT_EQ(job.state(), v1::Job::SUCCEEDED) << job.error();
  EXPECT_EQ(other.evaluations(), 0);
}

TEST(Coordinator, BadRequestsAreRefusedWithTheReason) {
  ScratchDirectory scratch;
  auto coordinator = StartCoordinator(scratch.path());
  const auto channel = coordinator->InProcessChannel();
  v1::Job job;
  grpc::Status status = Create(channel, SmallSpec(), &job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("model.gguf"));
  v1::JobSpec unreachable = SmallSpec();
  unreachable.mutable_space()->mutable_budgets(0)->set_limit(1);
  status = Create(channel, unreachable, &job);
  EXPECT_FALSE(status.ok());
  status = Create(channel, v1::JobSpec(), &job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  grpc::ClientContext context;
  v1::GetJobRequest get;
  get.set_name("jobs/nothing");
  status = v1::Jobs::NewStub(channel)->GetJob(&context, get, &job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST(Coordinator, TheSameRequestIdMakesOneJob) {
  ScratchDirectory scratch;
  v1::Job first;
  v1::Job second;
  {
    auto coordinator = StartCoordinator(scratch.path());
    const auto channel = coordinator->InProcessChannel();
    UploadSpecArtifacts(channel);
    ASSERT_TRUE(Create(channel, SmallSpec(), &first, "id-1").ok());
    ASSERT_TRUE(Create(channel, SmallSpec(), &second, "id-1").ok());
    EXPECT_EQ(first.name(), second.name());
    v1::JobSpec renamed = SmallSpec();
    renamed.set_display_name("the same file by another path");
    (*renamed.mutable_labels())["command"] = "evopress search ./model.gguf";
    ASSERT_TRUE(Create(channel, renamed, &second, "id-1").ok());
    EXPECT_EQ(first.name(), second.name());
    EXPECT_EQ(Create(channel, SmallSpec(2), &second, "id-1").error_code(),
              grpc::StatusCode::ALREADY_EXISTS);
  }
  auto coordinator = StartCoordinator(scratch.path());
  const auto channel = coordinator->InProcessChannel();
  ASSERT_TRUE(Create(channel, SmallSpec(), &second, "id-1").ok());
  EXPECT_EQ(first.name(), second.name());
}

TEST(Coordinator, FixedAssignmentsWithoutSearchSetAreOnlyReported) {
  v1::JobSpec spec = SmallSpec();
  spec.mutable_data()->DeleteSubrange(1, 1);
  spec.mutable_strategy()->mutable_fixed()->set_fitness(v1::KL);
  *spec.mutable_strategy()->mutable_fixed()->add_assignments() =
      spec.report(0).assignment();
  const v1::Job job = UndisturbedRun(spec);
  ASSERT_EQ(job.state(), v1::Job::SUCCEEDED) << job.error();
  EXPECT_EQ(job.rounds(), 0);
  EXPECT_EQ(job.results_size(), 3);
  EXPECT_EQ(job.results(0).held_out(0).sums_size(), kHeldOut);
}

TEST(Coordinator, PausedJobsStandStillAndCancelledOnesEnd) {
  ScratchDirectory scratch;
  auto coordinator = StartCoordinator(scratch.path());
  const auto channel = coordinator->InProcessChannel();
  UploadSpecArtifacts(channel);
  auto stub = v1::Jobs::NewStub(channel);
  v1::Job job;
  ASSERT_TRUE(Create(channel, SmallSpec(), &job).ok());
  const std::string name = job.name();
  {
    grpc::ClientContext context;
    v1::PauseJobRequest request;
    request.set_name(name);
    ASSERT_TRUE(stub->PauseJob(&context, request, &job).ok());
    EXPECT_EQ(job.state(), v1::Job::PAUSED);
  }
  FakeWorker worker(channel, "w");
  absl::SleepFor(absl::Milliseconds(100));
  EXPECT_EQ(Get(channel, name).state(), v1::Job::PAUSED);
  {
    grpc::ClientContext context;
    v1::DeleteJobRequest request;
    request.set_name(name);
    v1::DeleteJobResponse response;
    EXPECT_EQ(stub->DeleteJob(&context, request, &response).error_code(),
              grpc::StatusCode::FAILED_PRECONDITION);
  }
  {
    grpc::ClientContext context;
    v1::CancelJobRequest request;
    request.set_name(name);
    ASSERT_TRUE(stub->CancelJob(&context, request, &job).ok());
    EXPECT_EQ(job.state(), v1::Job::CANCELLED);
  }
  grpc::ClientContext context;
  v1::DeleteJobRequest request;
  request.set_name(name);
  v1::DeleteJobResponse response;
  EXPECT_TRUE(stub->DeleteJob(&context, request, &response).ok());
}

TEST(Coordinator, WatchersSeeTheEndAndRoundsAreListed) {
  ScratchDirectory scratch;
  auto coordinator = StartCoordinator(scratch.path());
  const auto channel = coordinator->InProcessChannel();
  UploadSpecArtifacts(channel);
  auto stub = v1::Jobs::NewStub(channel);
  v1::Job job;
  ASSERT_TRUE(Create(channel, SmallSpec(), &job).ok());
  FakeWorker worker(channel, "w");
  grpc::ClientContext context;
  v1::WatchJobRequest watch;
  watch.set_name(job.name());
  auto reader = stub->WatchJob(&context, watch);
  int seen = 0;
  while (reader->Read(&job)) ++seen;
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_GE(seen, 2);
  EXPECT_EQ(job.state(), v1::Job::SUCCEEDED);
  v1::ListRoundsRequest list;
  list.set_job(job.name());
  list.set_page_size(3);
  int64_t rounds = 0;
  std::string hash;
  do {
    grpc::ClientContext list_context;
    v1::ListRoundsResponse page;
    ASSERT_TRUE(stub->ListRounds(&list_context, list, &page).ok());
    for (const v1::RoundRecord& round : page.rounds()) {
      EXPECT_EQ(round.index(), rounds++);
      hash = round.history_hash();
      for (const auto& evaluation : round.evaluations()) {
        EXPECT_EQ(evaluation.samples_size(), evaluation.sums_size());
      }
    }
    list.set_page_token(page.next_page_token());
  } while (!list.page_token().empty());
  EXPECT_EQ(rounds, job.rounds());
  EXPECT_EQ(hash, job.history_hash());
}

TEST(Coordinator, ALiarIsOutvotedQuarantinedAndTheWinnerIsTheTrueOne) {
  const v1::JobSpec spec = SmallSpec(15);
  ScratchDirectory scratch;
  // Leases that expire at once make both workers compute the same task.
  auto coordinator = StartCoordinator(scratch.path(), absl::Milliseconds(30));
  const auto channel = coordinator->InProcessChannel();
  UploadSpecArtifacts(channel);
  std::atomic<bool> lied = false;
  v1::Completion truth;
  v1::Lease lied_about;
  v1::Job job;
  ASSERT_TRUE(Create(channel, spec, &job).ok());
  {
    FakeWorker liar(
        channel, "liar", [&](const v1::Lease& lease, v1::Completion* c) {
          if (!lease.task().has_evaluate()) return true;
          if (lied) return false;
          truth = *c;
          lied_about = lease;
          c->mutable_result()->mutable_evaluate()->mutable_sums(0)->set_kl(0);
          lied = true;
          return true;
        });
    for (int i = 0; i < 5000 && !lied; ++i)
      absl::SleepFor(absl::Milliseconds(2));
  }
  ASSERT_TRUE(lied);
  // A late, different result arrives from an honest worker.
  auto stub = v1::Workers::NewStub(channel);
  v1::OpenSessionRequest open;
  open.set_worker_id("late");
  open.set_numeric_class("fake-1");
  v1::OpenSessionResponse opened;
  grpc::ClientContext open_context;
  ASSERT_TRUE(stub->OpenSession(&open_context, open, &opened).ok());
  v1::CompleteTasksRequest complete;
  complete.set_session(opened.session());
  *complete.add_completions() = truth;
  v1::CompleteTasksResponse verdicts;
  grpc::ClientContext complete_context;
  ASSERT_TRUE(stub->CompleteTasks(&complete_context, complete, &verdicts).ok());
  ASSERT_EQ(verdicts.verdicts(0), v1::CompleteTasksResponse::CONFLICT);
  FakeWorker honest(channel, "honest");
  ExpectSameOutcome(WaitForEnd(channel, job.name()), UndisturbedRun(spec));
  v1::ListWorkersResponse workers;
  grpc::ClientContext list_context;
  ASSERT_TRUE(
      stub->ListWorkers(&list_context, v1::ListWorkersRequest(), &workers)
          .ok());
  for (const v1::Worker& worker : workers.workers()) {
    EXPECT_EQ(worker.state() == v1::Worker::QUARANTINED,
              worker.worker_id() == "liar");
  }
}

TEST(Coordinator, OneProcessHoldsTheDataDirectory) {
  ScratchDirectory scratch;
  auto first = StartCoordinator(scratch.path());
  CoordinatorOptions options;
  options.data_dir = scratch.path();
  const auto second = Coordinator::Start(options);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr(absl::StrCat("process ", ::getpid())));
}

TEST(Coordinator, ServesOnLoopbackAndSaysWhere) {
  ScratchDirectory scratch;
  CoordinatorOptions options;
  options.data_dir = scratch.path();
  options.listen = {"127.0.0.1:0"};
  auto coordinator = Coordinator::Start(options);
  ASSERT_TRUE(coordinator.ok()) << coordinator.status();
  const std::string address = (*coordinator)->addresses()[0];
  EXPECT_NE(address, "127.0.0.1:0");
  const auto channel =
      grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  EXPECT_TRUE(Upload(channel, "bytes").ok());
  options.listen = {address};
  ScratchDirectory other;
  options.data_dir = other.path();
  const auto taken = Coordinator::Start(options);
  ASSERT_FALSE(taken.ok());
  EXPECT_THAT(std::string(taken.status().message()), HasSubstr(address));
}

TEST(Coordinator, LocalFilesAreArtifactsUntilTheyChange) {
  ScratchDirectory scratch;
  const std::string file = scratch.path() + "/model.gguf";
  std::ofstream(file) << "weights";
  CoordinatorOptions options;
  options.data_dir = scratch.path() + "/data";
  auto coordinator = Coordinator::Start(options);
  ASSERT_TRUE(coordinator.ok());
  EXPECT_EQ((*coordinator)->RegisterLocalFile(file).status().code(),
            absl::StatusCode::kPermissionDenied);
  coordinator->reset();
  options.local_roots = {scratch.path()};
  coordinator = Coordinator::Start(options);
  ASSERT_TRUE(coordinator.ok());
  const auto sha256 = (*coordinator)->RegisterLocalFile(file);
  ASSERT_TRUE(sha256.ok()) << sha256.status();
  EXPECT_EQ(*sha256, search::Sha256Hex("weights"));
  const auto size = [&] {
    grpc::ClientContext context;
    v1::StatArtifactsRequest request;
    request.add_sha256(*sha256);
    v1::StatArtifactsResponse response;
    EXPECT_TRUE(v1::Artifacts::NewStub((*coordinator)->InProcessChannel())
                    ->StatArtifacts(&context, request, &response)
                    .ok());
    return response.size_bytes(0);
  };
  EXPECT_EQ(size(), 7);
  coordinator->reset();
  coordinator = Coordinator::Start(options);
  ASSERT_TRUE(coordinator.ok());
  EXPECT_EQ(size(), 7);
  std::ofstream(file) << "other weights";
  EXPECT_EQ(size(), -1);
}

}  // namespace
}  // namespace evopress::server
