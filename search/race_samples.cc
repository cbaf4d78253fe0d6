#include "search/race_samples.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "search/rng.h"

namespace evopress::search {
namespace {

// A slot of the generator that no candidate has.
constexpr uint32_t kPoolSlot = 0xFFFFFFFE;

}  // namespace

RaceSamples::RaceSamples(int32_t num_samples, uint64_t seed,
                         std::vector<int32_t> stages, int32_t decision)
    : stages_(std::move(stages)), pool_(static_cast<size_t>(num_samples)) {
  Rng rng(seed, 0, kPoolSlot);
  std::iota(pool_.begin(), pool_.end(), 0);
  rng.Shuffle(pool_);
  decision_.assign(pool_.end() - decision, pool_.end());
  pool_.resize(pool_.size() - decision_.size());
  std::sort(decision_.begin(), decision_.end());
}

std::vector<int32_t> RaceSamples::Of(int race, size_t rung) const {
  return Take(static_cast<size_t>(race) * static_cast<size_t>(stages_.back()),
              stages_[rung]);
}

std::vector<int32_t> RaceSamples::OfStep(int step) const {
  return Take(static_cast<size_t>(step) * static_cast<size_t>(stages_.front()),
              stages_.front());
}

std::vector<int32_t> RaceSamples::Apart(int race) const {
  return Take(
      static_cast<size_t>(race + 1) * static_cast<size_t>(stages_.back()) -
          static_cast<size_t>(stages_.front()),
      stages_.front());
}

std::vector<int32_t> RaceSamples::Take(size_t first, int32_t count) const {
  std::vector<int32_t> samples;
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    samples.push_back(pool_[(first + i) % pool_.size()]);
  }
  std::sort(samples.begin(), samples.end());
  return samples;
}

}  // namespace evopress::search
