#include "client/export_input.h"

#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/level_table.h"
#include "client/result_table.h"
#include "proto/conversions.h"

namespace evopress::client {
namespace {

absl::StatusOr<v1::Candidate> Choose(const v1::Job& job, bool incumbent,
                                     const std::string& target) {
  for (const auto& candidate : job.results()) {
    if (candidate.target() == target &&
        (!target.empty() || candidate.name() == "winner")) {
      return candidate;
    }
  }
  if (!incumbent) {
    return absl::FailedPreconditionError(absl::StrCat(
        job.name(), " is ", StateName(job.state()),
        " and has no winner; --incumbent exports the best so far"));
  }
  for (const auto& candidate : job.incumbents()) {
    if (!target.empty() && candidate.target() == target) return candidate;
  }
  if (!target.empty() || !job.has_incumbent() ||
      job.incumbent().assignment().levels().empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(job.name(), " has no incumbent yet"));
  }
  v1::Candidate candidate = job.incumbent();
  candidate.set_name("incumbent");
  return candidate;
}

// The limit of target `name`; nullopt if neither it nor the job has one.
absl::StatusOr<std::optional<int64_t>> LimitOf(const v1::Job& job,
                                               const std::string& name) {
  if (job.spec().targets().empty() && name.empty()) return std::nullopt;
  std::vector<std::string> names;
  for (const v1::Target& target : job.spec().targets()) {
    if (target.name() == name) return target.limit();
    names.push_back(target.name());
  }
  return absl::InvalidArgumentError(
      names.empty()
          ? absl::StrCat(job.name(), " has one budget; leave out \"", name,
                         "\"")
          : absl::StrCat(job.name(), " has no budget \"", name,
                         "\"; choose one of ", absl::StrJoin(names, ", ")));
}

}  // namespace

absl::StatusOr<ExportInput> MakeExportInput(const v1::Job& job, bool incumbent,
                                            const FetchArtifact& fetch,
                                            const std::string& target) {
  auto limit = LimitOf(job, target);
  if (!limit.ok()) return limit.status();
  auto candidate = Choose(job, incumbent, target);
  if (!candidate.ok()) return candidate.status();
  ExportInput input;
  input.job = job;
  input.incumbent = absl::StartsWith(candidate->name(), "incumbent");
  auto space = proto::FromProto(job.spec().space());
  if (!space.ok()) return space.status();
  input.space = *std::move(space);
  if (limit->has_value()) input.space.budgets[0].limit = **limit;
  auto assignment = proto::FromProto(candidate->assignment());
  if (!assignment.ok()) return assignment.status();
  if (absl::Status s = search::Validate(input.space, *assignment); !s.ok()) {
    return s;
  }
  input.assignment = *std::move(assignment);
  input.candidate = *std::move(candidate);
  if (!fetch || job.level_table_sha256().empty()) return input;
  auto levels = FetchLevelTable(fetch, job);
  if (!levels.ok()) return levels.status();
  input.levels = *std::move(levels);
  return input;
}

absl::StatusOr<std::vector<ExportInput>> MakeExportInputs(
    const v1::Job& job, bool incumbent, const FetchArtifact& fetch) {
  std::vector<std::string> targets;
  for (const v1::Target& target : job.spec().targets()) {
    targets.push_back(target.name());
  }
  if (targets.empty()) targets.push_back("");
  std::vector<ExportInput> inputs;
  for (const std::string& target : targets) {
    auto input = MakeExportInput(job, incumbent, fetch, target);
    if (!input.ok()) return input.status();
    inputs.push_back(*std::move(input));
  }
  return inputs;
}

absl::StatusOr<const v1::LevelTable::Blob*> FindBlob(const ExportInput& input,
                                                     int unit, int layer) {
  // What a dropped module would have run with is no part of the result.
  if (!IsActive(input.space, input.assignment, unit)) return nullptr;
  const search::Unit& expected = input.space.units[unit];
  const int level = input.assignment.levels[unit];
  const auto mismatch = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("the level table does not fit the search space at unit ",
                     expected.name));
  };
  if (unit >= input.levels.units_size()) return mismatch();
  const auto& found = input.levels.units(unit);
  if (found.name() != expected.name || level >= found.levels_size() ||
      found.levels(level).name() != expected.menu[level].name ||
      layer >= found.levels(level).blobs_size()) {
    return mismatch();
  }
  const auto& blob = found.levels(level).blobs(layer);
  return blob.sha256().empty() ? nullptr : &blob;
}

}  // namespace evopress::client
