#include "worker/available_cores.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace evopress::worker {
namespace {

// The first line of a file, empty if it cannot be read.
std::string FirstLine(const std::string& path) {
  std::string line;
  std::ifstream in(path);
  std::getline(in, line);
  return line;
}

// quota / period, 0 if unlimited or not numbers.
double Cores(const std::string& quota, const std::string& period) {
  double q = 0;
  double p = 0;
  if (!absl::SimpleAtod(quota, &q) || !absl::SimpleAtod(period, &p)) return 0;
  return q > 0 && p > 0 ? q / p : 0;
}

// Version 2 has both numbers in one file, version 1 a file for each.
double QuotaOf(const std::string& group) {
  const std::vector<std::string> both =
      absl::StrSplit(FirstLine(group + "/cpu.max"), ' ');
  if (both.size() == 2) return Cores(both[0], both[1]);
  return Cores(FirstLine(group + "/cpu.cfs_quota_us"),
               FirstLine(group + "/cpu.cfs_period_us"));
}

}  // namespace

double CgroupCores(const std::string& membership, const std::string& mount) {
  double tightest = 0;
  const auto limit = [&](const std::string& group) {
    const double cores = QuotaOf(group);
    if (cores > 0 && (tightest == 0 || cores < tightest)) tightest = cores;
  };
  std::ifstream in(membership);
  for (std::string line; std::getline(in, line);) {
    // "0::/a/b" in version 2, "4:cpu,cpuacct:/a/b" in version 1.
    const std::vector<std::string> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    const std::vector<std::string> controllers = absl::StrSplit(parts[1], ',');
    std::string root = mount;
    if (!parts[1].empty()) {
      if (std::find(controllers.begin(), controllers.end(), "cpu") ==
          controllers.end()) {
        continue;
      }
      absl::StrAppend(&root, "/", parts[1]);
    }
    std::string group = parts[2];
    while (!group.empty() && group != "/") {
      limit(root + group);
      group.resize(group.rfind('/') == std::string::npos ? 0
                                                         : group.rfind('/'));
    }
    limit(root);
  }
  return tightest;
}

int AvailableCores() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  int cores = sched_getaffinity(0, sizeof(mask), &mask) == 0
                  ? CPU_COUNT(&mask)
                  : static_cast<int>(std::thread::hardware_concurrency());
  const double quota = CgroupCores("/proc/self/cgroup", "/sys/fs/cgroup");
  if (quota > 0) cores = std::min(cores, static_cast<int>(std::ceil(quota)));
  return std::max(cores, 1);
}

}  // namespace evopress::worker
