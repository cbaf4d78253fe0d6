// The journal in PostgreSQL, for several coordinators of which one leads.
#ifndef EVOPRESS_SERVER_POSTGRES_JOURNAL_H_
#define EVOPRESS_SERVER_POSTGRES_JOURNAL_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/journal.h"
#include "server/leadership.h"

namespace evopress::server {

// Every write is refused (Unavailable) unless `leadership` leads: by epoch, in
// the same transaction. A broken connection ends the leadership, too: who leads
// next loads what is durable. `leadership` leads by now and outlives the
// journal.
absl::StatusOr<std::unique_ptr<Journal>> OpenPostgresJournal(
    const std::string& url, Leadership& leadership);

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_POSTGRES_JOURNAL_H_
