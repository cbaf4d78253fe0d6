// What earlier jobs have measured, as an archive for a strategy. The jobs are
// named in the spec by their history hashes, which say what was asked and
// answered: equal specs start from equal archives.
#ifndef EVOPRESS_SERVER_EARLIER_ROUNDS_H_
#define EVOPRESS_SERVER_EARLIER_ROUNDS_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "evopress/v1/jobs.pb.h"
#include "search/strategy.h"
#include "server/journal.h"

namespace evopress::server {

// What can be checked before levels are built: FailedPrecondition, naming the
// job and what differs, unless all jobs of spec.start_from are among `jobs`,
// have succeeded and searched the same units of the same model on the same
// tokens.
absl::Status CheckStartFrom(const v1::JobSpec& spec,
                            const std::vector<JobRecord>& jobs);

// The rounds of spec.start_from and of the jobs that these started from.
// FailedPrecondition also unless levels and numeric class are those of
// `record`, whose spec this is; DataLoss if rounds are missing or damaged.
absl::StatusOr<search::Archive> LoadEarlierRounds(const v1::JobSpec& spec,
                                                  const JobRecord& record,
                                                  Journal& journal);

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_EARLIER_ROUNDS_H_
