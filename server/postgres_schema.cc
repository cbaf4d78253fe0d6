#include "server/postgres_schema.h"

#include "absl/strings/str_cat.h"

namespace evopress::server {
namespace {

constexpr int kSchemaVersion = 1;

// Strings that others choose are bytea: text can hold no NUL.
constexpr char kSchema[] = R"sql(
CREATE TABLE evopress_schema (version integer NOT NULL);
CREATE TABLE leader (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  epoch bigint NOT NULL,
  name text NOT NULL,
  address text NOT NULL,
  beats bigint NOT NULL);
INSERT INTO leader (epoch, name, address, beats) VALUES (0, '', '', 0);
CREATE TABLE jobs (
  seq bigint GENERATED ALWAYS AS IDENTITY,
  id text PRIMARY KEY,
  request_id bytea UNIQUE,
  spec bytea NOT NULL,
  state integer NOT NULL,
  paused boolean NOT NULL,
  numeric_class bytea NOT NULL,
  error bytea NOT NULL,
  level_table_sha256 text NOT NULL,
  history_hash text NOT NULL,
  results bytea NOT NULL,
  rounds bigint NOT NULL,
  evaluated_tokens bigint NOT NULL,
  create_time_ns bigint NOT NULL,
  end_time_ns bigint NOT NULL);
CREATE TABLE rounds (
  job text NOT NULL,
  idx bigint NOT NULL,
  round bytea NOT NULL,
  known bytea NOT NULL,
  results bytea NOT NULL,
  history_hash text NOT NULL,
  PRIMARY KEY (job, idx));
CREATE TABLE measurements (
  key text PRIMARY KEY,
  kl double precision NOT NULL,
  topk_kl double precision NOT NULL,
  nll double precision NOT NULL,
  positions bigint NOT NULL,
  worker bytea NOT NULL);
CREATE TABLE builds (
  key text PRIMARY KEY,
  result bytea NOT NULL,
  worker bytea NOT NULL);
CREATE TABLE quarantined (worker bytea PRIMARY KEY);
CREATE TABLE local_files (
  sha256 text PRIMARY KEY,
  path bytea NOT NULL,
  size bigint NOT NULL,
  mtime_ns bigint NOT NULL);
-- Called first in every write. The lock it takes lasts until the end of the
-- transaction, and who wants to lead waits for it.
CREATE FUNCTION evopress_check_epoch(mine bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM leader WHERE epoch = mine FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'epoch % is over, another coordinator leads', mine
      USING ERRCODE = 'EP001';
  END IF;
END $$;
)sql";

// What makes schema N+1 of schema N, at index N.
constexpr const char* kMigrations[] = {nullptr};

}  // namespace

absl::Status EnsurePostgresSchema(PostgresConnection& connection) {
  int64_t version = 0;
  auto rows = connection.Query({"SELECT version FROM evopress_schema", {}});
  if (rows.ok() && rows->size() == 1) {
    version = rows->Integer(0, 0);
  } else if (!absl::IsNotFound(rows.status())) {
    return rows.ok() ? absl::DataLossError(
                           "PostgreSQL: the table evopress_schema has not one "
                           "row; restore the database from a backup")
                     : rows.status();
  }
  if (version > kSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the database has schema version ", version,
        ", written by a newer program; this one reads up to version ",
        kSchemaVersion));
  }
  if (version == 0) {
    return connection.Execute(
        absl::StrCat("BEGIN;", kSchema, "INSERT INTO evopress_schema VALUES (",
                     kSchemaVersion, ");COMMIT"));
  }
  for (; version < kSchemaVersion; ++version) {
    absl::Status status = connection.Execute(absl::StrCat(
        "BEGIN;", kMigrations[version],
        "UPDATE evopress_schema SET version=", version + 1, ";COMMIT"));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace evopress::server
