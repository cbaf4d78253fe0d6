// The recipe: an assignment with everything that led to it.
#ifndef EVOPRESS_CLIENT_EXPORT_JSON_H_
#define EVOPRESS_CLIENT_EXPORT_JSON_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/export_input.h"
#include "client/output_dir.h"
#include "nlohmann/json.hpp"

namespace evopress::client {

inline constexpr char kJobFile[] = "job.binpb";  // the Job message itself

// Whether it is the winner or an incumbent, and whether the same command would
// give it again; versions, seed, strategy, model and data hashes, numeric
// class, menu, every layer's level with its costs and blob, budgets, exact
// total costs, fitness, held-out results with error bars, baselines and the
// history hash.
absl::StatusOr<nlohmann::json> MakeRecipe(const ExportInput& input);

// Writes recipe.json and job.binpb, and reads the former back.
absl::Status ExportJson(const ExportInput& input, OutputDir& out);

// The same about all budgets of one job. REQUIRES: inputs of one job.
absl::Status ExportFrontierJson(const std::vector<ExportInput>& inputs,
                                OutputDir& out);

// The job that an earlier export left in `dir`.
absl::StatusOr<v1::Job> ReadExportedJob(const std::string& dir);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_EXPORT_JSON_H_
