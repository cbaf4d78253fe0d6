#include "server/measurement_plan.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "search/digest.h"
#include "search/space.h"

namespace evopress::server {
namespace {

uint16_t LevelAt(const std::string& levels, int unit) {
  const size_t at = static_cast<size_t>(unit) * 2;
  return static_cast<uint16_t>(static_cast<uint8_t>(levels[at]) |
                               static_cast<uint8_t>(levels[at + 1]) << 8);
}

}  // namespace

MeasurementKeys::MeasurementKeys(const std::string& model_hash,
                                 const std::string& numeric_class,
                                 const v1::LevelTable& table)
    : model_hash_(model_hash), numeric_class_(numeric_class), table_(table) {}

bool MeasurementKeys::Fits(const std::string& levels) const {
  if (levels.size() != static_cast<size_t>(table_.units_size()) * 2) {
    return false;
  }
  for (int u = 0; u < table_.units_size(); ++u) {
    const uint16_t level = LevelAt(levels, u);
    if (level != kKeepLevel && level >= table_.units(u).levels_size()) {
      return false;
    }
  }
  return true;
}

std::string MeasurementKeys::Phenotype(const std::string& levels) const {
  std::map<std::string, std::string> layers;
  std::vector<std::string> dropped;
  for (int u = 0; u < table_.units_size(); ++u) {
    const uint16_t index = LevelAt(levels, u);
    if (index == kKeepLevel) continue;
    const v1::LevelTable::Unit& unit = table_.units(u);
    const v1::LevelTable::Level& level = unit.levels(index);
    for (int l = 0; l < unit.layers_size(); ++l) {
      const std::string& sha256 = level.blobs(l).sha256();
      if (!sha256.empty()) {
        layers[unit.layers(l)] = sha256;
      } else if (level.name() == search::kDrop) {
        dropped.push_back(unit.layers(l));
      } else if (level.name() != search::kKeep) {
        layers[unit.layers(l)] = level.name();
      }
    }
  }
  // What a dropped module would have run with makes no difference.
  for (const std::string& module : dropped) {
    std::erase_if(layers, [&](const auto& entry) {
      return search::LiesIn(entry.first, module);
    });
    layers[module] = search::kDrop;
  }
  search::CanonicalWriter phenotype("evopress.phenotype.1");
  for (const auto& [layer, blob] : layers) {
    phenotype.Text(layer);
    phenotype.Text(blob);
  }
  return phenotype.Sha256();
}

std::string MeasurementKeys::Key(const std::string& phenotype,
                                 const std::string& data_sha256,
                                 int32_t sequence) const {
  search::CanonicalWriter key("evopress.measurement.1");
  key.Text(model_hash_);
  key.Text(numeric_class_);
  key.Text(data_sha256);
  key.Int(sequence);
  key.Text(phenotype);
  return key.Sha256();
}

std::vector<v1::EvaluateTask> PackTasks(const v1::EvaluateTask& common,
                                        const std::vector<Pair>& pairs) {
  std::map<std::string, std::set<int32_t>> sequences_of;
  for (const Pair& pair : pairs) {
    sequences_of[pair.levels].insert(pair.sequence);
  }
  std::map<std::vector<int32_t>, std::vector<std::string>> groups;
  for (const auto& [levels, sequences] : sequences_of) {
    groups[{sequences.begin(), sequences.end()}].push_back(levels);
  }
  const size_t fitting = static_cast<size_t>(std::max<int64_t>(
      1, kMaxTaskTokens / std::max(1, common.data().length())));
  std::vector<v1::EvaluateTask> tasks;
  for (const auto& [sequences, assignments] : groups) {
    const size_t wide = std::min(assignments.size(), fitting);
    const size_t deep = std::max<size_t>(1, fitting / wide);
    for (size_t s = 0; s < sequences.size(); s += deep) {
      for (size_t a = 0; a < assignments.size(); a += wide) {
        v1::EvaluateTask& task = tasks.emplace_back(common);
        for (size_t i = s; i < std::min(s + deep, sequences.size()); ++i) {
          task.add_sequences(sequences[i]);
        }
        for (size_t i = a; i < std::min(a + wide, assignments.size()); ++i) {
          task.add_assignments(assignments[i]);
        }
      }
    }
  }
  return tasks;
}

std::vector<v1::EvaluateTask> Split(const v1::EvaluateTask& task) {
  std::vector<v1::EvaluateTask> halves(2, task);
  const bool by_assignment = task.assignments_size() > 1;
  const int size =
      by_assignment ? task.assignments_size() : task.sequences_size();
  const int middle = size / 2;
  for (int h = 0; h < 2; ++h) {
    const int begin = h == 0 ? 0 : middle;
    const int end = h == 0 ? middle : size;
    if (by_assignment) {
      halves[h].clear_assignments();
      for (int i = begin; i < end; ++i) {
        halves[h].add_assignments(task.assignments(i));
      }
    } else {
      halves[h].clear_sequences();
      for (int i = begin; i < end; ++i) {
        halves[h].add_sequences(task.sequences(i));
      }
    }
  }
  return halves;
}

}  // namespace evopress::server
