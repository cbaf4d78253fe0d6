// Exports by name: "evopress", "json", "hf".
#ifndef EVOPRESS_CLIENT_EXPORT_JOB_H_
#define EVOPRESS_CLIENT_EXPORT_JOB_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/export_input.h"

namespace evopress::client {

struct ExportOptions {
  std::vector<std::string> formats = {"evopress", "json"};
  std::string out;
  bool force = false;
  std::string dtype = "float32";  // hf: "float32", "float16" or "bfloat16"
  std::string model_path;         // hf: empty: where the job found the model
};

// InvalidArgument or AlreadyExists for what could be known before the search.
absl::Status CheckExportOptions(const ExportOptions& options);

// Writes all formats into one directory, atomically. recipe.json is always
// among them. `fetch` may be empty unless the format is "hf".
absl::Status ExportJob(const ExportInput& input, const FetchArtifact& fetch,
                       const ExportOptions& options);

// The same for several budgets of one job, each in a directory of its name
// within options.out, beside a recipe.json about all of them.
absl::Status ExportJob(const std::vector<ExportInput>& inputs,
                       const FetchArtifact& fetch,
                       const ExportOptions& options);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_EXPORT_JOB_H_
