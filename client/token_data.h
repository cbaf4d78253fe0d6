// From text files to the token sets of a job: statistics and search on
// disjoint parts of the calibration text, held-out sets on their own texts.
#ifndef EVOPRESS_CLIENT_TOKEN_DATA_H_
#define EVOPRESS_CLIENT_TOKEN_DATA_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/artifact_transfer.h"
#include "client/job_flags.h"
#include "evopress/v1/tasks.pb.h"
#include "quant/checkpoint.h"

namespace evopress::client {

struct TokenData {
  std::vector<v1::TokenSetRef> sets;     // statistics, search, held-out …
  std::vector<LocalArtifact> artifacts;  // one a set
  std::vector<std::string> warnings;
  // "text.<role>[.<domain>]" -> "<SHA-256> <path>" of the file it came from.
  std::map<std::string, std::string> labels;
};

struct TokenNeeds {
  bool statistics = true;
  // At least this many tokens for the search; 0: no search set.
  int64_t search_tokens = 0;
};

// InvalidArgument, with the tokens that a text has and those asked for, if a
// text is too short. A held-out text that is also the calibration text gives
// its sequences behind those that were calibrated on, with a warning.
absl::StatusOr<TokenData> BuildTokenData(const quant::Checkpoint& model,
                                         const DataFlags& flags,
                                         const TokenNeeds& needs);

// "wiki=a/b.txt" -> {"wiki", "a/b.txt"}; "a/b.txt" -> {"b", "a/b.txt"}.
struct NamedFile {
  std::string name;
  std::string path;
};
NamedFile ParseNamedFile(const std::string& text);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_TOKEN_DATA_H_
