#include "server/postgres_journal.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/postgres_connection.h"

namespace evopress::server {
namespace {

using Value = PostgresValue;
using Statements = std::vector<PostgresStatement>;

Value BytesOrNull(const std::string& bytes) {
  return bytes.empty() ? Value::Null() : Value::Bytes(bytes);
}

PostgresStatement WriteJob(const JobRecord& job) {
  return {
      "INSERT INTO jobs (id, request_id, spec, state, paused, numeric_class,"
      " error, level_table_sha256, history_hash, results, rounds,"
      " evaluated_tokens, create_time_ns, end_time_ns)"
      " VALUES ($1::text,$2::bytea,$3::bytea,$4::bigint,$5::boolean,$6::bytea,"
      "$7::bytea,$8::text,$9::text,$10::bytea,$11::bigint,$12::bigint,"
      "$13::bigint,$14::bigint)"
      " ON CONFLICT (id) DO UPDATE SET state=excluded.state,"
      " paused=excluded.paused, numeric_class=excluded.numeric_class,"
      " error=excluded.error, level_table_sha256=excluded.level_table_sha256,"
      " history_hash=excluded.history_hash, results=excluded.results,"
      " rounds=excluded.rounds, evaluated_tokens=excluded.evaluated_tokens,"
      " end_time_ns=excluded.end_time_ns",
      {Value::Text(job.id), BytesOrNull(job.request_id), Value::Bytes(job.spec),
       Value::Integer(job.state), Value::Boolean(job.paused),
       Value::Bytes(job.numeric_class), Value::Bytes(job.error),
       Value::Text(job.level_table_sha256), Value::Text(job.history_hash),
       Value::Bytes(job.results), Value::Integer(job.rounds),
       Value::Integer(job.evaluated_tokens), Value::Integer(job.create_time_ns),
       Value::Integer(job.end_time_ns)}};
}

// The order is that of JournalBatch.
Statements StatementsOf(const JournalBatch& batch) {
  Statements all;
  const auto texts = [&](const char* sql,
                         const std::vector<std::string>& keys) {
    for (const std::string& key : keys) {
      all.push_back({sql, {Value::Text(key)}});
    }
  };
  texts("DELETE FROM measurements WHERE key=$1::text",
        batch.forget_measurements);
  texts("DELETE FROM builds WHERE key=$1::text", batch.forget_builds);
  for (const std::string& worker : batch.quarantined) {
    for (const char* sql :
         {"DELETE FROM measurements WHERE worker=$1::bytea AND worker<>''",
          "DELETE FROM builds WHERE worker=$1::bytea AND worker<>''",
          "INSERT INTO quarantined VALUES ($1::bytea) ON CONFLICT DO "
          "NOTHING"}) {
      all.push_back({sql, {Value::Bytes(worker)}});
    }
  }
  texts("DELETE FROM rounds WHERE job=$1::text", batch.delete_rounds);
  texts("DELETE FROM rounds WHERE job=$1::text", batch.delete_jobs);
  texts("DELETE FROM jobs WHERE id=$1::text", batch.delete_jobs);
  for (const JobRecord& job : batch.jobs) all.push_back(WriteJob(job));
  for (const RoundRow& round : batch.rounds) {
    all.push_back(
        {"INSERT INTO rounds VALUES ($1::text,$2::bigint,$3::bytea,$4::bytea,"
         "$5::bytea,$6::text) ON CONFLICT (job, idx) DO UPDATE SET"
         " round=excluded.round, known=excluded.known,"
         " results=excluded.results, history_hash=excluded.history_hash",
         {Value::Text(round.job), Value::Integer(round.index),
          Value::Bytes(round.round), Value::Bytes(round.known),
          Value::Bytes(round.results), Value::Text(round.history_hash)}});
  }
  for (const MeasurementRecord& record : batch.measurements) {
    all.push_back(
        {"INSERT INTO measurements VALUES ($1::text,$2::float8,$3::float8,"
         "$4::float8,$5::bigint,$6::bytea) ON CONFLICT DO NOTHING",
         {Value::Text(record.key), Value::Real(record.sums.kl),
          Value::Real(record.sums.topk_kl), Value::Real(record.sums.nll),
          Value::Integer(record.sums.positions), Value::Bytes(record.worker)}});
  }
  for (const BuildRecord& build : batch.builds) {
    all.push_back(
        {"INSERT INTO builds VALUES ($1::text,$2::bytea,$3::bytea)"
         " ON CONFLICT (key) DO UPDATE SET result=excluded.result,"
         " worker=excluded.worker",
         {Value::Text(build.key), Value::Bytes(build.result),
          Value::Bytes(build.worker)}});
  }
  for (const MeasurementRecord& record : batch.confirm_measurements) {
    // Equal bits, not equal values: NaN is a bit pattern as any other.
    all.push_back(
        {"UPDATE measurements SET worker='' WHERE key=$1::text"
         " AND float8send(kl)=float8send($2::float8)"
         " AND float8send(topk_kl)=float8send($3::float8)"
         " AND float8send(nll)=float8send($4::float8)",
         {Value::Text(record.key), Value::Real(record.sums.kl),
          Value::Real(record.sums.topk_kl), Value::Real(record.sums.nll)}});
  }
  texts("UPDATE builds SET worker='' WHERE key=$1::text", batch.confirm_builds);
  for (const LocalFileRecord& file : batch.local_files) {
    all.push_back(
        {"INSERT INTO local_files VALUES ($1::text,$2::bytea,$3::bigint,"
         "$4::bigint) ON CONFLICT (sha256) DO UPDATE SET path=excluded.path,"
         " size=excluded.size, mtime_ns=excluded.mtime_ns",
         {Value::Text(file.sha256), Value::Bytes(file.path),
          Value::Integer(file.size), Value::Integer(file.mtime_ns)}});
  }
  return all;
}

class PostgresJournal : public Journal {
 public:
  PostgresJournal(std::unique_ptr<PostgresConnection> connection,
                  Leadership& leadership)
      : connection_(std::move(connection)),
        leadership_(leadership),
        epoch_(leadership.epoch()) {}

  absl::Status Commit(const JournalBatch& batch) override {
    if (batch.empty()) return absl::OkStatus();
    Statements statements = StatementsOf(batch);
    statements.insert(
        statements.begin(),
        {"SELECT evopress_check_epoch($1::bigint)", {Value::Integer(epoch_)}});
    if (absl::Status lost = leadership_.lost(); !lost.ok()) return Gone(lost);
    absl::Status status = connection_->Transact(statements);
    if (absl::IsFailedPrecondition(status) || connection_->IsBroken()) {
      leadership_.GiveUp(status);
      return Gone(status);
    }
    return status;
  }

  bool Lost() const override { return !leadership_.lost().ok(); }

  absl::StatusOr<std::vector<JobRecord>> LoadJobs() override {
    auto rows = Read(
        {"SELECT id, request_id, spec, state, paused, numeric_class, error,"
         " level_table_sha256, history_hash, results, rounds,"
         " evaluated_tokens, create_time_ns, end_time_ns FROM jobs"
         " ORDER BY seq",
         {}});
    if (!rows.ok()) return rows.status();
    std::vector<JobRecord> jobs;
    for (int i = 0; i < rows->size(); ++i) {
      JobRecord& job = jobs.emplace_back();
      job.id = rows->Bytes(i, 0);
      job.request_id = rows->Bytes(i, 1);
      job.spec = rows->Bytes(i, 2);
      job.state = static_cast<int>(rows->Integer(i, 3));
      job.paused = rows->Integer(i, 4) != 0;
      job.numeric_class = rows->Bytes(i, 5);
      job.error = rows->Bytes(i, 6);
      job.level_table_sha256 = rows->Bytes(i, 7);
      job.history_hash = rows->Bytes(i, 8);
      job.results = rows->Bytes(i, 9);
      job.rounds = rows->Integer(i, 10);
      job.evaluated_tokens = rows->Integer(i, 11);
      job.create_time_ns = rows->Integer(i, 12);
      job.end_time_ns = rows->Integer(i, 13);
    }
    return jobs;
  }

  absl::StatusOr<std::vector<RoundRow>> LoadRounds(const std::string& job,
                                                   int64_t first,
                                                   int64_t limit) override {
    auto rows = Read(
        {"SELECT idx, round, known, results, history_hash FROM rounds"
         " WHERE job=$1::text AND idx>=$2::bigint ORDER BY idx LIMIT"
         " $3::bigint",
         {Value::Text(job), Value::Integer(first), Value::Integer(limit)}});
    if (!rows.ok()) return rows.status();
    std::vector<RoundRow> rounds;
    for (int i = 0; i < rows->size(); ++i) {
      rounds.push_back({job, rows->Integer(i, 0), rows->Bytes(i, 1),
                        rows->Bytes(i, 2), rows->Bytes(i, 3),
                        rows->Bytes(i, 4)});
    }
    return rounds;
  }

  absl::StatusOr<std::optional<search::SampleSums>> FindMeasurement(
      const std::string& key) override {
    auto rows =
        Read({"SELECT kl, topk_kl, nll, positions FROM measurements"
              " WHERE key=$1::text",
              {Value::Text(key)}});
    if (!rows.ok()) return rows.status();
    if (rows->size() == 0) return std::nullopt;
    return search::SampleSums{rows->Real(0, 0), rows->Real(0, 1),
                              rows->Real(0, 2), rows->Integer(0, 3)};
  }

  absl::StatusOr<std::string> FindWorker(const std::string& key) override {
    auto rows = Read({"SELECT worker FROM measurements WHERE key=$1::text",
                      {Value::Text(key)}});
    if (!rows.ok()) return rows.status();
    return rows->size() == 0 ? std::string() : rows->Bytes(0, 0);
  }

  absl::StatusOr<std::vector<std::string>> LoadQuarantined() override {
    auto rows = Read({"SELECT worker FROM quarantined ORDER BY worker", {}});
    if (!rows.ok()) return rows.status();
    std::vector<std::string> workers;
    for (int i = 0; i < rows->size(); ++i) {
      workers.push_back(rows->Bytes(i, 0));
    }
    return workers;
  }

  absl::StatusOr<std::optional<std::string>> FindBuild(
      const std::string& key) override {
    auto rows = Read(
        {"SELECT result FROM builds WHERE key=$1::text", {Value::Text(key)}});
    if (!rows.ok()) return rows.status();
    if (rows->size() == 0) return std::nullopt;
    return rows->Bytes(0, 0);
  }

  absl::StatusOr<std::vector<LocalFileRecord>> LoadLocalFiles() override {
    auto rows =
        Read({"SELECT sha256, path, size, mtime_ns FROM local_files", {}});
    if (!rows.ok()) return rows.status();
    std::vector<LocalFileRecord> files;
    for (int i = 0; i < rows->size(); ++i) {
      files.push_back({rows->Bytes(i, 0), rows->Bytes(i, 1),
                       rows->Integer(i, 2), rows->Integer(i, 3)});
    }
    return files;
  }

  absl::StatusOr<std::unique_ptr<JournalCopy>> CopyTo(
      const std::string&) override {
    return absl::UnimplementedError(
        "this journal is in PostgreSQL: pg_dump makes a copy of it while work "
        "goes on");
  }

 private:
  absl::StatusOr<PostgresRows> Read(const PostgresStatement& statement) {
    auto rows = connection_->Query(statement);
    if (rows.ok() || !connection_->IsBroken()) return rows;
    leadership_.GiveUp(rows.status());
    return Gone(rows.status());
  }

  static absl::Status Gone(const absl::Status& why) {
    return absl::UnavailableError(absl::StrCat(
        "this coordinator does not lead any longer: ", why.message()));
  }

  const std::unique_ptr<PostgresConnection> connection_;
  Leadership& leadership_;
  const int64_t epoch_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Journal>> OpenPostgresJournal(
    const std::string& url, Leadership& leadership) {
  auto connection = PostgresConnection::Open(url, leadership.name());
  if (!connection.ok()) return connection.status();
  return std::make_unique<PostgresJournal>(*std::move(connection), leadership);
}

}  // namespace evopress::server
