#include "worker/level_builder.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <atomic>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "quant/compressor.h"
#include "quant/packed_weight.h"
#include "search/level_name.h"
#include "worker/available_cores.h"

namespace evopress::worker {
namespace {

// One layer of one unit: its place in the table.
struct Place {
  int unit;
  int layer;
};

// Compresses one layer to every quantizer level of its unit, and writes the
// blobs into the unit's levels. The blob entries exist already.
absl::Status BuildLayer(
    const quant::Checkpoint& model, const quant::Statistics& statistics,
    const std::function<absl::StatusOr<std::string>(const std::string&)>& store,
    int layer_index, v1::LevelTable::Unit& unit) {
  const std::string& layer = unit.layers(layer_index);
  const quant::TensorInfo* info = model.Find(layer + ".weight");
  if (info == nullptr || info->shape.size() != 2) {
    return absl::NotFoundError(
        absl::StrCat("the model has no linear layer \"", layer, "\""));
  }
  std::vector<float> weight(info->elements());
  if (absl::Status s = model.ReadF32(info->name, absl::MakeSpan(weight));
      !s.ok()) {
    return s;
  }
  quant::LayerContext context;
  context.name = layer;
  context.shape = {info->shape[0], info->shape[1]};
  context.weight = weight;
  const auto site = statistics.site_of_layer.find(layer);
  if (site != statistics.site_of_layer.end()) {
    context.gram = &statistics.sites.at(site->second);
  }

  // Levels of one method are made together and share their factorization.
  std::map<std::string, std::vector<int>> levels_of_method;
  std::vector<search::LevelName> names(unit.levels_size());
  for (int i = 0; i < unit.levels_size(); ++i) {
    absl::StatusOr<search::LevelName> name =
        search::ParseLevel(unit.levels(i).name());
    if (!name.ok()) return name.status();
    names[i] = *name;
    if (name->method == "keep") continue;
    levels_of_method[name->method].push_back(i);
  }
  for (const auto& [method, indices] : levels_of_method) {
    absl::StatusOr<const quant::Compressor*> compressor =
        quant::FindCompressor(method);
    if (!compressor.ok()) return compressor.status();
    std::vector<search::LevelName> wanted;
    for (const int i : indices) wanted.push_back(names[i]);
    absl::StatusOr<std::vector<quant::CompressedLayer>> made =
        (*compressor)->Compress(context, wanted);
    if (!made.ok()) return made.status();
    for (size_t j = 0; j < indices.size(); ++j) {
      const quant::CompressedLayer& result = (*made)[j];
      const std::string bytes = quant::SerializeBlob(result.weight);
      absl::StatusOr<std::string> sha256 = store(bytes);
      if (!sha256.ok()) return sha256.status();
      v1::LevelTable::Blob* blob =
          unit.mutable_levels(indices[j])->mutable_blobs(layer_index);
      blob->set_sha256(*sha256);
      blob->set_size_bytes(static_cast<int64_t>(bytes.size()));
      blob->set_relative_error(result.relative_error);
      blob->set_code_bits(result.costs.code_bits);
      blob->set_stored_bits(result.costs.stored_bits);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<bool> NeedsStatistics(const v1::LevelTable& table) {
  for (const v1::LevelTable::Unit& unit : table.units()) {
    for (const v1::LevelTable::Level& level : unit.levels()) {
      absl::StatusOr<search::LevelName> name = search::ParseLevel(level.name());
      if (!name.ok()) return name.status();
      if (name->method == "keep") continue;
      absl::StatusOr<const quant::Compressor*> compressor =
          quant::FindCompressor(name->method);
      if (!compressor.ok()) return compressor.status();
      if ((*compressor)->needs_gram()) return true;
    }
  }
  return false;
}

absl::StatusOr<v1::LevelTable> BuildLevels(
    const quant::Checkpoint& model, const quant::Statistics& statistics,
    v1::LevelTable table,
    const std::function<absl::StatusOr<std::string>(const std::string&)>& store,
    int threads, const Progress& progress) {
  std::vector<Place> places;
  for (int u = 0; u < table.units_size(); ++u) {
    v1::LevelTable::Unit* unit = table.mutable_units(u);
    for (v1::LevelTable::Level& level : *unit->mutable_levels()) {
      level.clear_blobs();
      for (int l = 0; l < unit->layers_size(); ++l) level.add_blobs();
    }
    for (int l = 0; l < unit->layers_size(); ++l) places.push_back({u, l});
  }

  std::mutex mutex;
  absl::Status first_error;  // guarded by mutex
  size_t finished = 0;       // guarded by mutex
  std::atomic<bool> failed = false;
  tbb::task_arena arena(threads > 0 ? threads : AvailableCores());
  arena.execute([&] {
    tbb::parallel_for(
        size_t{0}, places.size(),
        [&](size_t i) {
          if (failed) return;
          absl::Status status =
              BuildLayer(model, statistics, store, places[i].layer,
                         *table.mutable_units(places[i].unit));
          std::lock_guard<std::mutex> lock(mutex);
          ++finished;
          if (status.ok() && progress &&
              !progress(static_cast<double>(finished) / places.size())) {
            status = absl::CancelledError("cancelled");
          }
          if (status.ok()) return;
          if (first_error.ok()) first_error = status;
          failed = true;
        },
        tbb::simple_partitioner());
  });
  if (!first_error.ok()) return first_error;
  return table;
}

}  // namespace evopress::worker
