// worker/model_profile.h
// What the uncompressed model's activations say about its layers and blocks,
// without measuring any candidate: how strong each input is, and how far
// modules and runs of blocks turn the hidden states.
#ifndef EVOPRESS_WORKER_MODEL_PROFILE_H_
#define EVOPRESS_WORKER_MODEL_PROFILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "worker/architecture.h"

namespace evopress::worker {

// What happens to hidden states between two places, summed over tokens. x is a
// token's state at the first place, y at the second. A state of zeros is at a
// right angle to all others.
struct Flow {
  double cosine = 0;     // x y / (||x|| ||y||)
  double angle = 0;      // arccos of that, as a share of pi
  double magnitude = 0;  // ||y - x|| / ||y||, of y = 0: 1

  void Add(const Flow& other);
  bool operator==(const Flow&) const = default;
};

struct BlockProfile {
  struct Layer {
    std::string name;
    int site = 0;  // index into input_powers
    bool operator==(const Layer&) const = default;
  };
  struct Module {
    std::string name;
    Flow flow;
    bool operator==(const Module&) const = default;
  };
  std::vector<Layer> layers;
  std::vector<Module> modules;  // attention, MLP
  // By site, then input: the sum of its squares over the tokens that come
  // there.
  std::vector<std::vector<double>> input_powers;
  // windows[n]: from before this block to after the n-th block behind it.
  std::vector<Flow> windows;

  bool operator==(const BlockProfile&) const = default;
};

struct ModelProfile {
  int64_t tokens = 0;  // of all samples, what flows are summed over
  std::vector<BlockProfile> blocks;

  bool operator==(const ModelProfile&) const = default;
};

// Everything named and zero.
ModelProfile EmptyProfile(const Architecture& architecture);

// The flow of `tokens` states from `from` to `to`, each tokens x hidden,
// row-major. Summed up in a fixed order: the same bits wherever it runs in one
// numeric class. Thread-safe.
Flow MeasureFlow(const float* from, const float* to, int64_t tokens,
                 int64_t hidden);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_MODEL_PROFILE_H_
