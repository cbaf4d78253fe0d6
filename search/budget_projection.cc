#include "search/budget_projection.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace evopress::search {
namespace {

// Doublings of the price before a share counts as out of reach.
constexpr int kMaxDoublings = 20;

// The nearest to `point` of all that sum to one and are at least kLeastShare /
// size: each value less one amount, or the least.
void ProjectOntoSimplex(std::vector<double>& point) {
  const double size = static_cast<double>(point.size());
  const double least = kLeastShare / size;
  std::vector<double> sorted = point;
  std::sort(sorted.begin(), sorted.end(), std::greater<double>());
  // The amount when the `kept` greatest stay above the least.
  double sum = 0, amount = 0;
  for (size_t kept = 1; kept <= sorted.size(); ++kept) {
    sum += sorted[kept - 1];
    const double n = static_cast<double>(kept);
    const double candidate = (sum - (1 - (size - n) * least)) / n;
    if (kept > 1 && sorted[kept - 1] - candidate <= least) break;
    amount = candidate;
  }
  for (double& value : point) value = std::max(value - amount, least);
}

// One group with its costs as shares of the widest menu's range, so that
// prices have the scale of probabilities.
class Group {
 public:
  Group(const SearchSpace& space, const GroupShare& share)
      : units_(share.units) {
    const int kind = SteeringKind(space);
    int64_t cheapest = 0, widest = 1;
    for (size_t u : units_) {
      const auto& menu = space.units[u].menu;
      cheapest += menu.front().costs[kind];
      widest =
          std::max(widest, menu.back().costs[kind] - menu.front().costs[kind]);
    }
    const double scale = static_cast<double>(widest);
    target_ = static_cast<double>(share.limit - cheapest) / scale;
    for (size_t u : units_) {
      const auto& menu = space.units[u].menu;
      std::vector<double>& costs = costs_.emplace_back();
      for (const LevelChoice& level : menu) {
        costs.push_back(
            static_cast<double>(level.costs[kind] - menu.front().costs[kind]) /
            scale);
      }
    }
  }

  void Project(Probabilities& point) const {
    Probabilities projected;
    double cheap = -1, dear = 1;
    for (int i = 0; i < kMaxDoublings; ++i) {
      if (Excess(point, cheap, projected) >= 0) break;
      cheap *= 2;
    }
    for (int i = 0; i < kMaxDoublings; ++i) {
      if (Excess(point, dear, projected) <= 0) break;
      dear *= 2;
    }
    while (true) {
      const double price = cheap + (dear - cheap) / 2;
      if (price <= cheap || price >= dear) break;
      if (Excess(point, price, projected) > 0) {
        cheap = price;
      } else {
        dear = price;
      }
    }
    Excess(point, dear, projected);
    for (size_t i = 0; i < units_.size(); ++i) {
      point[units_[i]] = std::move(projected[i]);
    }
  }

 private:
  // Expected cost above the share when cost has this price.
  double Excess(const Probabilities& point, double price,
                Probabilities& projected) const {
    projected.clear();
    double expected = 0;
    for (size_t i = 0; i < units_.size(); ++i) {
      std::vector<double>& p = projected.emplace_back(point[units_[i]]);
      for (size_t l = 0; l < p.size(); ++l) p[l] -= price * costs_[i][l];
      ProjectOntoSimplex(p);
      for (size_t l = 0; l < p.size(); ++l) expected += p[l] * costs_[i][l];
    }
    return expected - target_;
  }

  const std::vector<size_t>& units_;
  Probabilities costs_;  // [i][l] of units_[i]
  double target_ = 0;
};

}  // namespace

Probabilities ProjectOntoShares(const SearchSpace& space,
                                const std::vector<GroupShare>& shares,
                                Probabilities point) {
  for (const GroupShare& share : shares) Group(space, share).Project(point);
  return point;
}

}  // namespace evopress::search
