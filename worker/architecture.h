// worker/architecture.h
// Decoder-only transformers as data: which tensors a block has and what is
// done with them. The evaluator walks this description and knows no model by
// name; adding an architecture means adding an entry to architecture.cc.
#ifndef EVOPRESS_WORKER_ARCHITECTURE_H_
#define EVOPRESS_WORKER_ARCHITECTURE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "worker/ops/activation.h"
#include "worker/ops/attention.h"
#include "worker/ops/rope.h"

namespace evopress::worker {

// y = W x (+ b). Tensors are `name`.weight and `name`.bias.
struct LinearSpec {
  std::string name;  // Hugging Face module name: what levels apply to
  int64_t rows = 0;  // outputs
  int64_t cols = 0;  // inputs
  bool bias = false;
};

// The linear layers of a block, in the order in which they are run. The last
// three are there once for every expert, see ExpertSlot().
enum LinearSlot { kQuery, kKey, kValue, kOutput, kGate, kUp, kDown };
inline constexpr int kSlotsOfExpert = 3;

// Where the gate, up or down of an expert is; a dense MLP is expert 0.
inline constexpr int ExpertSlot(int expert, LinearSlot part) {
  return part + kSlotsOfExpert * expert;
}

// Inputs that several linear layers share; the last two once an expert.
enum InputSite { kAttentionInput, kOutputInput, kMlpInput, kDownInput };
inline constexpr int kSitesOfExpert = 2;

inline constexpr int ExpertSite(int expert, InputSite site) {
  return site + kSitesOfExpert * expert;
}
inline constexpr int SiteOfSlot(int slot) {
  if (slot < kOutput) return kAttentionInput;
  if (slot == kOutput) return kOutputInput;
  const int part = (slot - kGate) % kSlotsOfExpert;
  return ExpertSite((slot - kGate) / kSlotsOfExpert,
                    part == kDown - kGate ? kDownInput : kMlpInput);
}

// hidden += [post_attention_norm](o(attention(q, k, v of norm(hidden))))
// hidden += [post_mlp_norm](mlp(x)), x = mlp_norm(hidden), where
// mlp(x) = down(f(gate(x)) * up(x)), or with experts the sum over the
// `experts_per_token` most probable of them, p = softmax(router x), of
// p_e mlp_e(x). Norms are tensor names; empty ones are skipped.
struct BlockSpec {
  std::string attention;  // Hugging Face names of the modules: what can be
  std::string mlp;        // dropped, which leaves out its whole line above
  std::vector<LinearSpec> linears;
  int experts = 0;  // 0: one dense MLP
  int experts_per_token = 0;
  bool normalize_experts = false;  // the chosen p_e are scaled to sum to 1
  std::string router;              // tensor, experts x hidden
  std::string attention_norm;
  std::string query_norm;  // of each head
  std::string key_norm;
  std::string post_attention_norm;
  std::string mlp_norm;
  std::string post_mlp_norm;
  int rope = -1;  // index into Architecture::ropes; -1: no rotation
  int64_t window = 0;
};

// Sites of a block, and how they are called: "block 3 attention", "… output",
// "… mlp", "… down"; with experts "block 3 expert 5 mlp".
int InputSites(const BlockSpec& block);
std::string SiteName(const BlockSpec& block, int index, int site);

struct Architecture {
  std::string model_type;
  int64_t hidden = 0;
  int64_t vocab = 0;
  float norm_epsilon = 1e-6f;
  bool norm_plus_one = false;  // norms multiply by 1 + weight
  float embedding_scale = 1;
  Activation activation = Activation::kSilu;
  AttentionShape attention;  // window is the block's
  float final_softcap = 0;   // logits = cap * tanh(logits / cap); 0: none
  std::vector<RopeSpec> ropes;
  std::vector<BlockSpec> blocks;
  std::string embedding;  // tensor names
  std::string final_norm;
  std::string head;  // equals `embedding` when tied

  bool tied() const { return head == embedding; }
};

// Embedding and output head as layers that levels apply to, by their Hugging
// Face module names; one and the same matrix when tied.
LinearSpec EmbeddingLayer(const Architecture& architecture);
LinearSpec HeadLayer(const Architecture& architecture);

// Their names: one if tied.
std::vector<std::string> OuterLayers(const Architecture& architecture);

// The site of the head's inputs: "head".
inline constexpr char kHeadSite[] = "head";

// Reads the architecture off a configuration in the vocabulary of Hugging
// Face. `prefix` is what tensor names begin with ("model."); `tied` says that
// the model has no head of its own. Unimplemented, listing the known ones, for
// an unknown model_type or a feature we lack; InvalidArgument, naming the key,
// for values that are missing or out of range.
absl::StatusOr<Architecture> MakeArchitecture(const nlohmann::json& config,
                                              const std::string& prefix,
                                              bool tied);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_ARCHITECTURE_H_
