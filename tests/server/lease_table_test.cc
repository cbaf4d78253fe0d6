#include "server/lease_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "absl/strings/str_cat.h"

namespace evopress::server {
namespace {

using Action = CompletionOutcome::Action;
using v1::CompleteTasksResponse;

const absl::Time kStart = absl::FromUnixSeconds(1'000'000);
const absl::Duration kBeat = absl::Seconds(5);

// As the coordinator makes them: an epoch that makes tokens long enough to lie
// on the heap.
LeaseTableOptions Options() {
  LeaseTableOptions options;
  options.epoch = "1795522596757393212";
  return options;
}

v1::Task MakeTask(int number, const std::string& job = "job",
                  const std::string& numeric_class = "c") {
  v1::Task task;
  task.set_id(absl::StrCat(job, "/", number));
  task.set_job(job);
  task.set_numeric_class(numeric_class);
  task.mutable_evaluate()->add_assignments("ab");
  task.mutable_evaluate()->add_sequences(number);
  return task;
}

std::string Open(LeaseTable& table, const std::string& worker, absl::Time now,
                 const std::string& numeric_class = "c") {
  v1::OpenSessionRequest request;
  request.set_worker_id(worker);
  request.set_numeric_class(numeric_class);
  const auto session = table.OpenSession(request, now);
  EXPECT_TRUE(session.ok()) << session.status();
  return session.ok() ? *session : "";
}

v1::Completion Done(const std::string& token, const std::string& task) {
  v1::Completion completion;
  completion.set_token(token);
  completion.set_task_id(task);
  return completion;
}

CompletionOutcome Complete(LeaseTable& table, const std::string& session,
                           const v1::Lease& lease, const std::string& value,
                           absl::Time now = kStart) {
  const auto outcome = table.Complete(
      session, Done(lease.token(), lease.task().id()), value, nullptr, now);
  EXPECT_TRUE(outcome.ok()) << outcome.status();
  return outcome.ok() ? *outcome : CompletionOutcome();
}

CompletionOutcome Fail(LeaseTable& table, const std::string& session,
                       const v1::Lease& lease, v1::Fault::Kind kind,
                       absl::Time now = kStart) {
  v1::Fault fault;
  fault.set_kind(kind);
  fault.set_message("because");
  const auto outcome = table.Complete(
      session, Done(lease.token(), lease.task().id()), "", &fault, now);
  EXPECT_TRUE(outcome.ok()) << outcome.status();
  return outcome.ok() ? *outcome : CompletionOutcome();
}

TEST(LeaseTable, AskingAgainReturnsTheSameLeases) {
  LeaseTable table{Options()};
  ASSERT_TRUE(table.AddTask(MakeTask(1)).ok());
  ASSERT_TRUE(table.AddTask(MakeTask(2)).ok());
  ASSERT_TRUE(table.AddTask(MakeTask(2)).ok());
  const std::string session = Open(table, "w", kStart);
  const auto first = table.LeaseTasks(session, 1, kStart);
  const auto again = table.LeaseTasks(session, 1, kStart);
  ASSERT_EQ(first->leases_size(), 1);
  ASSERT_EQ(again->leases_size(), 1);
  EXPECT_EQ(first->leases(0).token(), again->leases(0).token());
  EXPECT_EQ(first->leases(0).attempt(), 1);
  EXPECT_EQ(first->leases(0).time_to_live().seconds(), 15);
  EXPECT_EQ(table.LeaseTasks(session, 5, kStart)->leases_size(), 2);
}

TEST(LeaseTable, HigherPrioritiesGoFirstAndEqualOnesTakeTurns) {
  LeaseTable table{Options()};
  for (const char* job : {"a", "b", "low", "urgent"}) {
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(table.AddTask(MakeTask(i, job)).ok());
    }
  }
  table.SetPriority("low", -1);
  table.SetPriority("urgent", 5);
  const std::string session = Open(table, "w", kStart);
  std::vector<std::string> order;
  for (int held = 1; held <= 8; ++held) {
    const auto leased = table.LeaseTasks(session, held, kStart);
    for (const v1::Lease& lease : leased->leases()) {
      const std::string id = lease.task().id();
      if (std::find(order.begin(), order.end(), id) == order.end()) {
        order.push_back(id);
      }
    }
  }
  const std::vector<std::string> wanted = {
      "urgent/0", "urgent/1", "a/0", "b/0", "a/1", "b/1", "low/0", "low/1"};
  EXPECT_EQ(order, wanted);
}

TEST(LeaseTable, SilentWorkersLoseTheirLeasesAndNothingIsBurned) {
  LeaseTable table{Options()};
  ASSERT_TRUE(table.AddTask(MakeTask(1)).ok());
  absl::Time now = kStart;
  for (int loss = 0; loss < 20; ++loss) {
    const std::string session = Open(table, absl::StrCat("w", loss), now);
    ASSERT_EQ(table.LeaseTasks(session, 1, now)->leases_size(), 1);
    EXPECT_FALSE(table.Expire(now + kBeat * 2));
    now += kBeat * 3;
    EXPECT_TRUE(table.Expire(now));
  }
  EXPECT_EQ(table.ListWorkers()[0].state(), v1::Worker::LOST);
}

TEST(LeaseTable, HeartbeatsKeepLeases) {
  LeaseTable table{Options()};
  ASSERT_TRUE(table.AddTask(MakeTask(1)).ok());
  const std::string session = Open(table, "w", kStart);
  ASSERT_EQ(table.LeaseTasks(session, 1, kStart)->leases_size(), 1);
  v1::HeartbeatRequest beat;
  beat.set_session(session);
  for (int i = 1; i < 20; ++i) {
    ASSERT_TRUE(table.Heartbeat(beat, kStart + i * kBeat).ok());
    EXPECT_FALSE(table.Expire(kStart + i * kBeat + kBeat / 2));
  }
}

TEST(LeaseTable, ANewerSessionTakesOverAtOnce) {
  LeaseTable table{Options()};
  ASSERT_TRUE(table.AddTask(MakeTask(1)).ok());
  const std::string old_session = Open(table, "w", kStart);
  ASSERT_EQ(table.LeaseTasks(old_session, 1, kStart)->leases_size(), 1);
  const std::string session = Open(table, "w", kStart);
  EXPECT_TRUE(
      absl::IsAborted(table.LeaseTasks(old_session, 1, kStart).status()));
  const auto leased = table.LeaseTasks(session, 1, kStart);
  ASSERT_EQ(leased->leases_size(), 1);
  EXPECT_EQ(leased->leases(0).attempt(), 2);
}

TEST(LeaseTable, ALateResultOfAnOpenTaskIsTakenAndTheOtherHolderCalledOff) {
  LeaseTable table{Options()};
  ASSERT_TRUE(table.AddTask(MakeTask(1)).ok());
  const std::string slow = Open(table, "slow", kStart);
  const v1::Lease late = table.LeaseTasks(slow, 1, kStart)->leases(0);
  const absl::Time now = kStart + kBeat * 3;
  table.Expire(now);
  const std::string fast = Open(table, "fast", now);
  const v1::Lease lease = table.LeaseTasks(fast, 1, now)->leases(0);
  EXPECT_EQ(Complete(table, slow, late, "v", now).action, Action::kAccept);
  v1::HeartbeatRequest beat;
  beat.set_session(fast);
  const auto answer = table.Heartbeat(beat, now);
  ASSERT_EQ(answer->cancelled_tokens_size(), 1);
  EXPECT_EQ(answer->cancelled_tokens(0), lease.token());
  EXPECT_EQ(Complete(table, fast, lease, "v", now).verdict,
            CompleteTasksResponse::DUPLICATE);
}

TEST(LeaseTable, WorkersOfAnotherClassGetNothingAndAreRefused) {
  LeaseTable table{Options()};
  ASSERT_TRUE(table.AddTask(MakeTask(1)).ok());
  const std::string session = Open(table, "w", kStart, "other");
  EXPECT_EQ(table.LeaseTasks(session, 1, kStart)->leases_size(), 0);
  v1::Lease forged;
  *forged.mutable_task() = MakeTask(1);
  EXPECT_EQ(Complete(table, session, forged, "v").verdict,
            CompleteTasksResponse::REJECTED);
}

TEST(LeaseTable, AFaultOnThreeWorkersIsFinal) {
  LeaseTable table{Options()};
  ASSERT_TRUE(table.AddTask(MakeTask(1)).ok());
  std::vector<std::string> sessions;
  for (const char* worker : {"a", "b", "c"}) {
    sessions.push_back(Open(table, worker, kStart));
  }
  for (int i = 0; i < 3; ++i) {
    const auto leased = table.LeaseTasks(sessions[i], 1, kStart);
    ASSERT_EQ(leased->leases_size(), 1);
    const CompletionOutcome outcome =
        Fail(table, sessions[i], leased->leases(0), v1::Fault::CRASH);
    EXPECT_EQ(outcome.action, i == 2 ? Action::kFail : Action::kNone);
    // Not again at once while others have not tried.
    EXPECT_EQ(table.LeaseTasks(sessions[i], 1, kStart)->leases_size(), 0);
  }
}

TEST(LeaseTable, TheOnlyWorkerTriesAgainAndWaitsForOthersBeforeItIsFinal) {
  LeaseTableOptions options = Options();
  options.fleet_patience = absl::Seconds(30);
  LeaseTable table(options);
  ASSERT_TRUE(table.AddTask(MakeTask(1)).ok());
  const std::string session = Open(table, "w", kStart);
  absl::Time now = kStart;
  for (int attempt = 1;; ++attempt) {
    ASSERT_LT(attempt, 100);
    auto leased = table.LeaseTasks(session, 1, now);
    while (leased->leases_size() == 0) {
      now += absl::Seconds(1);
      table.Expire(now);
      leased = table.LeaseTasks(session, 1, now);
    }
    if (Fail(table, session, leased->leases(0), v1::Fault::CRASH, now).action ==
        Action::kFail) {
      EXPECT_GE(attempt, 3);
      break;
    }
  }
  EXPECT_GE(now - kStart, options.fleet_patience);
  EXPECT_LE(now - kStart, 3 * options.fleet_patience);
}

TEST(LeaseTable, WhatOneWorkerCannotDoAnotherMayEvenIfItComesLate) {
  LeaseTable table{Options()};
  ASSERT_TRUE(table.AddTask(MakeTask(1)).ok());
  const std::string small = Open(table, "small", kStart);
  absl::Time now = kStart;
  for (int attempt = 0; attempt < 4; ++attempt) {
    auto leased = table.LeaseTasks(small, 1, now);
    ASSERT_EQ(leased->leases_size(), 1);
    EXPECT_EQ(
        Fail(table, small, leased->leases(0), v1::Fault::OUT_OF_MEMORY, now)
            .action,
        Action::kNone);
    now += absl::Seconds(10);
    table.Expire(now);
  }
  const std::string large = Open(table, "large", now);
  const auto leased = table.LeaseTasks(large, 1, now);
  ASSERT_EQ(leased->leases_size(), 1);
  EXPECT_EQ(Complete(table, large, leased->leases(0), "v", now).action,
            Action::kAccept);
}

TEST(LeaseTable, TransientFaultsHaveABudgetOfTheirOwn) {
  LeaseTable table{Options()};
  ASSERT_TRUE(table.AddTask(MakeTask(1)).ok());
  const std::string session = Open(table, "w", kStart);
  absl::Time now = kStart;
  for (int attempt = 1; attempt <= LeaseTableOptions().max_transient_faults;
       ++attempt) {
    const auto leased = table.LeaseTasks(session, 1, now);
    ASSERT_EQ(leased->leases_size(), 1);
    EXPECT_EQ(Fail(table, session, leased->leases(0), v1::Fault::TRANSIENT, now)
                  .action,
              attempt == LeaseTableOptions().max_transient_faults
                  ? Action::kFail
                  : Action::kNone);
    now += absl::Minutes(1);
    table.Expire(now);
  }
}

TEST(LeaseTable, BadInputIsFinalAtOnceAndOutOfMemorySplits) {
  LeaseTable table{Options()};
  v1::Task big = MakeTask(1);
  big.mutable_evaluate()->add_sequences(9);
  ASSERT_TRUE(table.AddTask(big).ok());
  ASSERT_TRUE(table.AddTask(MakeTask(2)).ok());
  const std::string session = Open(table, "w", kStart);
  const auto leased = table.LeaseTasks(session, 2, kStart);
  for (const v1::Lease& lease : leased->leases()) {
    const bool is_big = lease.task().id() == big.id();
    EXPECT_EQ(Fail(table, session, lease,
                   is_big ? v1::Fault::OUT_OF_MEMORY : v1::Fault::BAD_INPUT)
                  .action,
              is_big ? Action::kSplit : Action::kFail);
  }
}

TEST(LeaseTable, AThirdWorkerDecidesADispute) {
  for (const bool first_lies : {false, true}) {
    SCOPED_TRACE(first_lies);
    LeaseTable table{Options()};
    ASSERT_TRUE(table.AddTask(MakeTask(1)).ok());
    const std::string a = Open(table, "a", kStart);
    const std::string b = Open(table, "b", kStart);
    const std::string c = Open(table, "c", kStart);
    const v1::Lease lease = table.LeaseTasks(a, 1, kStart)->leases(0);
    EXPECT_EQ(Complete(table, a, lease, first_lies ? "lie" : "truth").action,
              Action::kAccept);
    EXPECT_EQ(Complete(table, b, lease, first_lies ? "truth" : "lie").action,
              Action::kDispute);
    // Neither of the two may decide.
    EXPECT_EQ(table.LeaseTasks(a, 1, kStart)->leases_size(), 0);
    EXPECT_EQ(table.LeaseTasks(b, 1, kStart)->leases_size(), 0);
    const auto leased = table.LeaseTasks(c, 1, kStart);
    ASSERT_EQ(leased->leases_size(), 1);
    EXPECT_EQ(Complete(table, c, leased->leases(0), "truth").action,
              first_lies ? Action::kReplace : Action::kConfirm);
    for (const v1::Worker& worker : table.ListWorkers()) {
      EXPECT_EQ(worker.state() == v1::Worker::QUARANTINED,
                worker.worker_id() == (first_lies ? "a" : "b"));
    }
  }
}

TEST(LeaseTable, OfTwoWorkersTheOneThatContradictsItselfIsTheLiar) {
  LeaseTable table{Options()};
  ASSERT_TRUE(table.AddTask(MakeTask(1)).ok());
  const std::string a = Open(table, "a", kStart);
  const std::string b = Open(table, "b", kStart);
  const v1::Lease lease = table.LeaseTasks(a, 1, kStart)->leases(0);
  EXPECT_EQ(Complete(table, a, lease, "truth").action, Action::kAccept);
  EXPECT_EQ(Complete(table, b, lease, "lie").action, Action::kDispute);
  auto again = table.LeaseTasks(a, 1, kStart);
  ASSERT_EQ(again->leases_size(), 1);
  EXPECT_EQ(Complete(table, a, again->leases(0), "truth").action,
            Action::kNone);
  // After a rest.
  EXPECT_EQ(table.LeaseTasks(b, 1, kStart)->leases_size(), 0);
  EXPECT_TRUE(table.Expire(kStart + absl::Seconds(2)));
  again = table.LeaseTasks(b, 1, kStart);
  ASSERT_EQ(again->leases_size(), 1);
  EXPECT_EQ(Complete(table, b, again->leases(0), "another lie").liars,
            std::vector<std::string>{"b"});
  again = table.LeaseTasks(a, 1, kStart);
  ASSERT_EQ(again->leases_size(), 1);
  EXPECT_EQ(Complete(table, a, again->leases(0), "truth").action,
            Action::kConfirm);
}

TEST(LeaseTable, AnAuditComesAfterAllOtherWork) {
  LeaseTable table{Options()};
  ASSERT_TRUE(table.AddTask(MakeTask(1)).ok());
  ASSERT_TRUE(table.AddTask(MakeTask(2)).ok());
  const std::string a = Open(table, "a", kStart);
  const std::string b = Open(table, "b", kStart);
  v1::Lease lease = table.LeaseTasks(a, 1, kStart)->leases(0);
  const std::string audited = lease.task().id();
  const CompletionOutcome first = Complete(table, a, lease, "v");
  EXPECT_TRUE(first.audit_due);  // a worker's first result
  EXPECT_TRUE(table.RequestAudit(audited));
  lease = table.LeaseTasks(b, 1, kStart)->leases(0);
  EXPECT_NE(lease.task().id(), audited);
  EXPECT_EQ(Complete(table, b, lease, "v").action, Action::kAccept);
  EXPECT_EQ(table.LeaseTasks(a, 1, kStart)->leases_size(), 0);  // its own
  lease = table.LeaseTasks(b, 1, kStart)->leases(0);
  EXPECT_EQ(lease.task().id(), audited);
  EXPECT_EQ(Complete(table, b, lease, "v").action, Action::kAudited);
  EXPECT_FALSE(table.RequestAudit(audited));
}

TEST(LeaseTable, AnAuditEndsWithoutAVerdictIfNobodyElseIsThere) {
  LeaseTable table{Options()};
  ASSERT_TRUE(table.AddTask(MakeTask(1)).ok());
  const std::string a = Open(table, "a", kStart);
  const v1::Lease lease = table.LeaseTasks(a, 1, kStart)->leases(0);
  Complete(table, a, lease, "v");
  ASSERT_TRUE(table.RequestAudit(lease.task().id()));
  const std::string job = lease.task().job();
  // Others may not be back yet since the table was made.
  table.Expire(kStart);
  EXPECT_TRUE(table.TakeHopelessAudits(job, /*fleet=*/true, kStart).empty());
  const std::string b = Open(table, "b", kStart);
  EXPECT_TRUE(table.TakeHopelessAudits(job, /*fleet=*/false, kStart).empty());
  ASSERT_TRUE(table.CloseSession(b, kStart).ok());
  EXPECT_EQ(table.TakeHopelessAudits(job, /*fleet=*/false, kStart),
            std::vector<std::string>{lease.task().id()});
}

TEST(LeaseTable, DrainingWorkersFinishButLeaseNoMore) {
  LeaseTable table{Options()};
  ASSERT_TRUE(table.AddTask(MakeTask(1)).ok());
  ASSERT_TRUE(table.AddTask(MakeTask(2)).ok());
  const std::string session = Open(table, "w", kStart);
  const v1::Lease lease = table.LeaseTasks(session, 1, kStart)->leases(0);
  ASSERT_TRUE(table.DrainWorker("w").ok());
  const auto asked = table.LeaseTasks(session, 2, kStart);
  EXPECT_TRUE(asked->drain());
  EXPECT_EQ(asked->leases_size(), 1);
  EXPECT_EQ(Complete(table, session, lease, "v").action, Action::kAccept);
  EXPECT_TRUE(absl::IsNotFound(table.DrainWorker("nobody")));
}

TEST(LeaseTable, JobsTakeTurns) {
  LeaseTable table{Options()};
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(table.AddTask(MakeTask(i, "a")).ok());
    ASSERT_TRUE(table.AddTask(MakeTask(i, "b")).ok());
  }
  const std::string session = Open(table, "w", kStart);
  std::string order;
  for (int i = 0; i < 6; ++i) {
    const v1::Lease lease = table.LeaseTasks(session, 1, kStart)->leases(0);
    order += lease.task().job();
    Complete(table, session, lease, "v");
  }
  EXPECT_EQ(order, "ababab");
}

TEST(LeaseTable, TheQueueIsBounded) {
  LeaseTableOptions options;
  options.max_tasks = 2;
  LeaseTable table(options);
  EXPECT_TRUE(table.AddTask(MakeTask(1)).ok());
  EXPECT_TRUE(table.AddTask(MakeTask(2)).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(table.AddTask(MakeTask(3))));
}

TEST(LeaseTable, NoTaskIsLostOrDoneTwiceUnderRandomFaults) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    LeaseTable table{Options()};
    constexpr int kTasks = 30;
    for (int i = 0; i < kTasks; ++i) {
      ASSERT_TRUE(table.AddTask(MakeTask(i, i % 2 ? "a" : "b")).ok());
    }
    absl::Time now = kStart;
    std::map<std::string, std::string> sessions;  // worker -> session
    std::vector<v1::Lease> held;                  // by anybody, also lost ones
    std::map<std::string, int> accepted;
    int steps = 0;
    while (table.open_tasks() > 0) {
      ASSERT_LT(++steps, 100'000);
      now += absl::Milliseconds(500);
      table.Expire(now);
      const std::string worker = absl::StrCat("w", random() % 4);
      std::string& session = sessions[worker];
      switch (random() % 6) {
        case 0:
          session = Open(table, worker, now);
          break;
        case 1:  // vanishes for a while
          now += kBeat * 4;
          break;
        case 2:
        case 3: {
          const auto leased = table.LeaseTasks(session, 1 + random() % 3, now);
          if (!leased.ok()) break;
          for (const v1::Lease& lease : leased->leases()) held.push_back(lease);
          break;
        }
        default: {
          if (held.empty()) break;
          const v1::Lease lease = held[random() % held.size()];
          const auto outcome =
              table.Complete(session, Done(lease.token(), lease.task().id()),
                             "same", nullptr, now);
          if (!outcome.ok()) break;
          if (outcome->action == Action::kAccept) ++accepted[lease.task().id()];
          EXPECT_NE(outcome->verdict, CompleteTasksResponse::CONFLICT);
        }
      }
    }
    EXPECT_EQ(accepted.size(), kTasks);
    for (const auto& [id, times] : accepted) EXPECT_EQ(times, 1) << id;
  }
}

}  // namespace
}  // namespace evopress::server
