// From text files to the token sets of a job: statistics and search on
// disjoint parts of the calibration texts, held-out sets on their own texts.
//
// Of several calibration texts each gives its share by weight: the statistics
// alternate between them, so that every beginning of the set is in proportion;
// the search set holds one after the other (JobSpec.calibration).
#ifndef EVOPRESS_CLIENT_TOKEN_DATA_H_
#define EVOPRESS_CLIENT_TOKEN_DATA_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/artifact_transfer.h"
#include "client/job_flags.h"
#include "evopress/v1/jobs.pb.h"
#include "evopress/v1/tasks.pb.h"
#include "quant/checkpoint.h"

namespace evopress::client {

struct TokenData {
  std::vector<v1::TokenSetRef> sets;     // statistics, search, held-out …
  std::vector<LocalArtifact> artifacts;  // one a set
  std::vector<std::string> warnings;
  // "text.<role>[.<domain>]" -> "<SHA-256> <path>" of the file it came from.
  std::map<std::string, std::string> labels;
  // Set if the search set is of several texts.
  std::optional<v1::Calibration> calibration;
};

struct TokenNeeds {
  bool statistics = true;
  // What the search measures apart from each other: its set holds all of it at
  // least. Empty: no search set.
  std::vector<SearchNeed> search;
};

// InvalidArgument, with the tokens that a text has and those asked for, if a
// text is too short. A held-out text that is also the calibration text gives
// its sequences behind those that were calibrated on, with a warning.
absl::StatusOr<TokenData> BuildTokenData(const quant::Checkpoint& model,
                                         const DataFlags& flags,
                                         const TokenNeeds& needs);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_TOKEN_DATA_H_
