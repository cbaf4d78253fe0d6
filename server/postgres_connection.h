// One connection to PostgreSQL, over libpq.
#ifndef EVOPRESS_SERVER_POSTGRES_CONNECTION_H_
#define EVOPRESS_SERVER_POSTGRES_CONNECTION_H_

#include <libpq-fe.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace evopress::server {

// Whether `text` names a PostgreSQL database: postgresql://… or postgres://…
bool IsPostgresUrl(const std::string& text);

// A value of a statement, in PostgreSQL's binary form.
struct PostgresValue {
  static PostgresValue Text(const std::string& text) { return {text}; }
  static PostgresValue Bytes(const std::string& bytes) { return {bytes}; }
  static PostgresValue Integer(int64_t value);  // bigint
  static PostgresValue Real(double value);      // double precision, every bit
  static PostgresValue Boolean(bool value);
  static PostgresValue Null() { return {"", true}; }

  std::string bytes;
  bool null = false;
};

struct PostgresStatement {
  std::string sql;  // with $1::type, ...
  std::vector<PostgresValue> values;
};

class PostgresRows {
 public:
  explicit PostgresRows(PGresult* result) : result_(result, &PQclear) {}

  int size() const { return PQntuples(result_.get()); }
  // Of text and bytea columns; "" for NULL.
  std::string Bytes(int row, int column) const;
  // Of boolean, integer and bigint columns; 0 for NULL.
  int64_t Integer(int row, int column) const;
  double Real(int row, int column) const;

 private:
  std::unique_ptr<PGresult, decltype(&PQclear)> result_;
};

// Errors: ResourceExhausted if the disk of the database is full, DataLoss if
// the database is damaged, AlreadyExists for a key that is taken, NotFound for
// a missing table, FailedPrecondition where the server raises kStaleEpoch,
// PermissionDenied for wrong credentials, Unavailable for all else. A broken
// connection stays broken. Thread-compatible.
class PostgresConnection {
 public:
  // SQLSTATE that a function of ours raises.
  static constexpr char kStaleEpoch[] = "EP001";

  // `name` is shown in pg_stat_activity. A server that falls silent is given
  // up after ten seconds.
  static absl::StatusOr<std::unique_ptr<PostgresConnection>> Open(
      const std::string& url, const std::string& name);
  PostgresConnection(const PostgresConnection&) = delete;
  PostgresConnection& operator=(const PostgresConnection&) = delete;

  // Statements without values or rows, separated by semicolons.
  absl::Status Execute(const std::string& sql);
  absl::StatusOr<PostgresRows> Query(const PostgresStatement& statement);
  // All of them in one transaction, sent in one go so that it never waits for
  // this process: either all is durable or nothing.
  absl::Status Transact(const std::vector<PostgresStatement>& statements);

  bool IsBroken() const;

 private:
  explicit PostgresConnection(PGconn* connection)
      : connection_(connection, &PQfinish) {}

  absl::StatusOr<std::string> Prepare(const std::string& sql);
  absl::Status Send(const std::string& name,
                    const std::vector<PostgresValue>& values);
  absl::Status ErrorOf(const PGresult* result) const;
  absl::Status ConnectionError() const;

  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
  std::map<std::string, std::string> prepared_;  // sql -> name
};

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_POSTGRES_CONNECTION_H_
