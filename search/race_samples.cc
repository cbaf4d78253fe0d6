#include "search/race_samples.h"

#include <algorithm>
#include <numeric>

#include "search/rng.h"

namespace evopress::search {
namespace {

// A slot of the generator that no candidate has.
constexpr uint32_t kPoolSlot = 0xFFFFFFFE;

}  // namespace

RaceSamples::RaceSamples(const SampleDomains& domains, uint64_t seed,
                         const std::vector<int32_t>& stages, int32_t decision) {
  for (int32_t samples : stages) shares_.push_back(domains.Shares(samples));
  const std::vector<int32_t> kept = domains.Shares(decision);
  Rng rng(seed, 0, kPoolSlot);
  for (size_t d = 0; d < domains.size(); ++d) {
    std::vector<int32_t>& pool = pools_.emplace_back(domains[d].samples);
    std::iota(pool.begin(), pool.end(), domains.begin(d));
    rng.Shuffle(pool);
    decision_.insert(decision_.end(), pool.end() - kept[d], pool.end());
    pool.resize(pool.size() - static_cast<size_t>(kept[d]));
  }
  std::sort(decision_.begin(), decision_.end());
}

std::vector<int32_t> RaceSamples::Of(int race, size_t rung) const {
  std::vector<int32_t> samples;
  for (size_t d = 0; d < pools_.size(); ++d) {
    const size_t first =
        static_cast<size_t>(race) * static_cast<size_t>(shares_.back()[d]);
    for (size_t i = 0; i < static_cast<size_t>(shares_[rung][d]); ++i) {
      samples.push_back(pools_[d][(first + i) % pools_[d].size()]);
    }
  }
  std::sort(samples.begin(), samples.end());
  return samples;
}

}  // namespace evopress::search
