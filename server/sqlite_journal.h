// The journal in one SQLite file: WAL, synchronous=FULL, exactly one
// connection (SQLite before 3.51.3 can lose commits with two).
#ifndef EVOPRESS_SERVER_SQLITE_JOURNAL_H_
#define EVOPRESS_SERVER_SQLITE_JOURNAL_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/journal.h"

namespace evopress::server {

// Opens or makes the file. DataLoss if it is damaged or no journal,
// FailedPrecondition if a newer program wrote it.
absl::StatusOr<std::unique_ptr<Journal>> OpenSqliteJournal(
    const std::string& path);

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_SQLITE_JOURNAL_H_
