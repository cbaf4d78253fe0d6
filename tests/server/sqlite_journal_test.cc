#include "server/sqlite_journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

namespace evopress::server {
namespace {

using ::testing::HasSubstr;

class SqliteJournalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name =
        (std::filesystem::temp_directory_path() / "journal_XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    path_ = directory_ + "/journal.sqlite";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Journal> Open() {
    auto journal = OpenSqliteJournal(path_);
    EXPECT_TRUE(journal.ok()) << journal.status();
    return journal.ok() ? *std::move(journal) : nullptr;
  }

  std::string directory_;
  std::string path_;
};

JobRecord SomeJob(const std::string& id) {
  JobRecord job;
  job.id = id;
  job.request_id = "request-" + id;
  job.spec = std::string("spec\0bytes", 10);
  job.state = 2;
  job.numeric_class = "c";
  job.history_hash = "h";
  job.rounds = 7;
  job.create_time_ns = 123456789012345;
  return job;
}

TEST_F(SqliteJournalTest, EverythingCommittedIsThereAfterReopening) {
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

TEST_F(SqliteJournalTest, ABatchIsWrittenWholeOrNotAtAll) {
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

TEST_F(SqliteJournalTest, KnownMeasurementsStayUnlessForgotten) {
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

TEST_F(SqliteJournalTest, WhatALiarAloneVouchesForIsForgotten) {
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

TEST_F(SqliteJournalTest, AJournalOfTheFirstSchemaIsMigrated) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
  EXPECT_EQ(
      sqlite3_exec(
          db,
          "CREATE TABLE jobs (seq INTEGER PRIMARY KEY AUTOINCREMENT,"
          " id TEXT NOT NULL UNIQUE, request_id TEXT UNIQUE,"
          " spec BLOB NOT NULL, state INTEGER NOT NULL, paused INTEGER NOT"
          " NULL, numeric_class TEXT NOT NULL, error TEXT NOT NULL,"
          " level_table_sha256 TEXT NOT NULL, history_hash TEXT NOT NULL,"
          " results BLOB NOT NULL, rounds INTEGER NOT NULL, evaluated_tokens"
          " INTEGER NOT NULL, create_time_ns INTEGER NOT NULL, end_time_ns"
          " INTEGER NOT NULL);"
          "CREATE TABLE rounds (job TEXT NOT NULL, idx INTEGER NOT NULL,"
          " round BLOB NOT NULL, known BLOB NOT NULL, results BLOB NOT NULL,"
          " history_hash TEXT NOT NULL, PRIMARY KEY (job, idx)) WITHOUT ROWID;"
          "CREATE TABLE measurements (key TEXT PRIMARY KEY, kl REAL, topk_kl"
          " REAL, nll REAL, bits BLOB NOT NULL, positions INTEGER NOT NULL)"
          " WITHOUT ROWID;"
          "CREATE TABLE builds (key TEXT PRIMARY KEY, result BLOB NOT NULL)"
          " WITHOUT ROWID;"
          "CREATE TABLE local_files (sha256 TEXT PRIMARY KEY, path TEXT NOT"
          " NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL)"
          " WITHOUT ROWID;"
          "INSERT INTO measurements VALUES ('old', 0, 0, 0, zeroblob(24), 9);"
          "PRAGMA application_id=1165389648; PRAGMA user_version=1;",
          nullptr, nullptr, nullptr),
      SQLITE_OK)
      << sqlite3_errmsg(db);
  sqlite3_close(db);
  for (int life = 0; life < 2; ++life) {
    auto journal = Open();
    EXPECT_EQ((*journal->FindMeasurement("old"))->positions, 9);
    EXPECT_EQ(*journal->FindWorker("old"), "");
    JournalBatch batch;
    batch.measurements = {{"new", {1, 1, 1, 1}, "worker"}};
    ASSERT_TRUE(journal->Commit(batch).ok());
    EXPECT_EQ(*journal->FindWorker("new"), "worker");
  }
}

TEST_F(SqliteJournalTest, DamagedFilesAreRefusedWithTheirPath) {
  std::ofstream(path_) << std::string(8192, 'x');
  const auto journal = OpenSqliteJournal(path_);
  ASSERT_FALSE(journal.ok());
  EXPECT_EQ(journal.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(journal.status().message()), HasSubstr(path_));
}

TEST_F(SqliteJournalTest, PagesOverwrittenInTheMiddleAreNoticed) {
  {
    auto journal = Open();
    JournalBatch batch;
    for (int i = 0; i < 2000; ++i) {
      batch.measurements.push_back({"key" + std::to_string(i), {1, 2, 3, 4}});
    }
    ASSERT_TRUE(journal->Commit(batch).ok());
  }
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096 * 8);
  file << std::string(4096 * 4, '\x5A');
  file.close();
  const auto journal = OpenSqliteJournal(path_);
  ASSERT_FALSE(journal.ok());
  EXPECT_EQ(journal.status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SqliteJournalTest, NewerAndForeignFilesAreRefused) {
  Open().reset();
  const auto execute = [&](const char* sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(db);
  };
  execute("PRAGMA user_version=99");
  const auto newer = OpenSqliteJournal(path_);
  ASSERT_FALSE(newer.ok());
  EXPECT_EQ(newer.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(newer.status().message()), HasSubstr("99"));
  execute("PRAGMA application_id=7");
  EXPECT_EQ(OpenSqliteJournal(path_).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST_F(SqliteJournalTest, AFullDiskIsReportedAndTheJournalStaysValid) {
  if (::mount("tmpfs", directory_.c_str(), "tmpfs", 0, "size=512k") != 0) {
    GTEST_SKIP() << "needs the right to mount a small tmpfs (root)";
  }
  absl::Status status;
  int committed = 0;
  {
    auto journal = Open();
    ASSERT_NE(journal, nullptr);
    while (status.ok() && committed < 100) {
      JournalBatch batch;
      batch.builds = {{std::to_string(committed), std::string(32768, 'x')}};
      status = journal->Commit(batch);
      if (status.ok()) ++committed;
    }
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
    EXPECT_TRUE((*journal->FindBuild("0")).has_value());
  }
  ASSERT_EQ(
      ::mount("tmpfs", directory_.c_str(), "tmpfs", MS_REMOUNT, "size=16m"), 0);
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
  ::umount(directory_.c_str());
}

}  // namespace
}  // namespace evopress::server
