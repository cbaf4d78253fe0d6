// Which calibration samples a guided search uses when: some are kept apart for
// the decision, the others go round, a fresh set for every race.
#ifndef EVOPRESS_SEARCH_RACE_SAMPLES_H_
#define EVOPRESS_SEARCH_RACE_SAMPLES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace evopress::search {

// A plain value; thread-safe once made. All samples come in rising order.
class RaceSamples {
 public:
  // stages[rung]: samples of a race up to its `rung`, rising.
  // REQUIRES: stages.back() + decision <= num_samples.
  RaceSamples(int32_t num_samples, uint64_t seed, std::vector<int32_t> stages,
              int32_t decision);

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
  size_t last_rung() const { return stages_.size() - 1; }

 private:
  // `count` of the pool from place `first` on.
  std::vector<int32_t> Take(size_t first, int32_t count) const;

  std::vector<int32_t> stages_;
  std::vector<int32_t> pool_;  // in drawn order
  std::vector<int32_t> decision_;
};

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_RACE_SAMPLES_H_
