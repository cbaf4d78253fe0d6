#include "client/space_builder.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "quant/compressor.h"
#include "search/budget.h"
#include "search/grouping.h"
#include "search/knapsack.h"
#include "search/level_name.h"
#include "search/uniform.h"

namespace evopress::client {
namespace {

constexpr char kBlocks[] = "model.layers.";
constexpr char kWeight[] = ".weight";
constexpr char kRouter[] = ".gate.weight";  // small, and decides for experts

// "model.layers.12.x" sorts as numbers do, so that spaces read in model order.
std::pair<int64_t, std::string> ModelOrder(const std::string& layer) {
  int64_t block = std::numeric_limits<int64_t>::max();
  if (layer == kEmbeddingLayer) return {-1, layer};
  if (!absl::StartsWith(layer, kBlocks)) return {block, layer};
  const std::string rest = layer.substr(sizeof(kBlocks) - 1);
  const std::string number = rest.substr(0, rest.find('.'));
  if (!absl::SimpleAtoi(number, &block)) {
    block = std::numeric_limits<int64_t>::max();
  }
  return {block, layer};
}

// One layer with the costs of its levels.
absl::StatusOr<search::Unit> MakeUnit(
    const std::string& layer, const quant::TensorInfo& tensor,
    const std::vector<search::LevelName>& menu) {
  search::Unit unit;
  unit.name = layer;
  unit.layers = {layer};
  unit.weights = tensor.elements();
  const quant::WeightShape shape{tensor.shape[0], tensor.shape[1]};
  for (const search::LevelName& level : menu) {
    if (level.method == search::kDrop) {
      return absl::InvalidArgumentError(
          "modules are dropped, not layers: instead of the level drop in "
          "--menu give --drop attn,mlp");
    }
    auto costs = quant::CostsOf(shape, level);
    if (!costs.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("layer ", unit.name, " of ", shape.rows, " x ",
                       shape.cols, " cannot take level ", search::Format(level),
                       " of the menu: ", costs.status().message()));
    }
    unit.menu.push_back({search::Format(level),
                         {costs->code_bits, costs->stored_bits,
                          costs->stored_bits, costs->nonzeros}});
  }
  return unit;
}

absl::Status Unreachable(const search::SearchSpace& space,
                         const search::Budget& budget) {
  const search::CostRange range = ReachableCosts(space, budget.kind);
  const int64_t weights = TotalWeights(space);
  const std::string& kind = space.cost_kinds[budget.kind];
  if (!IsBits(budget.kind)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "budget ", kind, " <= ", budget.limit,
        " cannot be met; reachable with this menu: ", range.min, " to ",
        range.max,
        budget.kind == kNonzeros
            ? "; lower --target-sparsity or add sparser levels to --menu"
            : "; raise the budget or add cheaper levels to --menu"));
  }
  std::string message = absl::StrCat(
      "budget ", kind, " <= ", budget.limit, " (",
      search::FormatBitsPerWeight(budget.limit, weights),
      " bits per weight of the searched layers) cannot be met; reachable with "
      "this menu: ",
      search::FormatBitsPerWeight(range.min, weights), " to ",
      search::FormatBitsPerWeight(range.max, weights),
      " bits per weight = ", range.min, " to ", range.max, " bits");
  if (budget.kind == kModelBits) {
    absl::StrAppend(&message, " = ", (range.min + 7) / 8, " to ",
                    (range.max + 7) / 8, " bytes for the whole model");
  }
  absl::StrAppend(&message,
                  "; raise the budget or add cheaper levels to --menu");
  return absl::FailedPreconditionError(message);
}

absl::StatusOr<search::Budget> ParseBudget(const std::string& text,
                                           const search::SearchSpace& space) {
  const size_t equals = text.find('=');
  const std::string kind = text.substr(0, equals);
  const auto found =
      std::find(space.cost_kinds.begin(), space.cost_kinds.end(), kind);
  if (equals == std::string::npos || found == space.cost_kinds.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "budget \"", text, "\" is not KIND=LIMIT with a kind of ",
        absl::StrJoin(space.cost_kinds, ", "), ", e.g. code_bits=250000000"));
  }
  search::Budget budget;
  budget.kind = static_cast<int>(found - space.cost_kinds.begin());
  const std::string limit = text.substr(equals + 1);
  if (!absl::SimpleAtoi(limit, &budget.limit) || budget.limit < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("budget \"", text, "\": \"", limit,
                     "\" is not a whole number, 0 or more"));
  }
  return budget;
}

absl::Status AddModuleBudget(const BudgetOptions& options,
                             search::SearchSpace& space) {
  if (options.drop_share.empty() && options.max_modules.empty()) {
    return absl::OkStatus();
  }
  if (!options.drop_share.empty() && !options.max_modules.empty()) {
    return absl::InvalidArgumentError(
        "--drop-share and --max-modules exclude each other");
  }
  const auto found =
      std::find(space.cost_kinds.begin(), space.cost_kinds.end(), kModules);
  if (found == space.cost_kinds.end()) {
    return absl::InvalidArgumentError(
        "--drop-share and --max-modules need --drop attn,mlp or --drop block");
  }
  const int kind = static_cast<int>(found - space.cost_kinds.begin());
  search::Budget budget{kind, 0};
  if (!options.drop_share.empty()) {
    auto kept =
        search::ParseKept(options.drop_share, ReachableCosts(space, kind).max);
    if (!kept.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--drop-share: ", kept.status().message()));
    }
    budget.limit = *kept;
  } else if (!absl::SimpleAtoi(options.max_modules, &budget.limit) ||
             budget.limit < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--max-modules \"", options.max_modules,
                     "\" is not a whole number, 0 or more"));
  }
  space.budgets.push_back(budget);
  return absl::OkStatus();
}

}  // namespace

bool IsSearched(const quant::TensorInfo& tensor) {
  return absl::StartsWith(tensor.name, kBlocks) &&
         absl::EndsWith(tensor.name, kWeight) && tensor.shape.size() == 2 &&
         !absl::StrContains(tensor.name, "norm") &&
         !absl::EndsWith(tensor.name, kRouter);
}

absl::StatusOr<search::SearchSpace> BuildSpace(
    const std::vector<quant::TensorInfo>& tensors,
    const SpaceOptions& options) {
  search::SearchSpace space;
  space.cost_kinds = {"code_bits", "stored_bits", "model_bits", kNonzerosName};
  space.constant_costs.resize(space.cost_kinds.size());
  auto outer = OuterLayers(options.outer, tensors);
  if (!outer.ok()) return outer.status();
  for (const quant::TensorInfo& tensor : tensors) {
    const std::string layer(absl::StripSuffix(tensor.name, kWeight));
    const bool is_outer =
        std::find(outer->begin(), outer->end(), layer) != outer->end();
    if (!IsSearched(tensor) && !is_outer) {
      space.constant_costs[kModelBits] += tensor.bytes * 8;
      continue;
    }
    auto menu = search::ParseMenu(options.menu, tensor.elements());
    if (menu.ok() && is_outer) menu = OuterMenu(layer, IsTied(tensors), *menu);
    if (!menu.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("menu of layer ", layer, ": ", menu.status().message()));
    }
    auto unit = MakeUnit(layer, tensor, *menu);
    if (!unit.ok()) return unit.status();
    space.units.push_back(*std::move(unit));
  }
  if (space.units.size() == outer->size()) {
    return absl::InvalidArgumentError(
        "the model has no linear layers below model.layers to search over");
  }
  std::sort(space.units.begin(), space.units.end(),
            [](const search::Unit& a, const search::Unit& b) {
              return ModelOrder(a.name) < ModelOrder(b.name);
            });
  if (absl::Status s = search::ApplyTies(options.ties, space.units); !s.ok()) {
    return s;
  }
  search::AssignGroups(options.group, space.units);
  if (options.drop.any()) {
    absl::Status s = AddModules(options.drop, options.group, tensors, space);
    if (!s.ok()) return s;
  }
  search::SortMenus(space);
  if (absl::Status s = search::Validate(space); !s.ok()) return s;
  return space;
}

int64_t TotalWeights(const search::SearchSpace& space) {
  int64_t weights = 0;
  for (const auto& unit : space.units) weights += unit.weights;
  return weights;
}

bool IsBits(int kind) { return kind <= kModelBits; }

absl::Status SetBudgets(const BudgetOptions& options,
                        search::SearchSpace& space) {
  const int targets = !options.target_bits.empty() + !options.max_size.empty() +
                      !options.target_sparsity.empty();
  if (targets > 1) {
    return absl::InvalidArgumentError(
        "--target-bits, --max-size and --target-sparsity exclude each other; "
        "for two budgets add --budget KIND=LIMIT");
  }
  space.budgets.clear();
  if (!options.target_bits.empty()) {
    auto limit =
        search::ParseBitsPerWeight(options.target_bits, TotalWeights(space));
    if (!limit.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--target-bits: ", limit.status().message()));
    }
    space.budgets.push_back({kCodeBits, *limit});
  }
  if (!options.max_size.empty()) {
    auto bytes = search::ParseSize(options.max_size);
    if (!bytes.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--max-size: ", bytes.status().message()));
    }
    if (*bytes > std::numeric_limits<int64_t>::max() / 8) {
      return absl::InvalidArgumentError(
          absl::StrCat("--max-size ", options.max_size, " is too large"));
    }
    space.budgets.push_back({kModelBits, *bytes * 8});
  }
  if (!options.target_sparsity.empty()) {
    auto nonzeros =
        search::ParseKept(options.target_sparsity, TotalWeights(space));
    if (!nonzeros.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--target-sparsity: ", nonzeros.status().message()));
    }
    space.budgets.push_back({kNonzeros, *nonzeros});
  }
  for (const std::string& text : options.budgets) {
    auto budget = ParseBudget(text, space);
    if (!budget.ok()) return budget.status();
    space.budgets.push_back(*budget);
  }
  if (absl::Status s = AddModuleBudget(options, space); !s.ok()) return s;
  // A number of modules steers only where nothing else does.
  std::stable_partition(space.budgets.begin(), space.budgets.end(),
                        [&](const search::Budget& budget) {
                          return space.cost_kinds[budget.kind] != kModules;
                        });
  search::SortMenus(space);
  return search::Validate(space);
}

absl::Status CheckBudgets(const search::SearchSpace& space) {
  for (const search::Budget& budget : space.budgets) {
    if (budget.limit < ReachableCosts(space, budget.kind).min) {
      return Unreachable(space, budget);
    }
  }
  if (space.budgets.size() < 2 || search::DearestUniform(space).ok()) {
    return absl::OkStatus();
  }
  std::vector<std::vector<double>> indifferent;
  for (const search::Unit& unit : space.units) {
    indifferent.emplace_back(unit.menu.size(), 0.0);
  }
  return search::SolveKnapsack(space, indifferent).status();
}

absl::Status AddBudgets(const BudgetOptions& options,
                        search::SearchSpace& space) {
  if (absl::Status s = SetBudgets(options, space); !s.ok()) return s;
  return CheckBudgets(space);
}

std::optional<UniformBaseline> FindUniformBaseline(
    const search::SearchSpace& space) {
  auto uniform = search::DearestUniform(space);
  if (!uniform.ok()) return std::nullopt;
  auto level = search::ParseLevel(uniform->level);
  std::string name = absl::StrCat("uniform ", uniform->level);
  if (level.ok() && level->sparsity.kind == search::Sparsity::Kind::kNone) {
    // The width alone names it unless a menu has it twice.
    int most = 0;
    for (const search::Unit& unit : space.units) {
      int same_width = 0;
      for (const auto& choice : unit.menu) {
        auto other = search::ParseLevel(choice.name);
        same_width += other.ok() && other->bits == level->bits;
      }
      most = std::max(most, same_width);
    }
    if (most == 1) name = absl::StrCat("uniform ", level->bits, "-bit");
  }
  return UniformBaseline{name, uniform->assignment};
}

}  // namespace evopress::client
