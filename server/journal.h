// The journal-store seam: everything that must survive a crash, and nothing
// else. Records are plain values; the caller serializes messages into them.
// Implementations: SQLite (server/sqlite_journal.h) and PostgreSQL
// (server/postgres_journal.h).
#ifndef EVOPRESS_SERVER_JOURNAL_H_
#define EVOPRESS_SERVER_JOURNAL_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "search/strategy.h"

namespace evopress::server {

struct JobRecord {
  std::string id;
  std::string request_id;  // unique if not empty
  std::string spec;        // v1::JobSpec
  int state = 0;           // v1::Job::State, never PAUSED
  bool paused = false;
  std::string numeric_class;
  std::string error;
  std::string level_table_sha256;
  std::string history_hash;  // after the rounds told so far
  // v1::Job with only what the other fields do not say: what came out of the
  // search so far, and what it took.
  std::string results;
  int64_t rounds = 0;
  int64_t evaluated_tokens = 0;
  int64_t create_time_ns = 0;  // since the Unix epoch
  int64_t end_time_ns = 0;     // 0: not ended
};

struct RoundRow {
  std::string job;
  int64_t index = 0;
  std::string round;         // v1::RoundRecord without sums
  std::string known;         // one byte per pair: '1' if known beforehand
  std::string results;       // v1::EvaluateResult; empty while pending
  std::string history_hash;  // after this round; empty while pending
};

struct MeasurementRecord {
  std::string key;  // see server/measurement_plan.h
  search::SampleSums sums;
  std::string worker = {};  // that alone vouches for it; "" once two agree
};

struct BuildRecord {
  std::string key;          // see server/level_build.h
  std::string result;       // v1::LevelTable::Blob
  std::string worker = {};  // as of a measurement
};

struct LocalFileRecord {
  std::string sha256;
  std::string path;  // absolute
  int64_t size = 0;
  int64_t mtime_ns = 0;
};

// What one transaction writes: either all of it is durable, or nothing.
struct JournalBatch {
  std::vector<std::string> forget_measurements;  // keys, before all else
  std::vector<std::string> forget_builds;        // keys, before all else
  // Workers that were proved wrong: what they alone vouch for is forgotten
  // (before all else), and they stay known.
  std::vector<std::string> quarantined;
  std::vector<std::string> delete_rounds;       // jobs, before all else
  std::vector<std::string> delete_jobs;         // with their rounds
  std::vector<JobRecord> jobs;                  // inserted or replaced
  std::vector<RoundRow> rounds;                 // inserted or replaced
  std::vector<MeasurementRecord> measurements;  // kept if already there
  std::vector<BuildRecord> builds;              // replaced
  // What a second worker vouches for, too, after all else: measurements with
  // these sums, builds of these keys.
  std::vector<MeasurementRecord> confirm_measurements;
  std::vector<std::string> confirm_builds;
  std::vector<LocalFileRecord> local_files;  // replaced

  bool empty() const {
    return forget_measurements.empty() && forget_builds.empty() &&
           quarantined.empty() && delete_rounds.empty() &&
           delete_jobs.empty() && jobs.empty() && rounds.empty() &&
           measurements.empty() && builds.empty() &&
           confirm_measurements.empty() && confirm_builds.empty() &&
           local_files.empty();
  }
};

// A copy of a journal in the making. Must end before the journal does.
class JournalCopy {
 public:
  virtual ~JournalCopy() = default;
  // A part of it; between two the journal may be used. True once the copy is
  // whole: then it is durable and as of this moment.
  virtual absl::StatusOr<bool> Step() = 0;
};

// Errors: ResourceExhausted if the disk is full (the transaction is undone,
// the journal stays valid), DataLoss if the store is damaged, Unavailable if
// it cannot be reached. Thread-compatible: one user at a time.
class Journal {
 public:
  virtual ~Journal() = default;

  // True once another process writes here: whatever this one still hears or
  // decides does not count.
  virtual bool Lost() const { return false; }

  // AlreadyExists if another job has the request id.
  virtual absl::Status Commit(const JournalBatch& batch) = 0;

  virtual absl::StatusOr<std::vector<JobRecord>>
  LoadJobs() = 0;  // oldest first
  // Rounds with index >= first, in order, at most `limit` of them.
  virtual absl::StatusOr<std::vector<RoundRow>> LoadRounds(
      const std::string& job, int64_t first, int64_t limit) = 0;
  virtual absl::StatusOr<std::optional<search::SampleSums>> FindMeasurement(
      const std::string& key) = 0;
  // MeasurementRecord::worker; "" too if there is no such measurement.
  virtual absl::StatusOr<std::string> FindWorker(const std::string& key) = 0;
  virtual absl::StatusOr<std::vector<std::string>> LoadQuarantined() = 0;
  virtual absl::StatusOr<std::optional<std::string>> FindBuild(
      const std::string& key) = 0;
  virtual absl::StatusOr<std::vector<LocalFileRecord>> LoadLocalFiles() = 0;

  // Copies the journal to a new file, which can stand in its place.
  // Unimplemented where the store has its own tools.
  virtual absl::StatusOr<std::unique_ptr<JournalCopy>> CopyTo(
      const std::string& path) = 0;
};

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_JOURNAL_H_
