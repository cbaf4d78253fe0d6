// What every journal keeps: the same tests on a SQLite file and on a real
// PostgreSQL.
#include "server/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <cmath>
#include <limits>
#include <utility>

#include "server/postgres_journal.h"
#include "server/sqlite_journal.h"
#include "tests/server/postgres_server.h"
#include "tests/server/scratch_directory.h"

namespace evopress::server {
namespace {

using ::testing::HasSubstr;

// Where a journal is kept, over several lives of its user.
class Place {
 public:
  virtual ~Place() = default;
  virtual absl::StatusOr<std::unique_ptr<Journal>> Open() = 0;
};

class SqlitePlace : public Place {
 public:
  explicit SqlitePlace(const std::string& folder)
      : path_(folder + "/journal.sqlite") {}
  absl::StatusOr<std::unique_ptr<Journal>> Open() override {
    return OpenSqliteJournal(path_);
  }

 private:
  const std::string path_;
};

class PostgresPlace : public Place {
 public:
  explicit PostgresPlace(const std::string& folder)
      : url_(PostgresServer::Get().NewDatabaseIn(folder)) {}
  absl::StatusOr<std::unique_ptr<Journal>> Open() override {
    leadership_.reset();
    leadership_ = std::make_unique<Leadership>(LeadershipOptions{url_, "here"});
    // The connection of the life before ends a moment after its user.
    for (int i = 0; i < 100; ++i) {
      auto leads = leadership_->Try(absl::Now());
      if (!leads.ok()) return leads.status();
      if (*leads) return OpenPostgresJournal(url_, *leadership_);
      absl::SleepFor(absl::Milliseconds(20));
    }
    return absl::UnavailableError("no leadership");
  }

 private:
  const std::string url_;
  std::unique_ptr<Leadership> leadership_;
};

class JournalTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { MakePlace(); }

  void MakePlace() {
    if (GetParam() == "SQLite") {
      place_ = std::make_unique<SqlitePlace>(folder_);
    } else {
      place_ = std::make_unique<PostgresPlace>(folder_);
    }
  }

  std::unique_ptr<Journal> Open() {
    auto journal = place_->Open();
    EXPECT_TRUE(journal.ok()) << journal.status();
    return journal.ok() ? *std::move(journal) : nullptr;
  }

  const ScratchDirectory scratch_;
  const std::string& folder_ = scratch_.path();
  std::unique_ptr<Place> place_;
};

INSTANTIATE_TEST_SUITE_P(Stores, JournalTest,
                         ::testing::Values("SQLite", "PostgreSQL"),
                         [](const auto& info) { return info.param; });

JobRecord SomeJob(const std::string& id) {
  JobRecord job;
  job.id = id;
  job.request_id = "request-" + id;
  job.spec = std::string("spec\0bytes", 10);
  job.state = 2;
  job.numeric_class = "c";
  job.history_hash = "h";
  job.error = std::string("any\0bytes\xFF", 10);
  job.rounds = int64_t{1} << 40;
  job.create_time_ns = 123456789012345;
  return job;
}

TEST_P(JournalTest, EverythingCommittedIsThereAfterReopening) {
  JournalBatch batch;
  batch.jobs = {SomeJob("b"), SomeJob("a")};
  batch.rounds = {{"a", 0, "r0", "01", "res", "h0"},
                  {"a", 1, "r1", "", "", ""}};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  batch.measurements = {{"k", {1.0 / 3, nan, -0.0, 5}},
                        {"i", {infinity, 0, 0, 1}}};
  batch.builds = {{"bk", "result"}};
  batch.local_files = {{"sha", "/some/path", 10, 20}};
  ASSERT_TRUE(Open()->Commit(batch).ok());
  auto journal = Open();
  const auto jobs = journal->LoadJobs();
  ASSERT_TRUE(jobs.ok());
  ASSERT_EQ(jobs->size(), 2u);
  EXPECT_EQ((*jobs)[0].id, "b");  // oldest first
  EXPECT_EQ((*jobs)[1].spec, batch.jobs[1].spec);
  EXPECT_EQ((*jobs)[1].error, batch.jobs[1].error);
  EXPECT_EQ((*jobs)[1].rounds, int64_t{1} << 40);
  EXPECT_EQ((*jobs)[1].state, 2);
  EXPECT_FALSE((*jobs)[1].paused);
  EXPECT_EQ((*jobs)[1].create_time_ns, 123456789012345);
  const auto rounds = journal->LoadRounds("a", 0, 10);
  ASSERT_EQ(rounds->size(), 2u);
  EXPECT_EQ((*rounds)[0].known, "01");
  EXPECT_EQ(journal->LoadRounds("a", 1, 10)->size(), 1u);
  const auto sums = journal->FindMeasurement("k");
  ASSERT_TRUE(sums.ok() && sums->has_value());
  EXPECT_EQ((*sums)->kl, 1.0 / 3);
  EXPECT_TRUE(std::isnan((*sums)->topk_kl));
  EXPECT_TRUE(std::signbit((*sums)->nll));
  EXPECT_EQ((*journal->FindMeasurement("i"))->kl, infinity);
  EXPECT_FALSE(journal->FindMeasurement("unknown")->has_value());
  EXPECT_EQ(**journal->FindBuild("bk"), "result");
  EXPECT_EQ(journal->LoadLocalFiles()->at(0).path, "/some/path");
}

TEST_P(JournalTest, ABatchIsWrittenWholeOrNotAtAll) {
  auto journal = Open();
  JournalBatch batch;
  batch.jobs = {SomeJob("a")};
  ASSERT_TRUE(journal->Commit(batch).ok());
  JobRecord clash = SomeJob("b");
  clash.request_id = "request-a";
  batch.jobs = {SomeJob("c"), clash};
  EXPECT_TRUE(absl::IsAlreadyExists(journal->Commit(batch)));
  EXPECT_EQ(journal->LoadJobs()->size(), 1u);
}

TEST_P(JournalTest, KnownMeasurementsStayUnlessForgotten) {
  auto journal = Open();
  JournalBatch batch;
  batch.measurements = {{"k", {1, 1, 1, 1}}};
  ASSERT_TRUE(journal->Commit(batch).ok());
  batch.measurements = {{"k", {2, 2, 2, 2}}};
  ASSERT_TRUE(journal->Commit(batch).ok());
  EXPECT_EQ((*journal->FindMeasurement("k"))->kl, 1);
  batch.forget_measurements = {"k"};
  ASSERT_TRUE(journal->Commit(batch).ok());
  EXPECT_EQ((*journal->FindMeasurement("k"))->kl, 2);
}

TEST_P(JournalTest, WhatALiarAloneVouchesForIsForgotten) {
  JournalBatch batch;
  batch.measurements = {{"alone", {1, 1, 1, 1}, "liar"},
                        {"confirmed", {2, 2, 2, 1}, "liar"},
                        {"differs", {3, 3, 3, 1}, "liar"},
                        {"other", {4, 4, 4, 1}, "honest"}};
  batch.builds = {{"build", "result", "liar"}};
  ASSERT_TRUE(Open()->Commit(batch).ok());
  batch = {};
  batch.confirm_measurements = {{"confirmed", {2, 2, 2, 1}},
                                {"differs", {3, 3, 3.5, 1}}};
  ASSERT_TRUE(Open()->Commit(batch).ok());
  auto journal = Open();
  EXPECT_EQ(*journal->FindWorker("alone"), "liar");
  EXPECT_EQ(*journal->FindWorker("confirmed"), "");
  EXPECT_EQ(*journal->FindWorker("differs"), "liar");
  batch = {};
  batch.quarantined = {"liar"};
  ASSERT_TRUE(journal->Commit(batch).ok());
  EXPECT_FALSE(journal->FindMeasurement("alone")->has_value());
  EXPECT_FALSE(journal->FindMeasurement("differs")->has_value());
  EXPECT_FALSE(journal->FindBuild("build")->has_value());
  EXPECT_TRUE(journal->FindMeasurement("confirmed")->has_value());
  EXPECT_TRUE(journal->FindMeasurement("other")->has_value());
  EXPECT_EQ(*journal->LoadQuarantined(), std::vector<std::string>{"liar"});
}

// Nothing that a store could compress.
std::string Noise(size_t size, uint64_t seed) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<char>(seed >> 56);
  }
  return bytes;
}

TEST_P(JournalTest, AFullDiskIsReportedAndTheJournalStaysValid) {
  if (::mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=2m") != 0) {
    GTEST_SKIP() << "needs the right to mount a small tmpfs (root)";
  }
  MakePlace();
  absl::Status status;
  int committed = 0;
  {
    auto journal = Open();
    ASSERT_NE(journal, nullptr);
    while (status.ok() && committed < 200) {
      JournalBatch batch;
      batch.builds = {{std::to_string(committed),
                       Noise(32768, static_cast<uint64_t>(committed))}};
      status = journal->Commit(batch);
      if (status.ok()) ++committed;
    }
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_TRUE((*journal->FindBuild("0")).has_value());
    EXPECT_FALSE(journal->Lost());
  }
  ASSERT_EQ(::mount("tmpfs", folder_.c_str(), "tmpfs", MS_REMOUNT, "size=16m"),
            0);
  {
    auto journal = Open();
    ASSERT_NE(journal, nullptr);
    for (int i = 0; i < committed; ++i) {
      EXPECT_TRUE(journal->FindBuild(std::to_string(i))->has_value()) << i;
    }
    JournalBatch batch;
    batch.builds = {{"after", "y"}};
    EXPECT_TRUE(journal->Commit(batch).ok());
  }
  place_.reset();
  // The PostgreSQL keeps its files open.
  ::umount2(folder_.c_str(), MNT_DETACH);
}

}  // namespace
}  // namespace evopress::server
