#include "tests/fault/simulation.h"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <set>
#include <string>

#include "absl/strings/str_join.h"

namespace evopress::fault {
namespace {

class SimulationTest : public testing::Test {
 protected:
  void SetUp() override { spdlog::set_level(spdlog::level::off); }
};

// More of them: fault_simulate --seeds 10000.
TEST_F(SimulationTest,
       WhateverHappensTheOutcomeIsThatOfOneWorkerWithoutFaults) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const Verdict verdict = Simulate(seed);
    if (verdict.violation.empty()) continue;
    const std::string trace =
        absl::StrJoin(Simulate(seed, /*keep_trace=*/true).trace, "\n");
    FAIL() << "seed " << seed << ": " << verdict.violation
           << "\nfaults: " << verdict.faults << "\n"
           << trace.substr(trace.size() - std::min<size_t>(trace.size(), 8000));
  }
}

TEST_F(SimulationTest, EqualSeedsGiveEqualTraces) {
  for (uint64_t seed = 1000; seed < 1010; ++seed) {
    const Verdict first = Simulate(seed, /*keep_trace=*/true);
    const Verdict second = Simulate(seed, /*keep_trace=*/true);
    EXPECT_FALSE(first.trace.empty());
    EXPECT_EQ(first.trace, second.trace) << "seed " << seed;
  }
}

// A simulator that throws nothing at the service would prove nothing.
TEST_F(SimulationTest, EveryKindOfFaultIsThrownAtTheService) {
  const char* kMarks[] = {
      "dies before write", "dies after write",     "killed by force",
      "the disk is full",  "clock jumps",          "is cut off",
      "is lost",           "out of memory",        "the evaluator died",
      "told to leave",     "worker-0: killed",     "worker-0: stopped for",
      "called off",        "coordinator: stopped", "is DUPLICATE",
      "is STALE",          "client: pauses",       "is cancelled",
  };
  std::set<std::string> unseen(std::begin(kMarks), std::end(kMarks));
  for (uint64_t seed = 2000; seed < 2300 && !unseen.empty(); ++seed) {
    for (const std::string& line : Simulate(seed, /*keep_trace=*/true).trace) {
      std::erase_if(unseen, [&](const std::string& mark) {
        return line.find(mark) != std::string::npos;
      });
    }
  }
  EXPECT_TRUE(unseen.empty()) << absl::StrJoin(unseen, ", ");
}

}  // namespace
}  // namespace evopress::fault
