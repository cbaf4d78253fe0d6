#include "search/rng.h"

#include <algorithm>
#include <numeric>

namespace evopress::search {
namespace {

constexpr uint32_t kMultiplier0 = 0xD2511F53;
constexpr uint32_t kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9;
constexpr uint32_t kWeyl1 = 0xBB67AE85;

uint32_t Low(uint64_t x) { return static_cast<uint32_t>(x); }
uint32_t High(uint64_t x) { return static_cast<uint32_t>(x >> 32); }

}  // namespace

std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter,
                                   std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{kMultiplier0} * counter[0];
    const uint64_t b = uint64_t{kMultiplier1} * counter[2];
    counter = {High(b) ^ counter[1] ^ key[0], Low(b),
               High(a) ^ counter[3] ^ key[1], Low(a)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

Rng::Rng(uint64_t seed, uint64_t round, uint32_t slot)
    : key_{Low(seed), High(seed)}, counter_{0, slot, Low(round), High(round)} {}

uint64_t Rng::Next() {
  if (used_ == 4) {
    block_ = Philox4x32(counter_, key_);
    ++counter_[0];
    used_ = 0;
  }
  const uint64_t value = (uint64_t{block_[used_ + 1]} << 32) | block_[used_];
  used_ += 2;
  return value;
}

uint64_t Rng::Below(uint64_t n) {
  if (n <= 1) return 0;
  // The lowest 2^64 mod n values would favour small remainders: draw again.
  const uint64_t reject = (0 - n) % n;
  uint64_t value = Next();
  while (value < reject) value = Next();
  return value % n;
}

double Rng::Uniform() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

double Rng::Normal() {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += Uniform();
  return sum;
}

int64_t Rng::Between(int64_t lo, int64_t hi) {
  if (hi <= lo) return lo;
  const uint64_t span = static_cast<uint64_t>(hi) - static_cast<uint64_t>(lo);
  const uint64_t offset = span == UINT64_MAX ? Next() : Below(span + 1);
  return static_cast<int64_t>(static_cast<uint64_t>(lo) + offset);
}

std::vector<int32_t> Rng::SampleWithoutReplacement(int32_t n, int32_t k) {
  n = std::max(n, 0);
  k = std::clamp(k, 0, n);
  std::vector<int32_t> values(n);
  std::iota(values.begin(), values.end(), 0);
  for (int32_t i = 0; i < k; ++i) {
    std::swap(values[i], values[i + Below(n - i)]);
  }
  values.resize(k);
  return values;
}

}  // namespace evopress::search
