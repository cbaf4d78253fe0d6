#include "server/sqlite_journal.h"

#include <sqlite3.h>

#include <cstring>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"

namespace evopress::server {
namespace {

constexpr int kSchemaVersion = 2;
constexpr int kApplicationId = 0x45766f50;  // "EvoP"

constexpr char kSchema[] = R"sql(
CREATE TABLE jobs (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  request_id TEXT UNIQUE,
  spec BLOB NOT NULL,
  state INTEGER NOT NULL,
  paused INTEGER NOT NULL,
  numeric_class TEXT NOT NULL,
  error TEXT NOT NULL,
  level_table_sha256 TEXT NOT NULL,
  history_hash TEXT NOT NULL,
  results BLOB NOT NULL,
  rounds INTEGER NOT NULL,
  evaluated_tokens INTEGER NOT NULL,
  create_time_ns INTEGER NOT NULL,
  end_time_ns INTEGER NOT NULL);
CREATE TABLE rounds (
  job TEXT NOT NULL,
  idx INTEGER NOT NULL,
  round BLOB NOT NULL,
  known BLOB NOT NULL,
  results BLOB NOT NULL,
  history_hash TEXT NOT NULL,
  PRIMARY KEY (job, idx)) WITHOUT ROWID;
CREATE TABLE measurements (
  key TEXT PRIMARY KEY,
  kl REAL,
  topk_kl REAL,
  nll REAL,
  bits BLOB NOT NULL,
  positions INTEGER NOT NULL,
  worker TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
CREATE TABLE builds (
  key TEXT PRIMARY KEY,
  result BLOB NOT NULL,
  worker TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
CREATE TABLE quarantined (worker TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE local_files (
  sha256 TEXT PRIMARY KEY,
  path TEXT NOT NULL,
  size INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL) WITHOUT ROWID;
)sql";

// What makes schema N+1 of schema N.
constexpr const char* kMigrations[] = {nullptr,
                                       R"sql(
ALTER TABLE measurements ADD COLUMN worker TEXT NOT NULL DEFAULT '';
ALTER TABLE builds ADD COLUMN worker TEXT NOT NULL DEFAULT '';
CREATE TABLE quarantined (worker TEXT PRIMARY KEY) WITHOUT ROWID;
)sql"};

// The exact bits of three doubles: SQLite turns NaN into NULL.
constexpr int kBitsBytes = 24;

std::string PackBits(const search::SampleSums& sums) {
  std::string bits(kBitsBytes, '\0');
  std::memcpy(&bits[0], &sums.kl, 8);
  std::memcpy(&bits[8], &sums.topk_kl, 8);
  std::memcpy(&bits[16], &sums.nll, 8);
  return bits;
}

class SqliteJournal : public Journal {
 public:
  explicit SqliteJournal(const std::string& path) : path_(path) {}

  ~SqliteJournal() override {
    for (const auto& [sql, statement] : statements_) {
      sqlite3_finalize(statement);
    }
    if (db_ != nullptr) sqlite3_close(db_);
  }

  absl::Status Open();
  absl::Status Commit(const JournalBatch& batch) override;
  absl::StatusOr<std::vector<JobRecord>> LoadJobs() override;
  absl::StatusOr<std::vector<RoundRow>> LoadRounds(const std::string& job,
                                                   int64_t first,
                                                   int64_t limit) override;
  absl::StatusOr<std::optional<search::SampleSums>> FindMeasurement(
      const std::string& key) override;
  absl::StatusOr<std::string> FindWorker(const std::string& key) override;
  absl::StatusOr<std::vector<std::string>> LoadQuarantined() override;
  absl::StatusOr<std::optional<std::string>> FindBuild(
      const std::string& key) override;
  absl::StatusOr<std::vector<LocalFileRecord>> LoadLocalFiles() override;
  absl::StatusOr<std::unique_ptr<JournalCopy>> CopyTo(
      const std::string& path) override;

 private:
  // A cached prepared statement with its parameters, reset when it goes away.
  class Query {
   public:
    explicit Query(sqlite3_stmt* statement) : statement_(statement) {}
    ~Query() {
      if (statement_ == nullptr) return;
      sqlite3_reset(statement_);
      sqlite3_clear_bindings(statement_);
    }
    Query(const Query&) = delete;
    Query& operator=(const Query&) = delete;

    Query& Text(const std::string& text) {
      sqlite3_bind_text(statement_, ++bound_, text.data(),
                        static_cast<int>(text.size()), SQLITE_TRANSIENT);
      return *this;
    }
    Query& TextOrNull(const std::string& text) {
      if (!text.empty()) return Text(text);
      ++bound_;  // stays NULL
      return *this;
    }
    Query& Blob(const std::string& bytes) {
      sqlite3_bind_blob64(statement_, ++bound_, bytes.data(), bytes.size(),
                          SQLITE_TRANSIENT);
      return *this;
    }
    Query& Int(int64_t value) {
      sqlite3_bind_int64(statement_, ++bound_, value);
      return *this;
    }
    Query& Real(double value) {
      sqlite3_bind_double(statement_, ++bound_, value);
      return *this;
    }

    int Step() {
      return statement_ == nullptr ? SQLITE_ERROR : sqlite3_step(statement_);
    }
    std::string Bytes(int column) const {
      // The bytes must be asked for before their number.
      const void* bytes = sqlite3_column_blob(statement_, column);
      const int size = sqlite3_column_bytes(statement_, column);
      if (bytes == nullptr) return "";
      return std::string(static_cast<const char*>(bytes),
                         static_cast<size_t>(size));
    }
    int64_t Integer(int column) const {
      return sqlite3_column_int64(statement_, column);
    }

   private:
    sqlite3_stmt* const statement_;
    int bound_ = 0;
  };

  Query Prepare(const std::string& sql) {
    sqlite3_stmt*& statement = statements_[sql];
    if (statement == nullptr) {
      sqlite3_prepare_v3(db_, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT,
                         &statement, nullptr);
    }
    return Query(statement);
  }

  absl::Status Error(const std::string& what) const {
    const int code = sqlite3_errcode(db_);
    const std::string text =
        absl::StrCat("journal ", path_, ": ", what, ": ", sqlite3_errmsg(db_));
    switch (code & 0xFF) {
      case SQLITE_FULL:
        return absl::ResourceExhaustedError(text);
      case SQLITE_IOERR:
        // A full disk also shows as a failed write of the write-ahead log.
        return absl::ResourceExhaustedError(text);
      case SQLITE_CORRUPT:
      case SQLITE_NOTADB:
        return absl::DataLossError(absl::StrCat(
            text, "; restore the file from a backup or move it away"));
      case SQLITE_CONSTRAINT:
        return absl::AlreadyExistsError(text);
      default:
        return absl::UnavailableError(text);
    }
  }

  absl::Status Execute(const std::string& sql) {
    if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) !=
        SQLITE_OK) {
      return Error(sql.substr(0, 40));
    }
    return absl::OkStatus();
  }

  absl::Status Run(Query& query, const char* what) {
    return query.Step() == SQLITE_DONE ? absl::OkStatus() : Error(what);
  }

  absl::StatusOr<int64_t> Pragma(const std::string& name) {
    Query query = Prepare(absl::StrCat("PRAGMA ", name));
    if (query.Step() != SQLITE_ROW) return Error(name);
    return query.Integer(0);
  }

  absl::Status Write(const JournalBatch& batch);
  absl::Status WriteJob(const JobRecord& job);

  const std::string path_;
  sqlite3* db_ = nullptr;
  std::map<std::string, sqlite3_stmt*> statements_;
};

absl::Status SqliteJournal::Open() {
  if (sqlite3_open_v2(
          path_.c_str(), &db_,
          SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
          nullptr) != SQLITE_OK) {
    return Error("cannot open");
  }
  sqlite3_extended_result_codes(db_, 1);
  for (const char* sql :
       {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL",
        "PRAGMA locking_mode=EXCLUSIVE", "PRAGMA trusted_schema=OFF"}) {
    absl::Status status = Execute(sql);
    if (!status.ok()) return status;
  }
  auto version = Pragma("user_version");
  if (!version.ok()) return version.status();
  auto application = Pragma("application_id");
  if (!application.ok()) return application.status();
  auto tables = Pragma("schema_version");
  if (!tables.ok()) return tables.status();
  if (*version == 0 && *application == 0 && *tables == 0) {
    return Execute(absl::StrCat(
        "BEGIN IMMEDIATE;", kSchema, "PRAGMA application_id=", kApplicationId,
        ";PRAGMA user_version=", kSchemaVersion, ";COMMIT"));
  }
  if (*application != kApplicationId) {
    return absl::DataLossError(
        absl::StrCat("journal ", path_, " is not an EvoPress journal"));
  }
  if (*version > kSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "journal ", path_, " has schema version ", *version,
        ", written by a newer program; this one reads up to version ",
        kSchemaVersion));
  }
  Query check = Prepare("PRAGMA quick_check(1)");
  if (check.Step() != SQLITE_ROW) return Error("cannot check the file");
  if (const std::string verdict = check.Bytes(0); verdict != "ok") {
    return absl::DataLossError(
        absl::StrCat("journal ", path_, " is damaged: ", verdict,
                     "; restore the file from a backup or move it away"));
  }
  for (int64_t from = *version; from < kSchemaVersion; ++from) {
    absl::Status status =
        Execute(absl::StrCat("BEGIN IMMEDIATE;", kMigrations[from],
                             "PRAGMA user_version=", from + 1, ";COMMIT"));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status SqliteJournal::Commit(const JournalBatch& batch) {
  if (batch.empty()) return absl::OkStatus();
  absl::Status status = Execute("BEGIN IMMEDIATE");
  if (!status.ok()) return status;
  status = Write(batch);
  if (status.ok()) status = Execute("COMMIT");
  // Some errors have rolled back already; then there is nothing to undo.
  if (!status.ok() && sqlite3_get_autocommit(db_) == 0) {
    Execute("ROLLBACK").IgnoreError();
  }
  return status;
}

absl::Status SqliteJournal::WriteJob(const JobRecord& job) {
  Query query = Prepare(
      "INSERT INTO jobs (id, request_id, spec, state, paused, numeric_class,"
      " error, level_table_sha256, history_hash, results, rounds,"
      " evaluated_tokens, create_time_ns, end_time_ns)"
      " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
      " ON CONFLICT (id) DO UPDATE SET state=excluded.state,"
      " paused=excluded.paused, numeric_class=excluded.numeric_class,"
      " error=excluded.error, level_table_sha256=excluded.level_table_sha256,"
      " history_hash=excluded.history_hash, results=excluded.results,"
      " rounds=excluded.rounds, evaluated_tokens=excluded.evaluated_tokens,"
      " end_time_ns=excluded.end_time_ns");
  query.Text(job.id)
      .TextOrNull(job.request_id)
      .Blob(job.spec)
      .Int(job.state)
      .Int(job.paused ? 1 : 0)
      .Text(job.numeric_class)
      .Text(job.error)
      .Text(job.level_table_sha256)
      .Text(job.history_hash)
      .Blob(job.results)
      .Int(job.rounds)
      .Int(job.evaluated_tokens)
      .Int(job.create_time_ns)
      .Int(job.end_time_ns);
  return Run(query, "cannot write a job");
}

absl::Status SqliteJournal::Write(const JournalBatch& batch) {
  absl::Status status;
  const auto run = [&](const char* sql, const std::vector<std::string>& keys) {
    for (const std::string& key : keys) {
      Query query = Prepare(sql);
      query.Text(key);
      status.Update(Run(query, "cannot write"));
    }
  };
  run("DELETE FROM measurements WHERE key=?", batch.forget_measurements);
  run("DELETE FROM builds WHERE key=?", batch.forget_builds);
  run("DELETE FROM measurements WHERE worker=? AND worker <> ''",
      batch.quarantined);
  run("DELETE FROM builds WHERE worker=? AND worker <> ''", batch.quarantined);
  run("INSERT OR IGNORE INTO quarantined VALUES (?)", batch.quarantined);
  run("DELETE FROM rounds WHERE job=?", batch.delete_rounds);
  run("DELETE FROM rounds WHERE job=?", batch.delete_jobs);
  run("DELETE FROM jobs WHERE id=?", batch.delete_jobs);
  for (const JobRecord& job : batch.jobs) status.Update(WriteJob(job));
  for (const RoundRow& round : batch.rounds) {
    Query query = Prepare("INSERT OR REPLACE INTO rounds VALUES (?,?,?,?,?,?)");
    query.Text(round.job)
        .Int(round.index)
        .Blob(round.round)
        .Blob(round.known)
        .Blob(round.results)
        .Text(round.history_hash);
    status.Update(Run(query, "cannot write a round"));
  }
  for (const MeasurementRecord& record : batch.measurements) {
    Query query =
        Prepare("INSERT OR IGNORE INTO measurements VALUES (?,?,?,?,?,?,?)");
    query.Text(record.key)
        .Real(record.sums.kl)
        .Real(record.sums.topk_kl)
        .Real(record.sums.nll)
        .Blob(PackBits(record.sums))
        .Int(record.sums.positions)
        .Text(record.worker);
    status.Update(Run(query, "cannot write a measurement"));
  }
  for (const BuildRecord& build : batch.builds) {
    Query query = Prepare("INSERT OR REPLACE INTO builds VALUES (?,?,?)");
    query.Text(build.key).Blob(build.result).Text(build.worker);
    status.Update(Run(query, "cannot write a build"));
  }
  for (const MeasurementRecord& record : batch.confirm_measurements) {
    Query query =
        Prepare("UPDATE measurements SET worker='' WHERE key=? AND bits=?");
    query.Text(record.key).Blob(PackBits(record.sums));
    status.Update(Run(query, "cannot confirm a measurement"));
  }
  run("UPDATE builds SET worker='' WHERE key=?", batch.confirm_builds);
  for (const LocalFileRecord& file : batch.local_files) {
    Query query =
        Prepare("INSERT OR REPLACE INTO local_files VALUES (?,?,?,?)");
    query.Text(file.sha256).Text(file.path).Int(file.size).Int(file.mtime_ns);
    status.Update(Run(query, "cannot write a local file"));
  }
  return status;
}

absl::StatusOr<std::vector<JobRecord>> SqliteJournal::LoadJobs() {
  std::vector<JobRecord> jobs;
  Query query = Prepare(
      "SELECT id, request_id, spec, state, paused, numeric_class, error,"
      " level_table_sha256, history_hash, results, rounds, evaluated_tokens,"
      " create_time_ns, end_time_ns FROM jobs ORDER BY seq");
  int code;
  while ((code = query.Step()) == SQLITE_ROW) {
    JobRecord& job = jobs.emplace_back();
    job.id = query.Bytes(0);
    job.request_id = query.Bytes(1);
    job.spec = query.Bytes(2);
    job.state = static_cast<int>(query.Integer(3));
    job.paused = query.Integer(4) != 0;
    job.numeric_class = query.Bytes(5);
    job.error = query.Bytes(6);
    job.level_table_sha256 = query.Bytes(7);
    job.history_hash = query.Bytes(8);
    job.results = query.Bytes(9);
    job.rounds = query.Integer(10);
    job.evaluated_tokens = query.Integer(11);
    job.create_time_ns = query.Integer(12);
    job.end_time_ns = query.Integer(13);
  }
  if (code != SQLITE_DONE) return Error("cannot read the jobs");
  return jobs;
}

absl::StatusOr<std::vector<RoundRow>> SqliteJournal::LoadRounds(
    const std::string& job, int64_t first, int64_t limit) {
  std::vector<RoundRow> rounds;
  Query query = Prepare(
      "SELECT idx, round, known, results, history_hash FROM rounds"
      " WHERE job=? AND idx>=? ORDER BY idx LIMIT ?");
  query.Text(job).Int(first).Int(limit);
  int code;
  while ((code = query.Step()) == SQLITE_ROW) {
    rounds.push_back({job, query.Integer(0), query.Bytes(1), query.Bytes(2),
                      query.Bytes(3), query.Bytes(4)});
  }
  if (code != SQLITE_DONE) return Error("cannot read rounds");
  return rounds;
}

absl::StatusOr<std::optional<search::SampleSums>>
SqliteJournal::FindMeasurement(const std::string& key) {
  Query query = Prepare("SELECT bits, positions FROM measurements WHERE key=?");
  query.Text(key);
  const int code = query.Step();
  if (code == SQLITE_DONE) return std::nullopt;
  if (code != SQLITE_ROW) return Error("cannot read a measurement");
  const std::string bits = query.Bytes(0);
  if (bits.size() != kBitsBytes) {
    return absl::DataLossError(
        absl::StrCat("journal ", path_, ": measurement ", key, " is damaged"));
  }
  search::SampleSums sums;
  std::memcpy(&sums.kl, &bits[0], 8);
  std::memcpy(&sums.topk_kl, &bits[8], 8);
  std::memcpy(&sums.nll, &bits[16], 8);
  sums.positions = query.Integer(1);
  return sums;
}

absl::StatusOr<std::string> SqliteJournal::FindWorker(const std::string& key) {
  Query query = Prepare("SELECT worker FROM measurements WHERE key=?");
  query.Text(key);
  const int code = query.Step();
  if (code == SQLITE_DONE) return std::string();
  if (code != SQLITE_ROW) return Error("cannot read a measurement");
  return query.Bytes(0);
}

absl::StatusOr<std::vector<std::string>> SqliteJournal::LoadQuarantined() {
  std::vector<std::string> workers;
  Query query = Prepare("SELECT worker FROM quarantined");
  int code;
  while ((code = query.Step()) == SQLITE_ROW) {
    workers.push_back(query.Bytes(0));
  }
  if (code != SQLITE_DONE) return Error("cannot read quarantined workers");
  return workers;
}

absl::StatusOr<std::optional<std::string>> SqliteJournal::FindBuild(
    const std::string& key) {
  Query query = Prepare("SELECT result FROM builds WHERE key=?");
  query.Text(key);
  const int code = query.Step();
  if (code == SQLITE_DONE) return std::nullopt;
  if (code != SQLITE_ROW) return Error("cannot read a build");
  return query.Bytes(0);
}

absl::StatusOr<std::vector<LocalFileRecord>> SqliteJournal::LoadLocalFiles() {
  std::vector<LocalFileRecord> files;
  Query query = Prepare("SELECT sha256, path, size, mtime_ns FROM local_files");
  int code;
  while ((code = query.Step()) == SQLITE_ROW) {
    files.push_back(
        {query.Bytes(0), query.Bytes(1), query.Integer(2), query.Integer(3)});
  }
  if (code != SQLITE_DONE) return Error("cannot read local files");
  return files;
}

// Over the journal's own connection: what it writes in between goes into the
// copy, too.
class SqliteCopy : public JournalCopy {
 public:
  explicit SqliteCopy(const std::string& path) : path_(path) {}
  ~SqliteCopy() override {
    if (backup_ != nullptr) sqlite3_backup_finish(backup_);
    if (copy_ != nullptr) sqlite3_close(copy_);
  }

  absl::Status Begin(sqlite3* journal) {
    if (sqlite3_open_v2(path_.c_str(), &copy_,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                        nullptr) != SQLITE_OK) {
      return Error();
    }
    backup_ = sqlite3_backup_init(copy_, "main", journal, "main");
    return backup_ == nullptr ? Error() : absl::OkStatus();
  }

  absl::StatusOr<bool> Step() override {
    constexpr int kPages = 1024;
    const int code = sqlite3_backup_step(backup_, kPages);
    if (code == SQLITE_OK) return false;
    if (code != SQLITE_DONE) return Error();
    if (sqlite3_backup_finish(std::exchange(backup_, nullptr)) != SQLITE_OK ||
        sqlite3_close(std::exchange(copy_, nullptr)) != SQLITE_OK) {
      return absl::UnavailableError(
          absl::StrCat("the copy ", path_, " cannot be ended"));
    }
    return true;
  }

 private:
  absl::Status Error() const {
    const std::string text =
        absl::StrCat("copy ", path_, ": ", sqlite3_errmsg(copy_));
    const int code = sqlite3_errcode(copy_) & 0xFF;
    return code == SQLITE_FULL || code == SQLITE_IOERR
               ? absl::ResourceExhaustedError(text)
               : absl::UnavailableError(text);
  }

  const std::string path_;
  sqlite3* copy_ = nullptr;
  sqlite3_backup* backup_ = nullptr;
};

absl::StatusOr<std::unique_ptr<JournalCopy>> SqliteJournal::CopyTo(
    const std::string& path) {
  auto copy = std::make_unique<SqliteCopy>(path);
  absl::Status status = copy->Begin(db_);
  if (!status.ok()) return status;
  return std::unique_ptr<JournalCopy>(std::move(copy));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Journal>> OpenSqliteJournal(
    const std::string& path) {
  auto journal = std::make_unique<SqliteJournal>(path);
  absl::Status status = journal->Open();
  if (!status.ok()) return status;
  return std::unique_ptr<Journal>(std::move(journal));
}

}  // namespace evopress::server
