#include "server/level_build.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "proto/conversions.h"
#include "search/digest.h"
#include "search/level_name.h"
#include "search/space.h"
#include "server/model_scores.h"

namespace evopress::server {
namespace {

constexpr char kStep[] = "levels";
// A head is last: its inputs are known after all blocks.
constexpr int kOutsideBlocks = std::numeric_limits<int>::max();

bool NeedsBlob(const std::string& level) {
  return level != search::kKeep && level != search::kDrop;
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

// How many units lie in the modules that `module` stands for.
int UnitsIn(const v1::LevelTable& table, const v1::LevelTable::Unit& module) {
  int count = 0;
  for (const v1::LevelTable::Unit& unit : table.units()) {
    count += std::any_of(module.layers().begin(), module.layers().end(),
                         [&](const std::string& name) {
                           return unit.layers_size() > 0 &&
                                  search::LiesIn(unit.layers(0), name);
                         });
  }
  return count;
}

}  // namespace

const v1::TokenSetRef* StatisticsOf(const v1::JobSpec& spec) {
  for (const v1::TokenSetRef& set : spec.data()) {
    if (set.role() == v1::TokenSetRef::STATISTICS) return &set;
  }
  return nullptr;
}

v1::BuildTask BareBuild(const v1::JobSpec& spec) {
  v1::BuildTask task;
  *task.mutable_model() = spec.model();
  task.mutable_model()->clear_display_name();
  if (const v1::TokenSetRef* statistics = StatisticsOf(spec)) {
    *task.mutable_statistics() = *statistics;
    task.mutable_statistics()->clear_domain();
  }
  return task;
}

std::vector<BlobName> BlobsOf(const v1::JobSpec& spec) {
  std::vector<BlobName> names;
  for (const v1::Unit& unit : spec.space().units()) {
    for (const std::string& layer : unit.layers()) {
      for (const v1::LevelChoice& level : unit.menu()) {
        if (NeedsBlob(level.name())) names.push_back({layer, level.name()});
      }
    }
  }
  return names;
}

KnownBlobs BlobsOf(const v1::BuildResult& result) {
  KnownBlobs blobs;
  for (const v1::LevelTable::Unit& unit : result.units().units()) {
    for (const v1::LevelTable::Level& level : unit.levels()) {
      for (int l = 0; l < unit.layers_size(); ++l) {
        blobs[{unit.layers(l), level.name()}] = level.blobs(l);
      }
    }
  }
  return blobs;
}

std::string BlobKey(const v1::JobSpec& spec, const std::string& numeric_class,
                    const BlobName& name) {
  const v1::TokenSetRef* const statistics = StatisticsOf(spec);
  search::CanonicalWriter key("evopress.blob.4");
  key.Text(numeric_class);
  key.Text(spec.model().hash());
  key.Text(statistics == nullptr ? "" : statistics->sha256());
  key.Text(name.layer);
  key.Text(name.level);
  return key.Sha256();
}

std::vector<v1::BuildTask> PlanBuilds(const v1::JobSpec& spec,
                                      const KnownBlobs& known) {
  struct Missing {
    const v1::Unit* unit;
    v1::LevelTable::Unit work;
  };
  std::map<int, std::vector<Missing>> blocks;
  for (const v1::Unit& unit : spec.space().units()) {
    Missing missing{&unit, {}};
    missing.work.set_name(unit.name());
    *missing.work.mutable_layers() = unit.layers();
    for (const v1::LevelChoice& level : unit.menu()) {
      if (!NeedsBlob(level.name())) continue;
      if (!std::all_of(unit.layers().begin(), unit.layers().end(),
                       [&](const std::string& layer) {
                         return known.contains({layer, level.name()});
                       })) {
        missing.work.add_levels()->set_name(level.name());
      }
    }
    if (missing.work.levels_size() > 0) {
      blocks[BlockOf(unit.name())].push_back(std::move(missing));
    }
  }
  std::vector<v1::BuildTask> tasks;
  int64_t weights = 0;
  for (auto& [block, units] : blocks) {
    if (tasks.empty() || weights >= kWeightsPerBuildTask) {
      tasks.push_back(BareBuild(spec));
      tasks.back().set_step(kStep);
      weights = 0;
    }
    for (Missing& missing : units) {
      *tasks.back().mutable_units()->add_units() = std::move(missing.work);
      weights += missing.unit->weights();
    }
  }
  return tasks;
}

absl::Status CheckBuildResult(const v1::BuildTask& task,
                              const v1::BuildResult& result) {
  if (task.step() == kProfileStep) return CheckProfile(result.profile());
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
            blob.code_bits() < 0 || blob.stored_bits() < 0 ||
            !std::isfinite(blob.relative_error()) ||
            blob.relative_error() < 0) {
          return absl::InvalidArgumentError(absl::StrCat(
              "build result: unit ", unit.name(), " level ", level.name(),
              " has a blob without hash, size or error"));
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

absl::StatusOr<v1::LevelTable> AssembleLevelTable(const v1::SearchSpace& space,
                                                  const KnownBlobs& known) {
  v1::LevelTable table;
  for (const v1::Unit& unit : space.units()) {
    v1::LevelTable::Unit& out = *table.add_units();
    out.set_name(unit.name());
    *out.mutable_layers() = unit.layers();
    for (const v1::LevelChoice& choice : unit.menu()) {
      v1::LevelTable::Level& level = *out.add_levels();
      level.set_name(choice.name());
      for (const std::string& layer : unit.layers()) {
        v1::LevelTable::Blob& blob = *level.add_blobs();
        if (!NeedsBlob(choice.name())) continue;
        const auto it = known.find({layer, choice.name()});
        if (it == known.end()) {
          return absl::InternalError(absl::StrCat(
              "no build made level ", choice.name(), " of layer ", layer));
        }
        blob = it->second;
      }
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
      row.push_back(level.blobs_size() == 0 ? 0 : sum / level.blobs_size());
      if (level.name() == search::kDrop) row.back() = UnitsIn(table, unit);
    }
  }
  return errors;
}

}  // namespace evopress::server
