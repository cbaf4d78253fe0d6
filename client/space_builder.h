// From a model and a menu to a search space: which layers are searched, which
// levels each may take, what everything costs, and which budgets hold.
//
// Searched are the linear layers of the transformer blocks: two-dimensional
// weights below "model.layers." that are neither norms nor the routers of
// experts, under their Hugging Face names without ".weight"; where asked for,
// also the token embedding and the output head (outer_units.h). All else stays
// as it is.
//
// Cost kinds: "code_bits" (weights x bits, of pruned layers kept weights x bits
// and a bit a weight for the positions), "stored_bits" (with scales, zeros and
// indices), both over the searched layers; "model_bits" (the stored bits and,
// as its constant, everything else at rest in the source); "nonzeros" (weights
// of the searched layers that are not pruned). With modules that can be
// dropped, also "modules", see module_units.h.
#ifndef EVOPRESS_CLIENT_SPACE_BUILDER_H_
#define EVOPRESS_CLIENT_SPACE_BUILDER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/module_units.h"
#include "client/outer_units.h"
#include "quant/checkpoint.h"
#include "search/grouping.h"
#include "search/space.h"

namespace evopress::client {

inline constexpr int kCodeBits = 0;  // indices of the cost kinds
inline constexpr int kStoredBits = 1;
inline constexpr int kModelBits = 2;
inline constexpr int kNonzeros = 3;
inline constexpr char kNonzerosName[] = "nonzeros";

struct SpaceOptions {
  std::string menu = "gptq:2-6:g64:actorder:search";
  search::GroupRule group = search::GroupRule::kSize;
  std::vector<search::Tie> ties;
  DropRule drop;
  OuterRule outer;
};

// True for the weights of the blocks' linear layers.
bool IsSearched(const quant::TensorInfo& tensor);

// The space without budgets. InvalidArgument names the layer and the level if
// a shape does not admit one, or the tie that does not fit, or says that the
// model has nothing to search.
absl::StatusOr<search::SearchSpace> BuildSpace(
    const std::vector<quant::TensorInfo>& tensors, const SpaceOptions& options);

// At most one of the first three; texts as on the command line.
struct BudgetOptions {
  std::string target_bits;           // "3", "2.75": code bits per weight
  std::string max_size;              // "90MB", "1.5GiB", "800000": whole model
  std::string target_sparsity;       // "0.5": zeros among the searched weights
  std::vector<std::string> budgets;  // "code_bits=250000000"
  // At most one of these; after the others, so that it steers only alone.
  std::string drop_share = {};   // "0.25": modules that must go, rounded up
  std::string max_modules = {};  // "45": modules that may stay
};

// Sets the budgets and sorts the menus accordingly, whether they can be met or
// not. InvalidArgument for texts that do not parse.
absl::Status SetBudgets(const BudgetOptions& options,
                        search::SearchSpace& space);

// SetBudgets(), then FailedPrecondition with the reachable range, in bits and
// per weight, if a budget lies below it, or if no assignment was found that
// meets all budgets at once.
absl::Status AddBudgets(const BudgetOptions& options,
                        search::SearchSpace& space);

// FailedPrecondition as AddBudgets().
absl::Status CheckBudgets(const search::SearchSpace& space);

// True for the kinds that are counted in bits; imported ones are not.
bool IsBits(int kind);

// Sum of the units' weights.
int64_t TotalWeights(const search::SearchSpace& space);

// The dearest level for all units alike that meets every budget, under the
// name by which reports know it ("uniform 3-bit"); nullopt if there is none.
struct UniformBaseline {
  std::string name;
  search::Assignment assignment;
};
std::optional<UniformBaseline> FindUniformBaseline(
    const search::SearchSpace& space);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_SPACE_BUILDER_H_
