// worker/profile.cc
// The profile of the uncompressed model (model_profile.h), on the cpu engine.
#include <bit>
#include <map>
#include <mutex>
#include <utility>

#include "worker/evaluation.h"
#include "worker/ops/arithmetic.h"
#include "worker/request_check.h"

namespace evopress::worker {
namespace {

float ToFloat(Bf16 value) {
  return std::bit_cast<float>(uint32_t{value} << 16);
}
float ToFloat(float value) { return value; }

// Squares of `rows` x `columns` inputs, summed over the rows.
template <typename T>
std::vector<double> Powers(const T* inputs, int64_t rows, int64_t columns) {
  std::vector<double> powers(columns);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      const double value = ToFloat(inputs[r * columns + c]);
      powers[c] += value * value;
    }
  }
  return powers;
}

std::vector<double> PowersOf(Arithmetic arithmetic, const InputPanel& panel,
                             int64_t columns) {
  if (arithmetic == Arithmetic::kBf16) {
    return Powers(static_cast<const Bf16*>(panel.inputs), panel.rows, columns);
  }
  return Powers(static_cast<const float*>(panel.inputs), panel.rows, columns);
}

}  // namespace

absl::StatusOr<ModelProfile> Engine::Profile(
    const std::vector<std::vector<int32_t>>& samples,
    const Progress& progress) {
  const Architecture& arch = model_.architecture;
  if (absl::Status s = CheckSamples(arch, samples); !s.ok()) return s;
  ModelProfile profile = EmptyProfile(arch);
  ProgressMeter meter(progress, arch.blocks.size() * samples.size());
  // A sample at a time: the order of summation is that of the samples, and
  // only its hidden states are held, those before each block and the last.
  for (const std::vector<int32_t>& sample : samples) {
    const auto tokens = static_cast<int64_t>(sample.size());
    const std::vector<int32_t>* const only[] = {&sample};
    std::vector<HiddenStates> states = {Embed(model_, only)};
    for (size_t b = 0; b < arch.blocks.size(); ++b) {
      if (!meter.Step()) return absl::CancelledError("the call was cancelled");
      BlockProfile& block = profile.blocks[b];
      const BlockSpec& spec = arch.blocks[b];
      BlockWeights weights;
      weights.linears.resize(spec.linears.size());
      absl::Status status = arena_.ForEach(
          spec.linears.size(), [&](int64_t slot) -> absl::Status {
            auto matrix = weights_.Get(spec.linears[slot], "");
            if (!matrix.ok()) return matrix.status();
            weights.linears[slot] = *std::move(matrix);
            return absl::OkStatus();
          });
      if (!status.ok()) return status;
      std::mutex mutex;
      std::map<std::pair<int, int64_t>, std::vector<double>> powers;
      HiddenStates hidden = states.back();
      for (size_t m = 0; m < block.modules.size(); ++m) {
        const HiddenStates before = hidden;
        weights.attention = m == 0;
        weights.mlp = m == 1;
        const Sequence sequence{hidden.data(), tokens, &weights};
        status = runner_.Run(
            b, absl::MakeConstSpan(&sequence, 1),
            [&](int site, const InputPanel& panel) {
              std::vector<double> found = PowersOf(
                  model_.arithmetic, panel,
                  static_cast<int64_t>(block.input_powers[site].size()));
              const std::lock_guard<std::mutex> lock(mutex);
              powers[{site, panel.first_row}] = std::move(found);
            });
        if (!status.ok()) return status;
        block.modules[m].flow.Add(
            MeasureFlow(before.data(), hidden.data(), tokens, arch.hidden));
      }
      for (const auto& [place, found] : powers) {
        std::vector<double>& sums = block.input_powers[place.first];
        for (size_t c = 0; c < sums.size(); ++c) sums[c] += found[c];
      }
      states.push_back(std::move(hidden));
      status = arena_.ForEach(b + 1, [&](int64_t from) {
        profile.blocks[from].windows[b - from].Add(MeasureFlow(
            states[from].data(), states.back().data(), tokens, arch.hidden));
        return absl::OkStatus();
      });
      if (!status.ok()) return status;
    }
    profile.tokens += tokens;
  }
  return profile;
}

}  // namespace evopress::worker
