// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random
// numbers: as easy as 1, 2, 3", SC'11).
//
// A stream is named by (seed, round, slot) and has no history: drawing in one
// stream never moves another, so it does not matter who draws first. The
// standard library's distributions differ between libraries; ours do not.
#ifndef EVOPRESS_SEARCH_RNG_H_
#define EVOPRESS_SEARCH_RNG_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace evopress::search {

// The block function: ten rounds.
std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter,
                                   std::array<uint32_t, 2> key);

// One stream. A plain value; thread-compatible.
class Rng {
 public:
  explicit Rng(uint64_t seed, uint64_t round = 0, uint32_t slot = 0);

  uint64_t Next();

  // Unbiased in 0…n-1; 0 if n <= 1.
  uint64_t Below(uint64_t n);

  // 53 random bits in [0, 1).
  double Uniform();

  // Standard normal to a few percent, without libm: equal on every machine.
  double Normal();

  // Unbiased in lo…hi, both included; lo if hi <= lo.
  int64_t Between(int64_t lo, int64_t hi);

  // min(k, n) different values of 0…n-1 in the order drawn.
  std::vector<int32_t> SampleWithoutReplacement(int32_t n, int32_t k);

  template <typename T>
  void Shuffle(std::vector<T>& values) {
    for (size_t i = values.size(); i > 1; --i) {
      std::swap(values[i - 1], values[Below(i)]);
    }
  }

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_;  // block, slot, round low, round high
  std::array<uint32_t, 4> block_{};
  int used_ = 4;  // words of block_ already given out
};

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_RNG_H_
