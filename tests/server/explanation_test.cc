#include "server/explanation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace evopress::server {
namespace {

using ::testing::HasSubstr;

const absl::Time kStart = absl::FromUnixSeconds(1'000'000);

class ExplanationTest : public ::testing::Test {
 protected:
  ExplanationTest() {
    job_.set_name("jobs/a");
    job_.set_state(v1::Job::SEARCHING);
    job_.set_numeric_class("c");
  }

  void AddTask(const std::string& id, const std::string& job = "a") {
    v1::Task task;
    task.set_id(id);
    task.set_job(job);
    task.set_numeric_class("c");
    task.mutable_evaluate()->add_assignments("ab");
    task.mutable_evaluate()->add_sequences(0);
    ASSERT_TRUE(table_.AddTask(task).ok());
  }

  std::string Open(const std::string& worker,
                   const std::string& numeric_class = "c") {
    v1::OpenSessionRequest request;
    request.set_worker_id(worker);
    request.set_numeric_class(numeric_class);
    return table_.OpenSession(request, kStart).value();
  }

  std::string Told(absl::Duration later = absl::ZeroDuration()) {
    told_ = Explain(job_, table_.Count("a", kStart + later));
    std::string text;
    for (const std::string& reason : told_.reasons()) text += reason + "\n";
    return text;
  }

  LeaseTable table_{LeaseTableOptions()};
  v1::Job job_;
  v1::ExplainJobResponse told_;
};

TEST_F(ExplanationTest, WithoutWorkersItSaysHowToStartOne) {
  job_.clear_numeric_class();
  EXPECT_THAT(Told(), HasSubstr("none is connected: start one with"));
  Open("w", "other");
  EXPECT_THAT(Told(), HasSubstr("1 of other"));
}

TEST_F(ExplanationTest, WorkersOfAnotherClassAreNamed) {
  AddTask("1");
  AddTask("2");
  Open("w", "other");
  EXPECT_THAT(Told(),
              HasSubstr("2 tasks wait for a worker of numeric class c"));
  EXPECT_THAT(Told(), HasSubstr("connected are 1 of other"));
  EXPECT_EQ(told_.queued_tasks(), 2);
  EXPECT_EQ(told_.able_workers(), 0);
}

TEST_F(ExplanationTest, ALongLeaseIsNamedWithItsWorker) {
  AddTask("1");
  ASSERT_EQ(table_.LeaseTasks(Open("slow"), 1, kStart)->leases_size(), 1);
  EXPECT_EQ(Told(), "1 task of it are with workers\n");
  EXPECT_THAT(Told(absl::Minutes(3)), HasSubstr("3m with slow"));
  EXPECT_EQ(told_.leased_tasks(), 1);
  EXPECT_EQ(told_.busy_workers(), 1);
}

TEST_F(ExplanationTest, OtherJobsThatKeepTheWorkersAreNoSecret) {
  AddTask("other", "b");
  ASSERT_EQ(table_.LeaseTasks(Open("w"), 1, kStart)->leases_size(), 1);
  AddTask("1");
  EXPECT_THAT(Told(), HasSubstr("1 of 1 worker of its numeric class are busy "
                                "with other jobs"));
}

TEST_F(ExplanationTest, ARestAfterAFaultNamesTheFault) {
  AddTask("1");
  const std::string session = Open("w");
  const auto leased = table_.LeaseTasks(session, 1, kStart);
  v1::Completion completion;
  completion.set_token(leased->leases(0).token());
  completion.set_task_id("1");
  v1::Fault fault;
  fault.set_kind(v1::Fault::CRASH);
  fault.set_message("the engine died");
  ASSERT_TRUE(table_.Complete(session, completion, "", &fault, kStart).ok());
  EXPECT_THAT(Told(), HasSubstr("worker w: CRASH: the engine died"));
  EXPECT_EQ(told_.resting_tasks(), 1);
}

TEST_F(ExplanationTest, EndedAndPausedJobsSayHowToGoOn) {
  job_.set_error("the disk is full");
  job_.set_state(v1::Job::PAUSED);
  EXPECT_THAT(Told(), HasSubstr("paused: the disk is full. `evopress jobs "
                                "resume jobs/a`"));
  job_.set_state(v1::Job::FAILED);
  EXPECT_THAT(Told(), HasSubstr("failed: the disk is full"));
  job_.set_state(v1::Job::SUCCEEDED);
  EXPECT_EQ(Told(), "it has ended and has a winner\n");
}

}  // namespace
}  // namespace evopress::server
