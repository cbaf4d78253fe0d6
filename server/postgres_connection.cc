#include "server/postgres_connection.h"

#include <bit>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace evopress::server {
namespace {

constexpr int kBinary = 1;

std::string BigEndian(uint64_t value) {
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i) {
    bytes[static_cast<size_t>(i)] = static_cast<char>(value >> (56 - 8 * i));
  }
  return bytes;
}

uint64_t FromBigEndian(const char* bytes, int size) {
  uint64_t value = 0;
  for (int i = 0; i < size; ++i) {
    value = value << 8 | static_cast<uint8_t>(bytes[i]);
  }
  return value;
}

// libpq ends its messages with a newline and wraps long ones.
std::string OneLine(const char* message) {
  std::string text(message == nullptr ? "" : message);
  while (absl::EndsWith(text, "\n")) text.pop_back();
  return absl::StrReplaceAll(text, {{"\n", "; "}});
}

// What the user's URL does not say. A server that vanished without a word is
// noticed in ten seconds.
const std::pair<const char*, const char*> kDefaults[] = {
    {"connect_timeout", "5"},
    {"keepalives_idle", "5"},
    {"keepalives_interval", "2"},
    {"keepalives_count", "3"},
    {"tcp_user_timeout", "10000"}};

}  // namespace

bool IsPostgresUrl(const std::string& text) {
  return absl::StartsWith(text, "postgresql://") ||
         absl::StartsWith(text, "postgres://");
}

PostgresValue PostgresValue::Integer(int64_t value) {
  return {BigEndian(static_cast<uint64_t>(value))};
}

PostgresValue PostgresValue::Real(double value) {
  return {BigEndian(std::bit_cast<uint64_t>(value))};
}

PostgresValue PostgresValue::Boolean(bool value) {
  return {std::string(1, value ? '\1' : '\0')};
}

std::string PostgresRows::Bytes(int row, int column) const {
  return std::string(
      PQgetvalue(result_.get(), row, column),
      static_cast<size_t>(PQgetlength(result_.get(), row, column)));
}

int64_t PostgresRows::Integer(int row, int column) const {
  const int size = PQgetlength(result_.get(), row, column);
  const uint64_t value =
      FromBigEndian(PQgetvalue(result_.get(), row, column), size);
  // A shorter integer keeps its sign.
  return size == 4 ? static_cast<int32_t>(value) : static_cast<int64_t>(value);
}

double PostgresRows::Real(int row, int column) const {
  return std::bit_cast<double>(
      FromBigEndian(PQgetvalue(result_.get(), row, column), 8));
}

absl::StatusOr<std::unique_ptr<PostgresConnection>> PostgresConnection::Open(
    const std::string& url, const std::string& name) {
  char* message = nullptr;
  std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> given(
      PQconninfoParse(url.c_str(), &message), &PQconninfoFree);
  if (given == nullptr) {
    const std::string why = OneLine(message);
    PQfreemem(message);
    return absl::InvalidArgumentError(
        absl::StrCat("the database URL cannot be read: ", why,
                     "; it looks like postgresql://user@host:5432/evopress"));
  }
  std::vector<const char*> keys, values;
  const auto set = [&](const char* key, const char* value) {
    keys.push_back(key);
    values.push_back(value);
  };
  for (const auto& [key, value] : kDefaults) set(key, value);
  for (const PQconninfoOption* o = given.get(); o->keyword != nullptr; ++o) {
    if (o->val != nullptr) set(o->keyword, o->val);
  }
  set("application_name", name.c_str());
  set("client_encoding", "UTF8");
  set(nullptr, nullptr);
  std::unique_ptr<PostgresConnection> connection(
      new PostgresConnection(PQconnectdbParams(keys.data(), values.data(), 0)));
  PGconn* raw = connection->connection_.get();
  if (PQstatus(raw) != CONNECTION_OK) {
    const std::string why = OneLine(PQerrorMessage(raw));
    // libpq has no code for why a connection was refused.
    return PQconnectionNeedsPassword(raw) != 0 ||
                   absl::StrContains(why, "authentication failed") ||
                   absl::StrContains(why, "does not exist")
               ? absl::PermissionDeniedError(why)
               : absl::UnavailableError(why);
  }
  PQsetNoticeProcessor(
      raw, [](void*, const char*) {}, nullptr);
  absl::Status status = connection->Execute(
      "SET synchronous_commit = on;"
      "SET default_transaction_isolation = 'read committed';"
      "SET default_transaction_read_only = off");
  if (!status.ok()) return status;
  return connection;
}

bool PostgresConnection::IsBroken() const {
  return PQstatus(connection_.get()) != CONNECTION_OK;
}

absl::Status PostgresConnection::ConnectionError() const {
  return absl::UnavailableError(
      absl::StrCat("PostgreSQL: ", OneLine(PQerrorMessage(connection_.get()))));
}

absl::Status PostgresConnection::ErrorOf(const PGresult* result) const {
  if (result == nullptr || IsBroken()) return ConnectionError();
  switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_PIPELINE_SYNC:
      return absl::OkStatus();
    default:
      break;
  }
  const char* code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const absl::string_view state = code == nullptr ? "" : code;
  const std::string text =
      absl::StrCat("PostgreSQL: ", OneLine(PQresultErrorMessage(result)));
  if (state == kStaleEpoch) return absl::FailedPreconditionError(text);
  if (state == "23505") return absl::AlreadyExistsError(text);
  if (state == "42P01") return absl::NotFoundError(text);
  if (state == "42501") return absl::PermissionDeniedError(text);
  // Insufficient resources; an I/O error is mostly a full disk, too.
  if (absl::StartsWith(state, "53") || state == "58030") {
    return absl::ResourceExhaustedError(text);
  }
  if (state == "XX001" || state == "XX002") return absl::DataLossError(text);
  return absl::UnavailableError(absl::StrCat(text, " (", state, ")"));
}

absl::Status PostgresConnection::Execute(const std::string& sql) {
  const std::unique_ptr<PGresult, decltype(&PQclear)> result(
      PQexec(connection_.get(), sql.c_str()), &PQclear);
  return ErrorOf(result.get());
}

absl::StatusOr<std::string> PostgresConnection::Prepare(
    const std::string& sql) {
  std::string& name = prepared_[sql];
  if (!name.empty()) return name;
  const std::string fresh = absl::StrCat("s", prepared_.size());
  std::unique_ptr<PGresult, decltype(&PQclear)> result(
      PQprepare(connection_.get(), fresh.c_str(), sql.c_str(), 0, nullptr),
      &PQclear);
  absl::Status status = ErrorOf(result.get());
  if (!status.ok()) return status;
  name = fresh;
  return name;
}

absl::Status PostgresConnection::Send(
    const std::string& name, const std::vector<PostgresValue>& values) {
  std::vector<const char*> bytes;
  std::vector<int> sizes;
  for (const PostgresValue& value : values) {
    bytes.push_back(value.null ? nullptr : value.bytes.data());
    sizes.push_back(static_cast<int>(value.bytes.size()));
  }
  const std::vector<int> formats(values.size(), kBinary);
  return PQsendQueryPrepared(connection_.get(), name.c_str(),
                             static_cast<int>(values.size()), bytes.data(),
                             sizes.data(), formats.data(), kBinary) == 1
             ? absl::OkStatus()
             : ConnectionError();
}

absl::StatusOr<PostgresRows> PostgresConnection::Query(
    const PostgresStatement& statement) {
  auto name = Prepare(statement.sql);
  if (!name.ok()) return name.status();
  absl::Status status = Send(*name, statement.values);
  if (!status.ok()) return status;
  PGresult* first = nullptr;
  while (PGresult* result = PQgetResult(connection_.get())) {
    if (first == nullptr) {
      first = result;
    } else {
      PQclear(result);
    }
  }
  PostgresRows rows(first);
  status = ErrorOf(first);
  if (!status.ok()) return status;
  return rows;
}

absl::Status PostgresConnection::Transact(
    const std::vector<PostgresStatement>& statements) {
  // What is unknown so far is prepared before the pipeline.
  std::vector<std::string> names;
  for (const PostgresStatement& statement : statements) {
    auto name = Prepare(statement.sql);
    if (!name.ok()) return name.status();
    names.push_back(*std::move(name));
  }
  PGconn* raw = connection_.get();
  if (PQenterPipelineMode(raw) != 1) return ConnectionError();
  absl::Status status;
  for (size_t i = 0; i < statements.size() && status.ok(); ++i) {
    status = Send(names[i], statements[i].values);
  }
  // Without a BEGIN, all up to the sync is one transaction, and the sync
  // commits it.
  if (status.ok() && PQpipelineSync(raw) != 1) status = ConnectionError();
  for (bool synced = !status.ok(); !synced;) {
    PGresult* result = PQgetResult(raw);
    if (result == nullptr) {  // between two statements
      if (IsBroken()) {
        status = ConnectionError();
        break;
      }
      continue;
    }
    synced = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    // What follows an error is only called off.
    if (status.ok() && PQresultStatus(result) != PGRES_PIPELINE_ABORTED) {
      status = ErrorOf(result);
    }
    PQclear(result);
  }
  if (!IsBroken()) PQexitPipelineMode(raw);
  return status;
}

}  // namespace evopress::server
