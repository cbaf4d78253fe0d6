// Beliefs about modules as they were measured where the search stands.
//
// What dropping or restoring a module does depends on what else is dropped, in
// sign too: nothing that holds for all assignments can be learnt. So every
// module is flipped alone in the incumbent and measured, as greedy elimination
// does at every step, and these effects replace what another surrogate, that of
// the layers, says about modules. Draws stray from them by a share of each, so
// that little effects keep their order among great ones.
#ifndef EVOPRESS_SEARCH_MODULE_SURROGATE_H_
#define EVOPRESS_SEARCH_MODULE_SURROGATE_H_

#include <memory>
#include <optional>
#include <vector>

#include "search/measured.h"
#include "search/space.h"
#include "search/surrogate.h"

namespace evopress::search {

class ModuleSurrogate : public Surrogate {
 public:
  // `center` has a level that is meant for every unit, active or not; what was
  // measured of it and of its ProbesOfModules() is read here. A flip that was
  // not measured together with `center` counts as `layers` says. "space" must
  // outlive this.
  ModuleSurrogate(const SearchSpace& space, const Assignment& center,
                  const Measured& measured, std::unique_ptr<Surrogate> layers);

  // Beliefs hold around `center` only.
  std::unique_ptr<Belief> Expected() const override;
  std::unique_ptr<Belief> Draw(Rng& rng) const override;

 private:
  const SearchSpace& space_;
  const Assignment center_;
  const std::unique_ptr<Surrogate> layers_;
  // [u]: of flipping module u; none of other units and the unmeasured.
  std::vector<std::optional<double>> flips_;
};

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_MODULE_SURROGATE_H_
