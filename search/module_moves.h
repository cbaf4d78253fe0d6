// Moves of whole modules within a child under construction: what mutation.h
// adds to level switches in spaces with modules.
//
//   swap    drop a kept module and restore a dropped one of its class, whose
//           members take over the levels of the dropped one's. Costs stay. With
//           nothing but modules to search over, this is the one move of
//           EvoPress for depth pruning (arXiv 2410.14649).
//   resize  drop a module and spend what that frees on raises elsewhere; or
//           restore one and pay by lowerings elsewhere. The steering budget
//           holds, and is spent until no raise fits.
#ifndef EVOPRESS_SEARCH_MODULE_MOVES_H_
#define EVOPRESS_SEARCH_MODULE_MOVES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "search/rng.h"
#include "search/space.h"

namespace evopress::search {

// Which way a unit has moved within a child. It moves one way only, so that
// moves cannot cancel out.
enum class Way : uint8_t { kNone, kUp, kDown, kSideways };

struct Draft {
  Assignment child;
  std::vector<Way> ways;  // one per unit
};

// Modules of a class that have not moved yet.
struct ModuleClass {
  std::vector<size_t> kept;
  std::vector<size_t> dropped;
};

// "space" must outlive this. Thread-safe.
class ModuleMoves {
 public:
  // REQUIRES: a valid space.
  explicit ModuleMoves(const SearchSpace& space);

  bool IsModule(size_t unit) const { return !members_[unit].empty(); }

  // Classes with a swap: modules of one exchange group that cost the same with
  // the same levels of their members.
  std::vector<ModuleClass> Swaps(const Draft& draft) const;
  void Swap(const ModuleClass& among, Draft& draft, Rng& rng) const;

  // Modules that may be resized: all that have not moved, if the space has a
  // budget and members with a choice.
  std::vector<size_t> Resizable(const Draft& draft) const;
  // Leaves `draft` as it is if nothing can pay for restoring `module`.
  void Resize(size_t module, Draft& draft, Rng& rng) const;

 private:
  void Restore(size_t module, Draft& draft, Rng& rng) const;
  bool Pay(Draft& draft, Rng& rng) const;
  void Spend(Draft& draft, Rng& rng) const;
  // Units other than modules that are active and may still move `way`.
  std::vector<size_t> Movable(const Draft& draft, Way way) const;
  int64_t Slack(const Draft& draft) const;

  const SearchSpace* space_;
  int kind_;  // that steers
  std::vector<std::vector<size_t>> members_;
  std::map<std::string, std::vector<size_t>> classes_;
  bool resizes_ = false;
};

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_MODULE_MOVES_H_
