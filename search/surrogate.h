// What a guided search believes about effects that it has not measured: the
// seam between measurements and what is raced next.
#ifndef EVOPRESS_SEARCH_SURROGATE_H_
#define EVOPRESS_SEARCH_SURROGATE_H_

#include <memory>
#include <vector>

#include "search/rng.h"
#include "search/space.h"

namespace evopress::search {

// effects[u][l] for every unit and level.
using Effects = std::vector<std::vector<double>>;

// One belief about all effects. All values are finite. Thread-safe.
class Belief {
 public:
  virtual ~Belief() = default;

  // Of the whole assignment, against one that is the same for all.
  virtual double Total(const Assignment& assignment) const = 0;

  // What changing one unit alone makes of `center`, 0 at its own levels. Units
  // in modules that `center` drops count against the levels it has for them.
  virtual Effects Around(const Assignment& center) const = 0;
};

// Thread-safe; must outlive its beliefs.
class Surrogate {
 public:
  virtual ~Surrogate() = default;

  virtual std::unique_ptr<Belief> Expected() const = 0;
  // One of the beliefs that the measurements allow.
  virtual std::unique_ptr<Belief> Draw(Rng& rng) const = 0;
};

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_SURROGATE_H_
