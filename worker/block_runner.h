// worker/block_runner.h
// Runs one transformer block over many sequences, in panels of kPanelRows
// positions; sequences may differ in the weights they use.
#ifndef EVOPRESS_WORKER_BLOCK_RUNNER_H_
#define EVOPRESS_WORKER_BLOCK_RUNNER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "oneapi/tbb/enumerable_thread_specific.h"
#include "worker/architecture.h"
#include "worker/model.h"
#include "worker/ops/attention.h"
#include "worker/ops/kernels.h"
#include "worker/ops/matmul.h"
#include "worker/ops/rope.h"
#include "worker/thread_arena.h"

namespace evopress::worker {

// Rounds a number of tokens up to whole panels.
inline int64_t PaddedRows(int64_t tokens) {
  return (tokens + kPanelRows - 1) / kPanelRows * kPanelRows;
}

struct BlockWeights {
  std::vector<std::shared_ptr<const PackedMatrix>> linears;
  bool attention = true;  // false: left out, its linears are null
  bool mlp = true;
};

// One sequence on its way through the model: PaddedRows(tokens) x hidden
// float32. Neither pointer is owned.
struct Sequence {
  float* hidden = nullptr;
  int64_t tokens = 0;
  const BlockWeights* weights = nullptr;
};

// Some inputs of linear layers: `rows` of kPanelRows, the others are padding.
// `first_row` counts positions, or with experts the positions that go to the
// expert.
struct InputPanel {
  int64_t sequence = 0;
  int64_t first_row = 0;
  int64_t rows = 0;
  const void* inputs = nullptr;
};

// Called from many threads, once for each (site, sequence, panel).
using InputObserver = std::function<void(int site, const InputPanel& panel)>;

// Thread-compatible. "model" and "arena" must outlive this.
class BlockRunner {
 public:
  BlockRunner(const Model& model, ThreadArena& arena);

  // Replaces the hidden values of every sequence by the block's output.
  absl::Status Run(int block, absl::Span<const Sequence> sequences,
                   const InputObserver& observer);

 private:
  // What one thread needs for one panel.
  struct Scratch {
    AlignedVector<uint8_t> input, gated;
    AlignedVector<float> first, second, third;
  };
  struct Panel {
    int64_t sequence;
    int64_t first_row;
  };
  // A sequence in a block with experts; each token goes to `fan_out` of them.
  struct Routed {
    AlignedVector<uint8_t> inputs;  // tokens x hidden, what experts read
    std::vector<int32_t> experts;   // tokens x fan_out
    std::vector<float> shares;      // as many: what each expert counts
    AlignedVector<float> outputs;   // tokens x fan_out x hidden
  };
  // Some tokens of a sequence that go to one expert: indices of Routed's
  // (token, expert) pairs.
  struct ExpertPanel {
    int64_t sequence;
    int expert;
    int64_t first_row;
    absl::Span<const int32_t> pairs;
  };

  absl::Status RunWave(int block, absl::Span<const Sequence> sequences,
                       int64_t first_sequence, const InputObserver& observer);
  absl::Status Attention(int block, const Sequence& sequence, Panel panel,
                         const InputObserver& observer,
                         AttentionBuffers& buffers);
  absl::Status Output(int block, const Sequence& sequence, Panel panel,
                      const InputObserver& observer, AttentionBuffers& buffers);
  absl::Status Mlp(int block, const Sequence& sequence, Panel panel,
                   const InputObserver& observer);
  absl::Status Gated(int block, const Sequence& sequence, int expert,
                     InputPanel panel, const InputObserver& observer,
                     Scratch& scratch);
  absl::Status RunExperts(int block, absl::Span<const Sequence> sequences,
                          absl::Span<const Panel> panels,
                          const InputObserver& observer);
  absl::Status Route(int block, const Sequence& sequence, Panel panel,
                     Routed& routed);
  absl::Status RunExpert(int block, const Sequence& sequence,
                         const ExpertPanel& panel,
                         const InputObserver& observer, Routed& routed);
  void Combine(int block, const Sequence& sequence, Panel panel,
               const Routed& routed);
  absl::Status Linear(int block, const Sequence& sequence, int slot,
                      const void* input, float* output) const;
  // Outputs first … first+count alone (matmul.h).
  absl::Status LinearPiece(int block, const Sequence& sequence, int slot,
                           const void* input, int64_t first, int64_t count,
                           float* output) const;
  // hidden += norm(delta), or delta itself where there is no norm.
  void Add(const std::vector<float>& norm, float* delta, float* hidden) const;
  void Norm(const float* in, const std::vector<float>& weight, void* out) const;
  Scratch& LocalScratch();
  void EnsureTables(int64_t rows);

  const Model& model_;
  const Kernels& kernels_;
  ThreadArena& arena_;
  int64_t widest_ = 0;  // of all inputs and outputs
  std::vector<RopeTable> ropes_;
  std::vector<AttentionBuffers> buffers_;
  int64_t buffer_rows_ = 0;
  tbb::enumerable_thread_specific<Scratch> scratch_;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_BLOCK_RUNNER_H_
