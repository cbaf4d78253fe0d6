// A real PostgreSQL for a test: its own data folder, a socket in it, no port.
#ifndef EVOPRESS_TESTS_SERVER_POSTGRES_SERVER_H_
#define EVOPRESS_TESTS_SERVER_POSTGRES_SERVER_H_

#include <string>

namespace evopress::server {

class PostgresServer {
 public:
  // The one of this process, started now and stopped at its end. A failure to
  // start is a failed test.
  static PostgresServer& Get();

  // URL of a new, empty database.
  std::string NewDatabase();
  // Of a new database whose tables lie in `folder`.
  std::string NewDatabaseIn(const std::string& folder);
  // Runs SQL on the database of `url`; its rows, tab-separated.
  static std::string Sql(const std::string& url, const std::string& sql);

  // Ends all connections and the server, or starts it again.
  void Stop();
  void Start();

 private:
  PostgresServer();
  ~PostgresServer();

  std::string folder_;
  int databases_ = 0;
};

}  // namespace evopress::server

#endif  // EVOPRESS_TESTS_SERVER_POSTGRES_SERVER_H_
