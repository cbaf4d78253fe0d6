// One index file of the level store: the levels of one layer. JSON, then a
// line with the SHA-256 of the JSON.
#ifndef EVOPRESS_QUANT_LEVEL_STORE_INDEX_H_
#define EVOPRESS_QUANT_LEVEL_STORE_INDEX_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "quant/level_store.h"

namespace evopress::quant {

// By level name; the keys differ in nothing else.
using LayerRecords = std::map<std::string, LevelRecord>;

// The same for all levels of a layer: 64 hex digits. InvalidArgument unless
// the key is UTF-8.
absl::StatusOr<std::string> LayerHash(const LevelKey& key);

// NotFound; DataLoss, naming the file, if it is damaged.
absl::StatusOr<LayerRecords> ReadLayerRecords(const std::string& path);

// Atomic and durable; without records the file is deleted.
absl::Status WriteLayerRecords(const LayerRecords& records,
                               const std::string& path);

}  // namespace evopress::quant

#endif  // EVOPRESS_QUANT_LEVEL_STORE_INDEX_H_
