#include "server/sqlite_journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <fstream>

#include "tests/server/scratch_directory.h"

namespace evopress::server {
namespace {

using ::testing::HasSubstr;

class SqliteJournalTest : public ::testing::Test {
 protected:
  std::unique_ptr<Journal> Open() {
    auto journal = OpenSqliteJournal(path_);
    EXPECT_TRUE(journal.ok()) << journal.status();
    return journal.ok() ? *std::move(journal) : nullptr;
  }

  const ScratchDirectory scratch_;
  const std::string& directory_ = scratch_.path();
  const std::string path_ = directory_ + "/journal.sqlite";
};

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

TEST_F(SqliteJournalTest, ACopyIsMadeWhileTheJournalIsWritten) {
  auto journal = Open();
  JournalBatch batch;
  for (int i = 0; i < 300; ++i) {
    batch.builds.push_back({std::to_string(i), std::string(32768, 'x')});
  }
  ASSERT_TRUE(journal->Commit(batch).ok());
  const std::string copy_path = directory_ + "/copy.sqlite";
  auto copy = journal->CopyTo(copy_path);
  ASSERT_TRUE(copy.ok()) << copy.status();
  int steps = 1;
  for (auto done = (*copy)->Step(); !*done; done = (*copy)->Step(), ++steps) {
    ASSERT_TRUE(done.ok()) << done.status();
    batch.builds = {{"between", std::to_string(steps)}};
    ASSERT_TRUE(journal->Commit(batch).ok());
  }
  EXPECT_GT(steps, 2);
  copy->reset();
  auto restored = OpenSqliteJournal(copy_path);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(**(*restored)->FindBuild("between"), std::to_string(steps - 1));
  EXPECT_EQ((*restored)->FindBuild("299")->value().size(), 32768u);
}

TEST_F(SqliteJournalTest, ACopyToNowhereIsAnError) {
  EXPECT_FALSE(Open()->CopyTo(directory_ + "/missing/copy").ok());
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

}  // namespace
}  // namespace evopress::server
