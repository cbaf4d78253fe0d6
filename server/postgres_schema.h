// The tables of a coordinator in PostgreSQL.
#ifndef EVOPRESS_SERVER_POSTGRES_SCHEMA_H_
#define EVOPRESS_SERVER_POSTGRES_SCHEMA_H_

#include "absl/status/status.h"
#include "server/postgres_connection.h"

namespace evopress::server {

// Makes or migrates the tables. Only the holder of the leader's lock may call
// it. FailedPrecondition if a newer program wrote them.
absl::Status EnsurePostgresSchema(PostgresConnection& connection);

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_POSTGRES_SCHEMA_H_
