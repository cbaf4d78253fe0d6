#include "tests/fault/memory_store.h"

#include <algorithm>
#include <cstring>

#include "search/sha256.h"

namespace evopress::fault {
namespace {

using server::JobRecord;
using server::JournalBatch;
using server::RoundRow;

bool SameBits(const search::SampleSums& a, const search::SampleSums& b) {
  return std::memcmp(&a.kl, &b.kl, sizeof a.kl) == 0 &&
         std::memcmp(&a.topk_kl, &b.topk_kl, sizeof a.topk_kl) == 0 &&
         std::memcmp(&a.nll, &b.nll, sizeof a.nll) == 0;
}

class MemoryJournal : public server::Journal {
 public:
  MemoryJournal(Disk& disk, const WriteHooks& hooks)
      : disk_(disk), hooks_(hooks) {}

  absl::Status Commit(const JournalBatch& batch) override {
    if (batch.empty()) return absl::OkStatus();
    if (absl::Status status = hooks_.before(); !status.ok()) return status;
    for (const JobRecord& job : batch.jobs) {
      for (const JobRecord& other : disk_.jobs) {
        if (!job.request_id.empty() && job.request_id == other.request_id &&
            job.id != other.id) {
          return absl::AlreadyExistsError("request_id");
        }
      }
    }
    Write(batch);
    hooks_.after();
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<JobRecord>> LoadJobs() override {
    return disk_.jobs;
  }

  absl::StatusOr<std::vector<RoundRow>> LoadRounds(const std::string& job,
                                                   int64_t first,
                                                   int64_t limit) override {
    std::vector<RoundRow> rows;
    for (auto it = disk_.rounds.lower_bound({job, first});
         it != disk_.rounds.end() && it->first.first == job &&
         static_cast<int64_t>(rows.size()) < limit;
         ++it) {
      rows.push_back(it->second);
    }
    return rows;
  }

  absl::StatusOr<std::optional<search::SampleSums>> FindMeasurement(
      const std::string& key) override {
    const auto it = disk_.measurements.find(key);
    if (it == disk_.measurements.end()) return std::nullopt;
    return it->second.sums;
  }

  absl::StatusOr<std::string> FindWorker(const std::string& key) override {
    const auto it = disk_.measurements.find(key);
    return it == disk_.measurements.end() ? "" : it->second.worker;
  }

  absl::StatusOr<std::vector<std::string>> LoadQuarantined() override {
    return std::vector<std::string>(disk_.quarantined.begin(),
                                    disk_.quarantined.end());
  }

  absl::StatusOr<std::optional<std::string>> FindBuild(
      const std::string& key) override {
    const auto it = disk_.builds.find(key);
    if (it == disk_.builds.end()) return std::nullopt;
    return it->second.result;
  }

  absl::StatusOr<std::vector<server::LocalFileRecord>> LoadLocalFiles()
      override {
    return disk_.local_files;
  }

  absl::StatusOr<std::unique_ptr<server::JournalCopy>> CopyTo(
      const std::string&) override {
    return absl::UnimplementedError("the simulator's disk is not copied");
  }

 private:
  void Write(const JournalBatch& batch) {
    for (const std::string& key : batch.forget_measurements) {
      disk_.forgotten_measurements += disk_.measurements.erase(key);
    }
    for (const std::string& key : batch.forget_builds) disk_.builds.erase(key);
    for (const std::string& worker : batch.quarantined) {
      disk_.forgotten_measurements +=
          static_cast<int64_t>(std::erase_if(disk_.measurements, [&](auto& m) {
            return m.second.worker == worker;
          }));
      std::erase_if(disk_.builds,
                    [&](auto& b) { return b.second.worker == worker; });
      disk_.quarantined.insert(worker);
    }
    for (const auto* jobs : {&batch.delete_rounds, &batch.delete_jobs}) {
      for (const std::string& job : *jobs) {
        std::erase_if(disk_.rounds, [&](const auto& entry) {
          return entry.first.first == job;
        });
      }
    }
    for (const std::string& job : batch.delete_jobs) {
      std::erase_if(disk_.jobs,
                    [&](const JobRecord& record) { return record.id == job; });
    }
    for (const JobRecord& job : batch.jobs) {
      const auto it = std::find_if(
          disk_.jobs.begin(), disk_.jobs.end(),
          [&](const JobRecord& record) { return record.id == job.id; });
      if (it == disk_.jobs.end()) {
        disk_.jobs.push_back(job);
      } else {
        *it = job;
      }
    }
    for (const RoundRow& row : batch.rounds) {
      disk_.rounds[{row.job, row.index}] = row;
    }
    for (const server::MeasurementRecord& record : batch.measurements) {
      if (!disk_.measurements.emplace(record.key, record).second) {
        ++disk_.repeated_measurements;
      }
    }
    for (const server::BuildRecord& build : batch.builds) {
      disk_.builds[build.key] = build;
    }
    for (const server::MeasurementRecord& record : batch.confirm_measurements) {
      const auto it = disk_.measurements.find(record.key);
      if (it != disk_.measurements.end() &&
          SameBits(it->second.sums, record.sums)) {
        it->second.worker.clear();
      }
    }
    for (const std::string& key : batch.confirm_builds) {
      const auto it = disk_.builds.find(key);
      if (it != disk_.builds.end()) it->second.worker.clear();
    }
    for (const server::LocalFileRecord& file : batch.local_files) {
      std::erase_if(disk_.local_files,
                    [&](const auto& f) { return f.sha256 == file.sha256; });
      disk_.local_files.push_back(file);
    }
  }

  Disk& disk_;
  const WriteHooks& hooks_;
};

}  // namespace

std::unique_ptr<server::Journal> OpenMemoryJournal(Disk& disk,
                                                   const WriteHooks& hooks) {
  return std::make_unique<MemoryJournal>(disk, hooks);
}

int64_t MemoryArtifacts::Size(const std::string& sha256) const {
  const auto it = disk_.artifacts.find(sha256);
  return it == disk_.artifacts.end() ? -1 : it->second;
}

absl::StatusOr<std::string> MemoryArtifacts::Put(absl::string_view bytes) {
  const std::string sha256 = search::Sha256Hex(bytes);
  if (Has(sha256)) return sha256;
  if (absl::Status status = hooks_.before(); !status.ok()) return status;
  disk_.artifacts[sha256] = static_cast<int64_t>(bytes.size());
  hooks_.after();
  return sha256;
}

void MemoryArtifacts::AddLocalFile(const server::LocalFileRecord& file) {
  disk_.artifacts[file.sha256] = file.size;
}

}  // namespace evopress::fault
