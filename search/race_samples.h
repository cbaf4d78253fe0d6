// Which calibration samples a guided search uses when: some are kept apart for
// the decision, the others go round, a fresh set for every race. Every domain
// has its share of every set.
#ifndef EVOPRESS_SEARCH_RACE_SAMPLES_H_
#define EVOPRESS_SEARCH_RACE_SAMPLES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "search/sample_domains.h"

namespace evopress::search {

// A plain value; thread-safe once made. All samples come in rising order.
class RaceSamples {
 public:
  // stages[rung]: samples of a race up to its `rung`, rising.
  // REQUIRES: domains.CheckSets() of stages.front(), and of stages.back() and
  // decision.
  RaceSamples(const SampleDomains& domains, uint64_t seed,
              const std::vector<int32_t>& stages, int32_t decision);

  // Samples of race `race` up to its `rung`; each set contains the one before
  // it.
  std::vector<int32_t> Of(int race, size_t rung) const;
  // Up to the last rung.
  std::vector<int32_t> Of(int race) const { return Of(race, last_rung()); }

  // As many as a race's first stage has, different for every `step`; those of
  // the first steps lie in Of(0).
  std::vector<int32_t> OfStep(int step) const;
  // As many, from the end of a race's: the first stage does not see them unless
  // it is the last.
  std::vector<int32_t> Apart(int race) const;

  const std::vector<int32_t>& decision() const { return decision_; }
  size_t last_rung() const { return shares_.size() - 1; }

 private:
  // Of every domain, counts[domain] of its pool from places[domain] on.
  std::vector<int32_t> Take(const std::vector<size_t>& places,
                            const std::vector<int32_t>& counts) const;

  std::vector<std::vector<int32_t>> shares_;  // [rung][domain]
  std::vector<std::vector<int32_t>> pools_;   // of each domain, in drawn order
  std::vector<int32_t> decision_;
};

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_RACE_SAMPLES_H_
