#include "server/leadership.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "absl/time/clock.h"
#include "server/postgres_journal.h"
#include "tests/server/postgres_server.h"

namespace evopress::server {
namespace {

using ::testing::HasSubstr;

class LeadershipTest : public ::testing::Test {
 protected:
  std::unique_ptr<Leadership> Candidate(
      const std::string& address,
      absl::Duration beat = absl::Milliseconds(20)) {
    return std::make_unique<Leadership>(
        LeadershipOptions{url_, address, beat, absl::Milliseconds(300)});
  }

  // Tries for `patience`; true once it leads.
  static bool Leads(Leadership& candidate, absl::Duration patience) {
    const absl::Time end = absl::Now() + patience;
    do {
      auto leads = candidate.Try(absl::Now());
      EXPECT_TRUE(leads.ok()) << leads.status();
      if (leads.ok() && *leads) return true;
      absl::SleepFor(absl::Milliseconds(20));
    } while (absl::Now() < end);
    return false;
  }

  const std::string url_ = PostgresServer::Get().NewDatabase();
};

JournalBatch Build(const std::string& key) {
  JournalBatch batch;
  batch.builds = {{key, "result"}};
  return batch;
}

TEST_F(LeadershipTest, WhoWaitsKnowsTheLeaderAndFollowsIt) {
  auto first = Candidate("first:1");
  auto second = Candidate("second:1");
  ASSERT_TRUE(Leads(*first, absl::Seconds(5)));
  EXPECT_EQ(first->epoch(), 1);
  EXPECT_FALSE(Leads(*second, absl::Seconds(1)));
  EXPECT_EQ(second->leader(), "first:1");
  first.reset();
  ASSERT_TRUE(Leads(*second, absl::Seconds(5)));
  EXPECT_EQ(second->epoch(), 2);
  EXPECT_EQ(second->leader(), "second:1");
}

TEST_F(LeadershipTest, ASilentLeaderIsDeposedAndItsWritesAreRefused) {
  // It never beats: as if the process were stopped.
  auto silent = Candidate("silent:1", absl::Hours(1));
  ASSERT_TRUE(Leads(*silent, absl::Seconds(5)));
  auto journal = OpenPostgresJournal(url_, *silent);
  ASSERT_TRUE(journal.ok()) << journal.status();
  ASSERT_TRUE((*journal)->Commit(Build("before")).ok());

  auto next = Candidate("next:1");
  ASSERT_TRUE(Leads(*next, absl::Seconds(5)));
  auto next_journal = OpenPostgresJournal(url_, *next);
  ASSERT_TRUE(next_journal.ok());
  EXPECT_TRUE((*next_journal)->FindBuild("before")->has_value());

  EXPECT_EQ((*journal)->Commit(Build("after")).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_TRUE((*journal)->Lost());
  EXPECT_FALSE(silent->lost().ok());
  EXPECT_FALSE((*next_journal)->FindBuild("after")->has_value());
  EXPECT_TRUE((*next_journal)->Commit(Build("next")).ok());
  EXPECT_TRUE(next->lost().ok());
}

TEST_F(LeadershipTest, AStaleEpochIsRefusedOverAWorkingConnection) {
  auto leader = Candidate("a:1", absl::Hours(1));
  ASSERT_TRUE(Leads(*leader, absl::Seconds(5)));
  auto journal = OpenPostgresJournal(url_, *leader);
  ASSERT_TRUE(journal.ok());
  PostgresServer::Sql(url_, "UPDATE leader SET epoch = epoch + 1");
  const absl::Status status = (*journal)->Commit(Build("stale"));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("epoch 1 is over"));
  EXPECT_TRUE((*journal)->Lost());
  EXPECT_EQ(PostgresServer::Sql(url_, "SELECT count(*) FROM builds"), "0\n");
}

TEST_F(LeadershipTest, ALeaderNoticesThatItsEpochIsOver) {
  auto leader = Candidate("a:1");
  ASSERT_TRUE(Leads(*leader, absl::Seconds(5)));
  PostgresServer::Sql(url_, "UPDATE leader SET epoch = epoch + 1");
  for (int i = 0; i < 200 && leader->lost().ok(); ++i) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_FALSE(leader->lost().ok());
}

TEST_F(LeadershipTest, ARestartOfTheDatabaseEndsTheLeadership) {
  auto leader = Candidate("a:1");
  ASSERT_TRUE(Leads(*leader, absl::Seconds(5)));
  auto journal = OpenPostgresJournal(url_, *leader);
  ASSERT_TRUE((*journal)->Commit(Build("kept")).ok());
  PostgresServer::Get().Stop();
  EXPECT_EQ((*journal)->Commit(Build("lost")).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_TRUE((*journal)->Lost());
  EXPECT_EQ(Candidate("b:1")->Try(absl::Now()).status().code(),
            absl::StatusCode::kUnavailable);
  PostgresServer::Get().Start();
  auto next = Candidate("b:1");
  ASSERT_TRUE(Leads(*next, absl::Seconds(5)));
  auto next_journal = OpenPostgresJournal(url_, *next);
  EXPECT_TRUE((*next_journal)->FindBuild("kept")->has_value());
  EXPECT_FALSE((*next_journal)->FindBuild("lost")->has_value());
}

TEST_F(LeadershipTest, OneDatabaseServesSeveralSchemas) {
  PostgresServer::Sql(url_, "CREATE SCHEMA other");
  auto leader = Candidate("a:1");
  ASSERT_TRUE(Leads(*leader, absl::Seconds(5)));
  Leadership other({url_ + "&options=-csearch_path%3Dother", "b:1"});
  EXPECT_TRUE(Leads(other, absl::Seconds(5)));
  EXPECT_TRUE(leader->lost().ok());
}

TEST_F(LeadershipTest, ANewerSchemaIsRefused) {
  ASSERT_TRUE(Leads(*Candidate("a:1"), absl::Seconds(5)));
  PostgresServer::Sql(url_, "UPDATE evopress_schema SET version = 99");
  auto candidate = Candidate("b:1");
  absl::StatusOr<bool> leads = false;
  for (int i = 0; i < 100 && leads.ok() && !*leads; ++i) {
    leads = candidate->Try(absl::Now());
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_EQ(leads.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(leads.status().message()), HasSubstr("99"));
}

TEST_F(LeadershipTest, AUrlThatIsNoneIsExplained) {
  Leadership broken({"postgresql://host/?colour=red", "a:1"});
  EXPECT_EQ(broken.Try(absl::Now()).status().code(),
            absl::StatusCode::kInvalidArgument);
  Leadership unknown({url_ + "&dbname=missing", "a:1"});
  EXPECT_EQ(unknown.Try(absl::Now()).status().code(),
            absl::StatusCode::kPermissionDenied);
}

}  // namespace
}  // namespace evopress::server
