// The simulator by hand:
//   fault_simulate --seeds 10000              verdicts and seeds a minute
//   fault_simulate --first 17 --seeds 1 --trace
// A seed that fails ends the run with its trace, unless --keep-going.
#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/fault/simulation.h"

int main(int argc, char** argv) {
  uint64_t first = 0;
  uint64_t seeds = 1000;
  bool trace = false;
  bool keep_going = false;
  bool expect_violation = false;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (flag == "--first") {
      first = std::strtoull(value, nullptr, 10);
      ++i;
    } else if (flag == "--seeds") {
      seeds = std::strtoull(value, nullptr, 10);
      ++i;
    } else if (flag == "--trace") {
      trace = true;
    } else if (flag == "--keep-going") {
      keep_going = true;
    } else if (flag == "--expect-violation") {
      expect_violation = true;
    } else {
      std::fprintf(stderr,
                   "usage: %s [--first N] [--seeds N] [--trace] "
                   "[--keep-going] [--expect-violation]\n",
                   argv[0]);
      return 2;
    }
  }
  spdlog::set_level(trace ? spdlog::level::warn : spdlog::level::off);
  const auto begin = std::chrono::steady_clock::now();
  uint64_t failed = 0;
  uint64_t done = 0;
  double simulated = 0;
  int64_t commits = 0;
  int64_t lives = 0;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    evopress::fault::Verdict verdict = evopress::fault::Simulate(seed, trace);
    ++done;
    simulated += verdict.simulated_seconds;
    commits += verdict.commits;
    lives += verdict.lives;
    const bool bad = !verdict.violation.empty();
    if (bad && !trace && !keep_going && !expect_violation) {
      verdict = evopress::fault::Simulate(seed, /*keep_trace=*/true);
    }
    for (const std::string& line : verdict.trace) std::puts(line.c_str());
    if (bad || trace) {
      std::printf("seed %llu: %s (faults: %s)\n",
                  static_cast<unsigned long long>(seed),
                  bad ? verdict.violation.c_str() : "all promises hold",
                  verdict.faults.c_str());
      std::fflush(stdout);
    }
    failed += bad;
    if (bad && !keep_going) break;
  }
  const double minutes =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
          .count() /
      60;
  std::printf(
      "%llu seeds, %llu failed; %.0f seeds a minute; %.0f simulated hours, "
      "%lld commits, %lld lives of the coordinator\n",
      static_cast<unsigned long long>(done),
      static_cast<unsigned long long>(failed), done / minutes, simulated / 3600,
      static_cast<long long>(commits), static_cast<long long>(lives));
  return (failed > 0) == expect_violation ? 0 : 1;
}
