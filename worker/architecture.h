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

// The linear layers of a block, in the order in which they are run.
enum LinearSlot { kQuery, kKey, kValue, kOutput, kGate, kUp, kDown };
inline constexpr int kLinearSlots = 7;

// Inputs that several linear layers share.
enum InputSite { kAttentionInput, kOutputInput, kMlpInput, kDownInput };
inline constexpr int kInputSites = 4;
inline constexpr InputSite kSiteOfSlot[kLinearSlots] = {
    kAttentionInput, kAttentionInput, kAttentionInput, kOutputInput,
    kMlpInput,       kMlpInput,       kDownInput};

// hidden += [post_attention_norm](o(attention(q, k, v of norm(hidden))))
// hidden += [post_mlp_norm](down(f(gate(x)) * up(x))), x = mlp_norm(hidden)
// Norms are tensor names; empty ones are skipped.
struct BlockSpec {
  LinearSpec linears[kLinearSlots];
  std::string attention_norm;
  std::string query_norm;  // of each head
  std::string key_norm;
  std::string post_attention_norm;
  std::string mlp_norm;
  std::string post_mlp_norm;
  int rope = -1;  // index into Architecture::ropes; -1: no rotation
  int64_t window = 0;
};

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
};

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
