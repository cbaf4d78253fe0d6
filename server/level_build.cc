#include "server/level_build.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "proto/conversions.h"
#include "search/digest.h"
#include "search/level_name.h"

namespace evopress::server {
namespace {

constexpr char kStep[] = "levels";
constexpr int kOutsideBlocks = -1;

bool NeedsBlob(const std::string& level) {
  return level != "keep" && level != "drop";
}

// The N of "layers.<N>." in the name, kOutsideBlocks if it has none.
int BlockOf(const std::string& name) {
  static constexpr char kMarker[] = "layers.";
  const size_t at = name.find(kMarker);
  if (at == std::string::npos) return kOutsideBlocks;
  const size_t begin = at + sizeof(kMarker) - 1;
  const size_t end = name.find('.', begin);
  int block = kOutsideBlocks;
  if (end == std::string::npos ||
      !absl::SimpleAtoi(name.substr(begin, end - begin), &block)) {
    return kOutsideBlocks;
  }
  return block;
}

}  // namespace

std::vector<v1::BuildTask> PlanBuilds(const v1::JobSpec& spec) {
  const v1::TokenSetRef* statistics = nullptr;
  for (const v1::TokenSetRef& set : spec.data()) {
    if (set.role() == v1::TokenSetRef::STATISTICS) statistics = &set;
  }
  std::map<int, std::vector<const v1::Unit*>> blocks;
  for (const v1::Unit& unit : spec.space().units()) {
    const bool any = std::any_of(
        unit.menu().begin(), unit.menu().end(),
        [](const v1::LevelChoice& level) { return NeedsBlob(level.name()); });
    if (!any) continue;
    blocks[BlockOf(unit.name())].push_back(&unit);
  }
  std::vector<std::vector<const v1::Unit*>> chunks;
  int64_t weights = 0;
  for (const auto& [block, units] : blocks) {
    if (chunks.empty() || weights >= kWeightsPerBuildTask) {
      chunks.emplace_back();
      weights = 0;
    }
    for (const v1::Unit* unit : units) {
      chunks.back().push_back(unit);
      weights += unit->weights();
    }
  }
  std::vector<v1::BuildTask> tasks;
  for (const std::vector<const v1::Unit*>& units : chunks) {
    v1::BuildTask& task = tasks.emplace_back();
    task.set_step(kStep);
    *task.mutable_model() = spec.model();
    // The name is for people and would make equal work look different.
    task.mutable_model()->clear_display_name();
    if (statistics != nullptr) {
      *task.mutable_statistics() = *statistics;
      task.mutable_statistics()->clear_domain();
    }
    for (const v1::Unit* unit : units) {
      v1::LevelTable::Unit& out = *task.mutable_units()->add_units();
      out.set_name(unit->name());
      *out.mutable_layers() = unit->layers();
      for (const v1::LevelChoice& level : unit->menu()) {
        if (NeedsBlob(level.name())) out.add_levels()->set_name(level.name());
      }
    }
  }
  return tasks;
}

std::string BuildKey(const v1::BuildTask& task,
                     const std::string& numeric_class) {
  search::CanonicalWriter key("evopress.build.1");
  key.Text(numeric_class);
  key.Text(proto::DeterministicBytes(task));
  return key.Sha256();
}

absl::Status CheckBuildResult(const v1::BuildTask& task,
                              const v1::BuildResult& result) {
  v1::LevelTable bare = result.units();
  for (v1::LevelTable::Unit& unit : *bare.mutable_units()) {
    for (v1::LevelTable::Level& level : *unit.mutable_levels()) {
      if (level.blobs_size() != unit.layers_size()) {
        return absl::InvalidArgumentError(
            absl::StrCat("build result: unit ", unit.name(), " level ",
                         level.name(), " has ", level.blobs_size(),
                         " blobs for ", unit.layers_size(), " layers"));
      }
      for (const v1::LevelTable::Blob& blob : level.blobs()) {
        if (!proto::IsSha256(blob.sha256()) || blob.size_bytes() < 0 ||
            blob.code_bits() < 0 || blob.stored_bits() < 0) {
          return absl::InvalidArgumentError(
              absl::StrCat("build result: unit ", unit.name(), " level ",
                           level.name(), " has a blob without hash or size"));
        }
      }
      level.clear_blobs();
    }
  }
  if (proto::DeterministicBytes(bare) !=
      proto::DeterministicBytes(task.units())) {
    return absl::InvalidArgumentError(
        "build result: units or levels differ from the task's");
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::LevelTable> AssembleLevelTable(
    const v1::SearchSpace& space, const std::vector<v1::BuildResult>& results) {
  std::map<std::pair<std::string, std::string>, const v1::LevelTable::Level*>
      built;
  for (const v1::BuildResult& result : results) {
    for (const v1::LevelTable::Unit& unit : result.units().units()) {
      for (const v1::LevelTable::Level& level : unit.levels()) {
        built[{unit.name(), level.name()}] = &level;
      }
    }
  }
  v1::LevelTable table;
  for (const v1::Unit& unit : space.units()) {
    v1::LevelTable::Unit& out = *table.add_units();
    out.set_name(unit.name());
    *out.mutable_layers() = unit.layers();
    for (const v1::LevelChoice& choice : unit.menu()) {
      v1::LevelTable::Level& level = *out.add_levels();
      if (!NeedsBlob(choice.name())) {
        level.set_name(choice.name());
        for (int i = 0; i < unit.layers_size(); ++i) level.add_blobs();
        continue;
      }
      const auto it = built.find({unit.name(), choice.name()});
      if (it == built.end()) {
        return absl::InternalError(absl::StrCat(
            "no build made level ", choice.name(), " of unit ", unit.name()));
      }
      level = *it->second;
    }
  }
  return table;
}

std::vector<std::vector<double>> LayerErrors(const v1::LevelTable& table) {
  std::vector<std::vector<double>> errors;
  for (const v1::LevelTable::Unit& unit : table.units()) {
    std::vector<double>& row = errors.emplace_back();
    for (const v1::LevelTable::Level& level : unit.levels()) {
      double sum = 0;
      for (const v1::LevelTable::Blob& blob : level.blobs()) {
        sum += blob.relative_error();
      }
      // Dropping a layer loses all of its output's energy.
      if (level.name() == "drop") sum = level.blobs_size();
      row.push_back(level.blobs_size() == 0 ? 0 : sum / level.blobs_size());
    }
  }
  return errors;
}

}  // namespace evopress::server
