#include "search/module_surrogate.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "search/probes.h"

namespace evopress::search {
namespace {

// How far a draw strays from an effect, as a share of it.
constexpr double kStray = 0.5;
// A flip that breaks the model counts as so many times the greatest effect.
constexpr double kBroken = 10;

using Flips = std::vector<std::optional<double>>;

class ModuleBelief : public Belief {
 public:
  ModuleBelief(const SearchSpace& space, const Assignment& center, Flips flips,
               std::unique_ptr<Belief> layers)
      : space_(space),
        center_(center),
        flips_(std::move(flips)),
        layers_(std::move(layers)) {}

  double Total(const Assignment& assignment) const override {
    Assignment kept = FillInactive(space_, assignment, center_.levels);
    double total = 0;
    for (size_t u = 0; u < flips_.size(); ++u) {
      if (!flips_[u].has_value()) continue;
      if (kept.levels[u] != center_.levels[u]) total += *flips_[u];
      kept.levels[u] = kKept;  // what is left is the layers' own
    }
    return total + layers_->Total(kept);
  }

  Effects Around(const Assignment& center) const override {
    Effects effects = layers_->Around(center);
    for (size_t u = 0; u < flips_.size(); ++u) {
      if (!flips_[u].has_value()) continue;
      effects[u].assign(2, *flips_[u]);
      effects[u][center_.levels[u]] = 0;
    }
    return effects;
  }

 private:
  const SearchSpace& space_;
  const Assignment& center_;
  const Flips flips_;
  const std::unique_ptr<Belief> layers_;
};

}  // namespace

ModuleSurrogate::ModuleSurrogate(const SearchSpace& space,
                                 const Assignment& center,
                                 const Measured& measured,
                                 std::unique_ptr<Surrogate> layers)
    : space_(space),
      center_(center),
      layers_(std::move(layers)),
      flips_(space.units.size()) {
  const Assignment stand = Canonical(space, center);
  double greatest = 0;
  std::vector<size_t> broken;
  for (const auto& [module, probe] : ProbesOfModules(space, center)) {
    const PairedDifference flip = measured.Compare(probe, stand);
    if (flip.samples == 0) continue;
    flips_[module] = flip.mean;
    if (std::isfinite(flip.mean)) {
      greatest = std::max(greatest, std::abs(flip.mean));
    } else {
      broken.push_back(module);
    }
  }
  for (size_t u : broken) flips_[u] = kBroken * (greatest > 0 ? greatest : 1);
}

std::unique_ptr<Belief> ModuleSurrogate::Expected() const {
  return std::make_unique<ModuleBelief>(space_, center_, flips_,
                                        layers_->Expected());
}

std::unique_ptr<Belief> ModuleSurrogate::Draw(Rng& rng) const {
  std::unique_ptr<Belief> layers = layers_->Draw(rng);
  Flips flips = flips_;
  for (std::optional<double>& flip : flips) {
    if (flip.has_value()) *flip *= 1 + kStray * rng.Normal();
  }
  return std::make_unique<ModuleBelief>(space_, center_, std::move(flips),
                                        std::move(layers));
}

}  // namespace evopress::search
