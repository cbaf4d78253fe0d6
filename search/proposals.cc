#include "search/proposals.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "search/mutation.h"
#include "search/rng.h"
#include "search/trust_region.h"

namespace evopress::search {
namespace {

// Reaches go down by halves, this many of them.
constexpr int kReaches = 4;
// Many draws solve to what is known already.
constexpr int kTriesPerCandidate = 4;
// Children by level switches: one place in so many, each the best of a litter.
constexpr int kChildShare = 2;
constexpr int kLitter = 64;
constexpr int kMaxSwitches = 3;
// Rounds of the generator that nothing else draws from.
constexpr uint64_t kChildRounds = uint64_t{1} << 32;

}  // namespace

std::vector<Assignment> Propose(const SearchSpace& space,
                                const Surrogate& surrogate,
                                const Assignment& center,
                                const std::set<Assignment>& known,
                                const ProposalOptions& options) {
  const Effects expected = surrogate.Expected()->Around(center);
  const uint64_t race = static_cast<uint64_t>(options.race);
  std::set<Assignment> seen = known;
  std::vector<Assignment> found;
  const auto full = [&](int places) {
    return found.size() >= static_cast<size_t>(places);
  };

  const int solved = options.count - options.count / kChildShare;
  for (int slot = 0; slot < kTriesPerCandidate * solved; ++slot) {
    if (full(solved)) break;
    Rng rng(options.seed, race, static_cast<uint32_t>(slot));
    const double reach =
        options.reach / static_cast<double>(1 << (slot % kReaches));
    absl::StatusOr<Assignment> candidate = SolveWithinReach(
        space, slot < kReaches ? expected : surrogate.Draw(rng)->Around(center),
        center, reach);
    if (!candidate.ok()) continue;
    if (!WithinBudgets(space, *candidate)) continue;
    if (seen.insert(*candidate).second) found.push_back(*std::move(candidate));
  }

  const std::vector<Assignment> children =
      Offspring(space, Canonical(space, center), kLitter * options.count,
                kMaxSwitches, options.seed, kChildRounds + race);
  for (size_t first = 0; first < children.size() && !full(options.count);
       first += kLitter) {
    Rng rng(options.seed, kChildRounds + race,
            static_cast<uint32_t>(kLitter * options.count + first));
    const std::unique_ptr<Belief> belief = surrogate.Draw(rng);
    const Assignment* best = nullptr;
    double least = 0;
    for (size_t i = first; i < std::min(first + kLitter, children.size());
         ++i) {
      if (seen.count(children[i]) != 0) continue;
      const double predicted = belief->Total(children[i]);
      if (best != nullptr && predicted >= least) continue;
      best = &children[i];
      least = predicted;
    }
    if (best == nullptr) continue;
    seen.insert(*best);
    found.push_back(*best);
  }
  return found;
}

}  // namespace evopress::search
