// A whole service under faults, in one thread and on a clock of its own: the
// real scheduler, lease table, job runner and worker session; the network, the
// disk and the evaluators are simulated. A seed says everything.
//
// The oracle is the same job on one worker without faults. Whatever happens:
//  1. every job ends with the oracle's winner, history hash and report;
//  2. no task's result is accepted twice;
//  3. every acknowledged job is there, once, and every acknowledged
//     cancellation holds;
//  4. after the faults are over everything ends in bounded time.
#ifndef EVOPRESS_TESTS_FAULT_SIMULATION_H_
#define EVOPRESS_TESTS_FAULT_SIMULATION_H_

#include <cstdint>
#include <string>
#include <vector>

namespace evopress::fault {

struct Verdict {
  std::string violation;  // empty: all promises hold
  std::vector<std::string> trace;
  std::string faults;  // what was thrown at it
  int64_t events = 0;
  int64_t commits = 0;
  int lives = 0;  // of the coordinator
  double simulated_seconds = 0;
};

// Deterministic: equal seeds give equal verdicts.
Verdict Simulate(uint64_t seed, bool keep_trace = false);

}  // namespace evopress::fault

#endif  // EVOPRESS_TESTS_FAULT_SIMULATION_H_
