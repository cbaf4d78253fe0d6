// Gram matrices of the uncompressed model's layer inputs.
#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/evaluation.h"
#include "worker/ops/matmul.h"
#include "worker/request_check.h"

namespace evopress::worker {
namespace {

constexpr int64_t kGramColumns = 192;  // of a Gram, per piece of work

// Fills in what is below the diagonal.
void Mirror(quant::Gram& gram) {
  for (int64_t r = 1; r < gram.n; ++r) {
    for (int64_t c = 0; c < r; ++c) {
      gram.values[r * gram.n + c] = gram.values[c * gram.n + r];
    }
  }
}

// The inputs of a sequence at one site, by their first row; panels that are
// not full end with zeros.
struct SiteInputs {
  quant::Gram* gram = nullptr;  // null: not asked for
  std::map<int64_t, AlignedVector<uint8_t>> panels;
};

}  // namespace

absl::StatusOr<quant::Statistics> Engine::Capture(
    const std::vector<std::vector<int32_t>>& samples,
    const std::vector<std::string>& layers, const Progress& progress) {
  const Architecture& arch = model_.architecture;
  if (absl::Status s = CheckSamples(arch, samples); !s.ok()) return s;
  if (absl::Status s = CheckLayers(arch, layers); !s.ok()) return s;
  const std::set<std::string> wanted(layers.begin(), layers.end());
  const int64_t element_bytes = ElementBytes(model_.arithmetic);
  quant::Statistics statistics;
  size_t last_block = 0;
  for (size_t b = 0; b < arch.blocks.size(); ++b) {
    const BlockSpec& spec = arch.blocks[b];
    for (size_t slot = 0; slot < spec.linears.size(); ++slot) {
      const LinearSpec& linear = spec.linears[slot];
      if (!wanted.contains(linear.name)) continue;
      const std::string site = SiteName(spec, b, SiteOfSlot(slot));
      statistics.site_of_layer[linear.name] = site;
      quant::Gram& gram = statistics.sites[site];
      gram.n = linear.cols;
      gram.values.assign(linear.cols * linear.cols, 0.0f);
      last_block = b;
    }
  }
  if (wanted.empty()) return statistics;
  const std::vector<Samples> chunks = ChunkSamples(samples, 1);
  ProgressMeter meter(progress, (last_block + 1) * chunks.size());
  for (const Samples& chunk : chunks) {
    HiddenStates hidden = Embed(model_, chunk);
    for (size_t b = 0; b <= last_block; ++b) {
      if (!meter.Step()) return absl::CancelledError("the call was cancelled");
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
      std::vector<SiteInputs> inputs(InputSites(spec));
      std::vector<std::pair<int, int64_t>> pieces;  // site, first column
      for (size_t site = 0; site < inputs.size(); ++site) {
        const auto it = statistics.sites.find(SiteName(spec, b, site));
        if (it == statistics.sites.end()) continue;
        inputs[site].gram = &it->second;
        for (int64_t c = 0; c < it->second.n; c += kGramColumns) {
          pieces.emplace_back(site, c);
        }
      }
      std::mutex mutex;  // guards the panels of `inputs`
      // A sample at a time, so that only its inputs are held, and so that the
      // order of summation is that of the samples.
      float* at = hidden.data();
      for (const auto* sample : chunk) {
        const auto tokens = static_cast<int64_t>(sample->size());
        const Sequence sequence{at, tokens, &weights};
        status = runner_.Run(
            b, absl::MakeConstSpan(&sequence, 1),
            [&](int site, const InputPanel& panel) {
              SiteInputs& seen = inputs[site];
              if (seen.gram == nullptr) return;
              const int64_t row_bytes = seen.gram->n * element_bytes;
              AlignedVector<uint8_t> rows(kPanelRows * row_bytes);
              std::memcpy(rows.data(), panel.inputs, panel.rows * row_bytes);
              const std::lock_guard<std::mutex> lock(mutex);
              seen.panels[panel.first_row] = std::move(rows);
              seen.gram->tokens += panel.rows;
            });
        if (!status.ok()) return status;
        status = arena_.ForEach(pieces.size(), [&](int64_t i) -> absl::Status {
          const auto [site, first] = pieces[i];
          quant::Gram& gram = *inputs[site].gram;
          const int64_t count = std::min(kGramColumns, gram.n - first);
          for (const auto& [row, panel] : inputs[site].panels) {
            absl::Status s =
                AccumulateGram(model_.arithmetic, panel.data(), gram.n, first,
                               count, gram.values.data());
            if (!s.ok()) return s;
          }
          return absl::OkStatus();
        });
        if (!status.ok()) return status;
        for (SiteInputs& site : inputs) site.panels.clear();
        at += PaddedRows(tokens) * arch.hidden;
      }
    }
  }
  for (auto& [site, gram] : statistics.sites) Mirror(gram);
  return statistics;
}

}  // namespace evopress::worker
