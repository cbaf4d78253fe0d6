// A coordinator's disk in memory: the journal and the artifacts of a
// simulation. What is on it outlives the coordinator; writing to it may fail
// or be the last thing that a coordinator does.
#ifndef EVOPRESS_TESTS_FAULT_MEMORY_STORE_H_
#define EVOPRESS_TESTS_FAULT_MEMORY_STORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/artifact_set.h"
#include "server/journal.h"

namespace evopress::fault {

// Thrown through the coordinator when it is killed at a commit.
struct Killed {};

struct Disk {
  std::vector<server::JobRecord> jobs;  // oldest first
  std::map<std::pair<std::string, int64_t>, server::RoundRow> rounds;
  std::map<std::string, server::MeasurementRecord> measurements;
  std::map<std::string, server::BuildRecord> builds;
  std::set<std::string> quarantined;  // workers
  std::vector<server::LocalFileRecord> local_files;
  std::map<std::string, int64_t> artifacts;  // sha256 -> bytes

  // Counted for the oracle: keys that were written although they were there.
  int64_t repeated_measurements = 0;
  int64_t forgotten_measurements = 0;
};

// Both may throw Killed. An error of `before` is returned, nothing is written.
struct WriteHooks {
  std::function<absl::Status()> before = [] { return absl::OkStatus(); };
  std::function<void()> after = [] {};
};

// `disk` and `hooks` must outlive these.
std::unique_ptr<server::Journal> OpenMemoryJournal(Disk& disk,
                                                   const WriteHooks& hooks);

class MemoryArtifacts : public server::ArtifactSet {
 public:
  MemoryArtifacts(Disk& disk, const WriteHooks& hooks)
      : disk_(disk), hooks_(hooks) {}
  int64_t Size(const std::string& sha256) const override;
  absl::StatusOr<std::string> Put(absl::string_view bytes) override;
  void AddLocalFile(const server::LocalFileRecord& file) override;

 private:
  Disk& disk_;
  const WriteHooks& hooks_;
};

}  // namespace evopress::fault

#endif  // EVOPRESS_TESTS_FAULT_MEMORY_STORE_H_
