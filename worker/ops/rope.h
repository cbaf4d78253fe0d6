// worker/ops/rope.h
// Rotary position embedding (arXiv 2104.09864) and its scalings.
#ifndef EVOPRESS_WORKER_OPS_ROPE_H_
#define EVOPRESS_WORKER_OPS_ROPE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace evopress::worker {

// What the configuration says about the rotation. Defaults mean no scaling.
struct RopeSpec {
  enum class Scaling { kNone, kLinear, kLlama3, kYarn };
  double base = 10000;
  int64_t dims = 0;  // leading dimensions of a head that are rotated; even
  Scaling scaling = Scaling::kNone;
  double factor = 1;
  double original_positions = 0;  // llama3, yarn
  double low_freq_factor = 1;     // llama3
  double high_freq_factor = 4;    // llama3
  double beta_fast = 32;          // yarn
  double beta_slow = 1;           // yarn
  bool truncate = true;           // yarn: round the correction range
  double attention_factor = 1;    // yarn: multiplies sines and cosines

  bool operator==(const RopeSpec&) const = default;
};

// Angular frequency of each of the dims/2 pairs, as transformers computes it.
std::vector<double> RopeFrequencies(const RopeSpec& spec);

// Sines and cosines for positions 0 … positions-1. Immutable.
class RopeTable {
 public:
  RopeTable(const RopeSpec& spec, int64_t positions);

  // Rotates `rows` rows of `heads` x `head_dim` values in place; row r stands
  // at position first + r. Pairs are (i, i + dims/2).
  // REQUIRES: first + rows <= positions().
  void Apply(int64_t first, int64_t rows, int64_t heads, int64_t head_dim,
             float* x) const;

  int64_t positions() const { return positions_; }

 private:
  int64_t half_;
  int64_t positions_;
  std::vector<float> cos_;  // positions x half
  std::vector<float> sin_;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_OPS_ROPE_H_
