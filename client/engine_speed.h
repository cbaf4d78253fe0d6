// How fast this machine runs a model: a short run of the real engine, in its
// own process as in a search, on cheap levels of two layers that are made for
// it and thrown away.
//
// The engine walks assignments together until they part, so time depends on
// what is asked. Told apart are the blocks, the loss and the reference:
//   seconds = block * tokens through all blocks + loss * tokens compared
//           + reference * tokens of sequences seen for the first time
#ifndef EVOPRESS_CLIENT_ENGINE_SPEED_H_
#define EVOPRESS_CLIENT_ENGINE_SPEED_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "quant/checkpoint.h"
#include "search/space.h"

namespace evopress::client {

// Seconds with all threads.
struct EngineSpeed {
  std::string numeric_class;
  double open = 0;               // start of the engine
  double block = 0;              // a token through all blocks
  double loss = 0;               // a token of one assignment compared
  double reference = 0;          // a token of the reference
  double capture_token = 0;      // a token of statistics, all layers
  double capture_fixed = 0;      // whatever their number
  double compress = 0;           // all levels of all layers
  int64_t peak_bytes = 0;        // of the engine's process in this run
  int64_t statistics_bytes = 0;  // of all layers
  double spent = 0;              // on this measurement
};

struct EngineSpeedOptions {
  std::string evaluator_binary;
  std::string model_path;
  int threads = 0;  // 0: one per available core
  int64_t memory_bytes = int64_t{4} << 30;
};

// Measures with up to a sequence of `sequences` at a time, shorter ones where
// the model is slow: some seconds in all. Levels are timed on some layers of
// the first block and scaled by their shapes.
// REQUIRES: one sequence of two tokens or more.
absl::StatusOr<EngineSpeed> MeasureEngineSpeed(
    const quant::Checkpoint& model, const search::SearchSpace& space,
    const std::vector<std::vector<int32_t>>& sequences,
    const EngineSpeedOptions& options);

// The N of "layers.<N>." in a layer's name; -1 if it has none.
int BlockOfLayer(const std::string& layer);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_ENGINE_SPEED_H_
