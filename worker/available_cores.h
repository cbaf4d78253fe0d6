// worker/available_cores.h
// How many threads are worth starting: what the affinity mask allows, less
// what control groups take away. Containers and batch systems limit processes
// in the second way, which std::thread::hardware_concurrency does not see.
#ifndef EVOPRESS_WORKER_AVAILABLE_CORES_H_
#define EVOPRESS_WORKER_AVAILABLE_CORES_H_

#include <string>

namespace evopress::worker {

// At least 1; a quota of 2.5 cores counts as 3.
int AvailableCores();

// The tightest CPU quota, in cores, of the group named in `membership`
// (/proc/self/cgroup) and of all groups above it; 0 if there is none.
// `mount` is where the control groups are (/sys/fs/cgroup); both versions of
// control groups are understood. What cannot be read limits nothing.
double CgroupCores(const std::string& membership, const std::string& mount);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_AVAILABLE_CORES_H_
