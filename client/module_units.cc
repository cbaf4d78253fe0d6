#include "client/module_units.h"

#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/space_builder.h"

namespace evopress::client {
namespace {

constexpr char kAttention[] = "self_attn";
constexpr size_t kDepth = 4;  // of "model.layers.0.self_attn"

// The module's name, or nothing if there is none above the layer.
std::string ModuleOf(const std::string& layer) {
  const std::vector<std::string> parts = absl::StrSplit(layer, '.');
  if (parts.size() <= kDepth) return "";
  return absl::StrJoin(parts.begin(), parts.begin() + kDepth, ".");
}

std::string KindOf(const std::string& module) {
  return module.substr(module.rfind('.') + 1);
}

bool Covers(const DropRule& rule, const std::string& module) {
  if (rule.blocks) return true;
  return KindOf(module) == kAttention ? rule.attention : rule.mlp;
}

// One unit a module, in the order of the space's layers.
absl::StatusOr<std::vector<search::Unit>> MakeModules(
    const DropRule& rule, const search::SearchSpace& space) {
  std::vector<search::Unit> modules;
  std::set<std::string> known;
  for (const search::Unit& unit : space.units) {
    for (const std::string& layer : unit.layers) {
      const std::string name = ModuleOf(layer);
      if (name.empty()) {
        return absl::InvalidArgumentError(absl::StrCat(
            "--drop: layer ", layer, " lies in no module of its block"));
      }
      if (!Covers(rule, name) || !known.insert(name).second) continue;
      search::Unit& module = modules.emplace_back();
      module.name = name;
      module.layers = {name};
      const std::vector<int64_t> nothing(space.cost_kinds.size());
      module.menu = {{search::kDrop, nothing}, {search::kKeep, nothing}};
      module.menu[search::kKept].costs.back() = 1;
    }
  }
  if (modules.empty()) {
    return absl::InvalidArgumentError(
        "--drop: the model has no such module with searched layers");
  }
  return modules;
}

// Moves what a module holds beside its layers from the constant cost to it.
void BillTensors(const std::vector<quant::TensorInfo>& tensors,
                 search::SearchSpace& space,
                 std::vector<search::Unit>& modules) {
  std::map<std::string, search::Unit*> owner;
  for (search::Unit& module : modules) owner[module.name] = &module;
  for (const quant::TensorInfo& tensor : tensors) {
    const auto found = owner.find(ModuleOf(tensor.name));
    if (found == owner.end() || IsSearched(tensor)) continue;
    const int64_t bits = tensor.bytes * 8;
    found->second->menu[search::kKept].costs[kModelBits] += bits;
    space.constant_costs[kModelBits] -= bits;
  }
}

absl::Status TieBlocks(std::vector<search::Unit>& modules) {
  std::set<std::string> kinds;
  for (const search::Unit& module : modules) kinds.insert(KindOf(module.name));
  search::Tie blocks;
  for (const std::string& kind : kinds) {
    blocks.patterns.push_back(absl::StrCat("model.layers.#.", kind));
  }
  return search::ApplyTies({blocks}, modules);
}

}  // namespace

absl::StatusOr<DropRule> ParseDropRule(const std::string& text) {
  DropRule rule;
  for (const absl::string_view word :
       absl::StrSplit(text, ',', absl::SkipEmpty())) {
    if (word == "attn") {
      rule.attention = true;
    } else if (word == "mlp") {
      rule.mlp = true;
    } else if (word == "block") {
      rule.blocks = true;
    } else {
      return absl::InvalidArgumentError(absl::StrCat(
          "--drop \"", word.substr(0, 64), "\" is not attn, mlp or block"));
    }
  }
  if (rule.blocks && (rule.attention || rule.mlp)) {
    return absl::InvalidArgumentError(
        "--drop block ties attention and MLP; give it alone");
  }
  return rule;
}

absl::Status AddModules(const DropRule& rule, search::GroupRule group,
                        const std::vector<quant::TensorInfo>& tensors,
                        search::SearchSpace& space) {
  space.cost_kinds.push_back(kModules);
  space.constant_costs.push_back(0);
  for (search::Unit& unit : space.units) {
    for (search::LevelChoice& level : unit.menu) level.costs.push_back(0);
  }
  auto modules = MakeModules(rule, space);
  if (!modules.ok()) return modules.status();
  BillTensors(tensors, space, *modules);
  if (rule.blocks) {
    if (absl::Status s = TieBlocks(*modules); !s.ok()) return s;
  }
  search::AssignGroups(group == search::GroupRule::kNone
                           ? search::GroupRule::kNone
                           : search::GroupRule::kName,
                       *modules);
  std::map<std::string, int> index;
  for (size_t m = 0; m < modules->size(); ++m) {
    for (const std::string& name : (*modules)[m].layers) {
      index[name] = static_cast<int>(space.units.size() + m);
    }
  }
  for (search::Unit& unit : space.units) {
    const auto found = index.find(ModuleOf(unit.layers.front()));
    if (found != index.end()) unit.module = found->second;
  }
  space.units.insert(space.units.end(), modules->begin(), modules->end());
  return absl::OkStatus();
}

}  // namespace evopress::client
