// A toy whose optimum is known: damage adds up over units and costs are bits.
#ifndef EVOPRESS_TESTS_SEARCH_TOY_H_
#define EVOPRESS_TESTS_SEARCH_TOY_H_

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "search/replay.h"
#include "search/rng.h"
#include "search/space.h"
#include "search/strategy.h"
#include "search/strategy_options.h"

namespace evopress::search {

struct Toy {
  StrategyInput input;  // layer_errors is the damage itself
};

// Units of `sizes` weights with levels of `bits` bits. Damage of a unit is
// random and falls fourfold with every bit.
inline Toy MakeToy(const std::vector<int64_t>& sizes,
                   const std::vector<int>& bits, int64_t limit, uint64_t seed) {
  Toy toy;
  SearchSpace& space = toy.input.space;
  space.cost_kinds = {"code_bits"};
  space.constant_costs = {1000};
  space.budgets = {{0, limit + 1000}};
  Rng rng(seed, 77);
  for (size_t u = 0; u < sizes.size(); ++u) {
    Unit unit;
    unit.name = "unit." + std::to_string(u);
    unit.layers = {unit.name};
    unit.weights = sizes[u];
    unit.group = std::to_string(sizes[u]);
    std::vector<double>& errors = toy.input.layer_errors.emplace_back();
    const double scale = 0.01 + rng.Uniform();
    for (int b : bits) {
      unit.menu.push_back(
          {"gptq:b" + std::to_string(b) + ":g64:asym", {sizes[u] * b}});
      errors.push_back(scale / static_cast<double>(int64_t{1} << (2 * b)));
    }
    space.units.push_back(std::move(unit));
  }
  toy.input.num_samples = 16;
  toy.input.sample_tokens = 100;
  toy.input.seed = seed;
  return toy;
}

// Budget may move between all units.
inline Toy Ungrouped(Toy toy) {
  for (Unit& unit : toy.input.space.units) unit.group.clear();
  return toy;
}

// `blocks` blocks of two modules with two layers each, of different sizes: 4
// layer units a block, then all modules. Kinds: code_bits (a kept module costs
// 8 itself) and modules. The damage of a drop is random too. `limit` is of
// code_bits, without the constant.
inline Toy MakeModularToy(int blocks, const std::vector<int>& bits,
                          int64_t limit, uint64_t seed) {
  std::vector<int64_t> sizes;
  for (int b = 0; b < blocks; ++b) sizes.insert(sizes.end(), {16, 16, 32, 8});
  Toy toy = MakeToy(sizes, bits, limit, seed);
  SearchSpace& space = toy.input.space;
  space.cost_kinds.push_back("modules");
  space.constant_costs.push_back(0);
  for (Unit& unit : space.units) {
    for (LevelChoice& level : unit.menu) level.costs.push_back(0);
  }
  Rng rng(seed, 78);
  for (int m = 0; m < 2 * blocks; ++m) {
    const char* const kind = m % 2 == 0 ? "self_attn" : "mlp";
    Unit module;
    module.name = "layers." + std::to_string(m / 2) + "." + kind;
    module.layers = {module.name};
    module.group = kind;
    module.menu = {{kDrop, {0, 0}}, {kKeep, {8, 1}}};
    for (size_t u = 2 * m; u < 2 * size_t(m) + 2; ++u) {
      space.units[u].module = static_cast<int>(space.units.size());
      space.units[u].name = module.name + "." + std::to_string(u);
      space.units[u].layers = {space.units[u].name};
    }
    space.units.push_back(std::move(module));
    toy.input.layer_errors.push_back({0.02 + 0.2 * rng.Uniform(), 0});
  }
  return toy;
}

// Nothing but modules to choose; `kept` of them may stay.
inline Toy MakeDropToy(int blocks, int64_t kept, uint64_t seed) {
  Toy toy = MakeModularToy(blocks, {4}, 0, seed);
  toy.input.space.budgets = {{1, kept}};
  for (auto& errors : toy.input.layer_errors) {
    if (errors.size() == 1) errors[0] = 0;
  }
  return toy;
}

inline double Damage(const Toy& toy, const Assignment& assignment) {
  double total = 0;
  for (size_t u = 0; u < assignment.levels.size(); ++u) {
    if (!IsActive(toy.input.space, assignment, u)) continue;
    total += toy.input.layer_errors[u][assignment.levels[u]];
  }
  return total;
}

// Every sample agrees.
inline Measure ExactMeasure(const Toy& toy) {
  return [&toy](const Assignment& assignment, int32_t) {
    return SampleSums{Damage(toy, assignment) * 100, 0, 0, 100};
  };
}

// Samples disagree, by a pure function of (assignment, sample).
inline Measure NoisyMeasure(const Toy& toy) {
  return [&toy](const Assignment& assignment, int32_t sample) {
    uint64_t key = 14695981039346656037u;
    for (uint16_t level : assignment.levels) {
      key = (key ^ level) * 1099511628211u;
    }
    const double noise = Rng(key, 5, static_cast<uint32_t>(sample)).Uniform();
    return SampleSums{Damage(toy, assignment) * (80 + 40 * noise), 0, 0, 100};
  };
}

// A whole search in this thread, of a thousand rounds at most.
inline absl::StatusOr<ReplayResult> Search(const StrategyInput& input,
                                           const StrategyOptions& options,
                                           const Measure& measure,
                                           const RoundObserver& observer = {}) {
  auto strategy = MakeStrategy(input, options);
  if (!strategy.ok()) return strategy.status();
  auto step = (*strategy)->Start();
  if (!step.ok()) return step.status();
  return RunToEnd(**strategy, *std::move(step), History("test"), measure, 1000,
                  observer);
}

// Calls visit(assignment) for every assignment of the space.
template <typename Visit>
void ForEachAssignment(const SearchSpace& space, Visit visit) {
  Assignment assignment;
  assignment.levels.assign(space.units.size(), 0);
  while (true) {
    visit(assignment);
    size_t u = 0;
    while (u < space.units.size() &&
           ++assignment.levels[u] == space.units[u].menu.size()) {
      assignment.levels[u++] = 0;
    }
    if (u == space.units.size()) return;
  }
}

}  // namespace evopress::search

#endif  // EVOPRESS_TESTS_SEARCH_TOY_H_
