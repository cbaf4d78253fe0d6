#include "search/race_samples.h"

#include <algorithm>
#include <numeric>

#include "search/rng.h"

namespace evopress::search {
namespace {

// A slot of the generator that no candidate has.
constexpr uint32_t kPoolSlot = 0xFFFFFFFE;

// By domain, where the turn begins that takes `shares` at a time.
std::vector<size_t> Places(int turn, const std::vector<int32_t>& shares) {
  std::vector<size_t> places;
  for (const int32_t share : shares) {
    places.push_back(static_cast<size_t>(turn) * static_cast<size_t>(share));
  }
  return places;
}

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
  return Take(Places(race, shares_.back()), shares_[rung]);
}

std::vector<int32_t> RaceSamples::OfStep(int step) const {
  return Take(Places(step, shares_.front()), shares_.front());
}

std::vector<int32_t> RaceSamples::Apart(int race) const {
  std::vector<size_t> places = Places(race + 1, shares_.back());
  for (size_t d = 0; d < places.size(); ++d) {
    places[d] -= static_cast<size_t>(shares_.front()[d]);
  }
  return Take(places, shares_.front());
}

std::vector<int32_t> RaceSamples::Take(
    const std::vector<size_t>& places,
    const std::vector<int32_t>& counts) const {
  std::vector<int32_t> samples;
  for (size_t d = 0; d < pools_.size(); ++d) {
    const std::vector<int32_t>& pool = pools_[d];
    for (size_t i = 0; i < static_cast<size_t>(counts[d]); ++i) {
      samples.push_back(pool[(places[d] + i) % pool.size()]);
    }
  }
  std::sort(samples.begin(), samples.end());
  return samples;
}

}  // namespace evopress::search
