#include "tests/server/postgres_server.h"

#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>

namespace evopress::server {
namespace {

namespace fs = std::filesystem;

// The newest of the versions that Debian keeps side by side.
std::string BinDir() {
  fs::path newest;
  std::error_code error;
  for (const auto& entry :
       fs::directory_iterator("/usr/lib/postgresql", error)) {
    if (entry.path() > newest) newest = entry.path();
  }
  return (newest / "bin").string();
}

// PostgreSQL refuses to run as root.
std::string AsUser() {
  return ::geteuid() == 0 ? "setpriv --reuid=postgres --regid=postgres"
                            " --clear-groups "
                          : "";
}

void Shell(const std::string& command) {
  EXPECT_EQ(std::system((command + " >/dev/null 2>&1").c_str()), 0) << command;
}

}  // namespace

PostgresServer& PostgresServer::Get() {
  static PostgresServer server;
  return server;
}

PostgresServer::PostgresServer() {
  std::string name = (fs::temp_directory_path() / "postgres_XXXXXX").string();
  folder_ = ::mkdtemp(name.data());
  if (::geteuid() == 0) Shell("chown postgres " + folder_);
  Shell(AsUser() + BinDir() + "/initdb -D " + folder_ +
        "/data -A trust -U evopress --no-sync");
  Start();
}

PostgresServer::~PostgresServer() {
  Stop();
  fs::remove_all(folder_);
}

void PostgresServer::Start() {
  Shell("cd / && " + AsUser() + BinDir() + "/pg_ctl -D " + folder_ +
        "/data -w -l " + folder_ + "/log -o \"-k " + folder_ +
        " -c listen_addresses='' -c fsync=off\" start");
}

void PostgresServer::Stop() {
  Shell("cd / && " + AsUser() + BinDir() + "/pg_ctl -D " + folder_ +
        "/data -w -m fast stop");
}

std::string PostgresServer::NewDatabase() {
  const std::string name = "test" + std::to_string(databases_++);
  const std::string server = "postgresql://evopress@/postgres?host=" + folder_;
  Sql(server, "CREATE DATABASE " + name);
  return "postgresql://evopress@/" + name + "?host=" + folder_;
}

std::string PostgresServer::NewDatabaseIn(const std::string& folder) {
  if (::geteuid() == 0) Shell("chown postgres " + folder);
  const std::string url = NewDatabase();
  const std::string space = "space" + std::to_string(databases_);
  Sql(url, "CREATE TABLESPACE " + space + " LOCATION '" + folder + "'");
  return url + "&options=-cdefault_tablespace%3D" + space;
}

std::string PostgresServer::Sql(const std::string& url,
                                const std::string& sql) {
  std::unique_ptr<PGconn, decltype(&PQfinish)> connection(
      PQconnectdb(url.c_str()), &PQfinish);
  std::unique_ptr<PGresult, decltype(&PQclear)> result(
      PQexec(connection.get(), sql.c_str()), &PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  EXPECT_TRUE(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
      << sql << ": " << PQerrorMessage(connection.get());
  std::string text;
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    for (int column = 0; column < PQnfields(result.get()); ++column) {
      if (column > 0) text += '\t';
      text += PQgetvalue(result.get(), row, column);
    }
    text += '\n';
  }
  return text;
}

}  // namespace evopress::server
