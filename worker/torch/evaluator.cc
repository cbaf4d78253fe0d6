#include "worker/torch/evaluator.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "quant/gram.h"
#include "worker/available_cores.h"
#include "worker/branching.h"
#include "worker/progress_meter.h"
#include "worker/request_check.h"
#include "worker/torch/block.h"
#include "worker/torch/device_weights.h"
#include "worker/torch/loss.h"
#include "worker/torch/lru_cache.h"

namespace evopress::worker {
namespace {

using Samples = std::vector<const std::vector<int32_t>*>;
using Sums = std::vector<std::vector<search::SampleSums>>;  // [choice][sample]

// Choices that agree so far, and the hidden states they share.
struct State {
  std::vector<int> choices;
  std::vector<at::Tensor> hidden;  // one a sample
};

// Second moments of what layers read.
struct Site {
  at::Tensor gram;  // undefined: not asked for
  int64_t tokens = 0;
};

class TorchEvaluator : public Evaluator {
 public:
  TorchEvaluator(ModelTensors model, const TorchDevice& device, int threads,
                 int64_t memory_bytes, int32_t top_k)
      : model_(std::move(model)),
        device_(device),
        threads_(threads),
        memory_bytes_(memory_bytes),
        top_k_(top_k),
        weights_(model_, device, memory_bytes),
        teachers_(memory_bytes / 4) {
    info_.numeric_class = TorchNumericClass(device);
    info_.capabilities = {"evaluate", "capture", "drop", "profile", "outer"};
    info_.model_type = model_.architecture.model_type;
    info_.vocab_size = model_.architecture.vocab;
    info_.outer_layers = OuterLayers(model_.architecture);
    for (const BlockSpec& block : model_.architecture.blocks) {
      info_.modules.push_back(block.attention);
      info_.modules.push_back(block.mlp);
      for (const LinearSpec& linear : block.linears) {
        info_.layers.push_back(linear.name);
      }
    }
  }

  // Puts on the device what stays there.
  absl::Status Load() {
    const Architecture& a = model_.architecture;
    auto table =
        ReadTensor(*model_.checkpoint, a.embedding, {a.vocab, a.hidden});
    if (!table.ok()) return table.status();
    embedding_ = OnDevice(*table);
    at::Tensor head = embedding_;
    if (a.head != a.embedding) {
      table = ReadTensor(*model_.checkpoint, a.head, {a.vocab, a.hidden});
      if (!table.ok()) return table.status();
      head = OnDevice(*table);
    }
    final_norm_ = at::tensor(model_.final_norm, at::kFloat).to(device_.device);
    blocks_.emplace(model_, device_);
    loss_.emplace(head, a.final_softcap, top_k_, device_);
    return absl::OkStatus();
  }

  const EvaluatorInfo& info() const override { return info_; }

  absl::StatusOr<EvaluateResponse> Evaluate(const EvaluateRequest& request,
                                            const Progress& progress) override {
    absl::Status status = CheckRequest(model_.architecture, request);
    if (!status.ok()) return status;
    EvaluateResponse response;
    status = CatchTorch([&] { return Measure(request, progress, response); });
    if (!status.ok()) return status;
    return response;
  }

  absl::Status Capture(const CaptureRequest& request,
                       const Progress& progress) override {
    const Architecture& a = model_.architecture;
    if (absl::Status s = CheckSamples(a, request.samples); !s.ok()) return s;
    if (absl::Status s = CheckLayers(a, request.layers); !s.ok()) return s;
    quant::Statistics statistics;
    absl::Status status =
        CatchTorch([&] { return Collect(request, progress, statistics); });
    if (!status.ok()) return status;
    return quant::WriteStatistics(statistics, request.output_path);
  }

  absl::StatusOr<ModelProfile> Profile(
      const std::vector<std::vector<int32_t>>& samples,
      const Progress& progress) override {
    const Architecture& a = model_.architecture;
    if (absl::Status s = CheckSamples(a, samples); !s.ok()) return s;
    ModelProfile profile = EmptyProfile(a);
    absl::Status status =
        CatchTorch([&] { return Observe(samples, progress, profile); });
    if (!status.ok()) return status;
    return profile;
  }

 private:
  at::Tensor OnDevice(const std::vector<float>& table) const {
    const Architecture& a = model_.architecture;
    return at::from_blob(const_cast<float*>(table.data()), {a.vocab, a.hidden},
                         at::TensorOptions().dtype(at::kFloat))
        .to(device_.Options(device_.type), /*non_blocking=*/false,
            /*copy=*/true);
  }

  at::Tensor TokensOnDevice(const std::vector<int32_t>& sample) const {
    return at::tensor(std::vector<int64_t>(sample.begin(), sample.end()),
                      at::kLong)
        .to(device_.device);
  }

  at::Tensor Embed(const std::vector<int32_t>& sample,
                   const at::Tensor& table) const {
    return table.index_select(0, TokensOnDevice(sample)).to(at::kFloat) *
           model_.architecture.embedding_scale;
  }

  at::Tensor Embed(const std::vector<int32_t>& sample) const {
    return Embed(sample, embedding_);
  }

  at::Tensor FinalNorm(const at::Tensor& hidden) const {
    return RmsNorm(hidden, final_norm_, model_.architecture.norm_epsilon);
  }

  absl::StatusOr<TorchBlockWeights> BlockWeights(const BlockSpec& spec,
                                                 const BlockChoice& block) {
    TorchBlockWeights weights{{}, block.attention, block.mlp};
    weights.linears.resize(spec.linears.size());
    for (size_t slot = 0; slot < spec.linears.size(); ++slot) {
      if (!block.Runs(slot)) continue;
      auto weight = weights_.Get(spec.linears[slot], block.blobs[slot]);
      if (!weight.ok()) return weight.status();
      weights.linears[slot] = *std::move(weight);
    }
    return weights;
  }

  // The states of all choices after the last block.
  absl::Status Walk(const std::vector<const WeightChoice*>& choices,
                    const Samples& samples, ProgressMeter& meter,
                    std::vector<State>& states) {
    std::map<std::string, std::vector<int>> embeddings;
    for (size_t c = 0; c < choices.size(); ++c) {
      embeddings[EmbeddingBlob(model_.architecture, *choices[c])].push_back(c);
    }
    for (const auto& [blob, of_blob] : embeddings) {
      at::Tensor table = embedding_;
      if (!blob.empty()) {
        auto level = weights_.Get(EmbeddingLayer(model_.architecture), blob);
        if (!level.ok()) return level.status();
        table = *std::move(level);
      }
      State& state = states.emplace_back();
      state.choices = of_blob;
      for (const auto* sample : samples) {
        state.hidden.push_back(Embed(*sample, table));
      }
    }
    for (size_t b = 0; b < model_.architecture.blocks.size(); ++b) {
      if (!meter.Step()) return absl::CancelledError("the call was cancelled");
      const BlockSpec& spec = model_.architecture.blocks[b];
      std::vector<std::vector<int>> groups;
      for (const State& state : states) groups.push_back(state.choices);
      const std::vector<Branch> branches = BranchAt(spec, choices, groups);
      std::vector<TorchBlockWeights> weights;
      std::vector<State> next;
      for (const Branch& branch : branches) {
        auto prepared = BlockWeights(spec, branch.block);
        if (!prepared.ok()) return prepared.status();
        weights.push_back(*std::move(prepared));
        next.push_back({branch.choices, states[branch.parent].hidden});
      }
      states = std::move(next);
      absl::Status status = ForEachAlone(
          threads_, states.size() * samples.size(), [&](int64_t i) {
            const int64_t state = i / samples.size();
            at::Tensor& hidden = states[state].hidden[i % samples.size()];
            hidden = blocks_->Run(b, hidden, weights[state], nullptr);
            return absl::OkStatus();
          });
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  // The reference on each sample, from the cache where it is known.
  absl::Status Teach(
      const Samples& samples, ProgressMeter& meter,
      std::vector<std::shared_ptr<const TorchTeacher>>& teachers) {
    std::map<std::vector<int32_t>, std::shared_ptr<const TorchTeacher>> known;
    Samples unknown;
    for (const auto* sample : samples) {
      const auto [it, inserted] = known.try_emplace(*sample);
      if (!inserted) continue;
      it->second = teachers_.Find(*sample);
      if (it->second == nullptr) unknown.push_back(sample);
    }
    if (unknown.empty()) {
      meter.Skip(model_.architecture.blocks.size());
    } else {
      const WeightChoice reference;
      std::vector<State> states;
      absl::Status status = Walk({&reference}, unknown, meter, states);
      if (!status.ok()) return status;
      std::vector<std::shared_ptr<TorchTeacher>> made(unknown.size());
      status = ForEachAlone(threads_, unknown.size(), [&](int64_t s) {
        made[s] = std::make_shared<TorchTeacher>(
            loss_->Teach(FinalNorm(states[0].hidden[s])));
        return absl::OkStatus();
      });
      if (!status.ok()) return status;
      for (size_t s = 0; s < unknown.size(); ++s) {
        known[*unknown[s]] = made[s];
        teachers_.Insert(*unknown[s], made[s], made[s]->bytes());
      }
    }
    teachers.clear();
    for (const auto* sample : samples) teachers.push_back(known[*sample]);
    return absl::OkStatus();
  }

  // As many samples at a time as hidden states of all choices have room for.
  std::vector<Samples> Chunk(const std::vector<std::vector<int32_t>>& samples,
                             int64_t choices) const {
    const int64_t limit = std::max<int64_t>(
        1, memory_bytes_ / 4 /
               (model_.architecture.hidden * int64_t{sizeof(float)} *
                std::max<int64_t>(choices, 1)));
    std::vector<Samples> chunks;
    int64_t tokens = 0;
    for (const auto& sample : samples) {
      const auto size = static_cast<int64_t>(sample.size());
      if (chunks.empty() || tokens + size > limit) {
        chunks.emplace_back();
        tokens = 0;
      }
      chunks.back().push_back(&sample);
      tokens += size;
    }
    return chunks;
  }

  absl::Status Measure(const EvaluateRequest& request, const Progress& progress,
                       EvaluateResponse& response) {
    const c10::InferenceMode inference;
    std::map<WeightChoice, int> distinct;
    for (const WeightChoice& choice : request.assignments) {
      distinct.emplace(choice, 0);
    }
    std::vector<const WeightChoice*> choices;
    for (auto& [choice, index] : distinct) {
      index = static_cast<int>(choices.size());
      choices.push_back(&choice);
    }
    int64_t longest = 1;
    for (const auto& sample : request.samples) {
      longest = std::max(longest, static_cast<int64_t>(sample.size()));
    }
    blocks_->Reserve(longest);
    // With many assignments even one sample's states may not fit: then groups.
    const int64_t state_bytes =
        model_.architecture.hidden * int64_t{sizeof(float)} * longest;
    const auto count = static_cast<int64_t>(choices.size());
    const int64_t group = std::clamp<int64_t>(memory_bytes_ / 4 / state_bytes,
                                              1, std::max<int64_t>(count, 1));
    const std::vector<Samples> chunks = Chunk(request.samples, group);
    const int64_t groups = (count + group - 1) / group;
    ProgressMeter meter(progress, static_cast<int64_t>(chunks.size()) *
                                      (1 + groups) *
                                      model_.architecture.blocks.size());
    Sums sums(choices.size());
    for (const Samples& samples : chunks) {
      if (choices.empty()) break;
      std::vector<std::shared_ptr<const TorchTeacher>> teachers;
      absl::Status status = Teach(samples, meter, teachers);
      if (!status.ok()) return status;
      for (int64_t first = 0; first < count; first += group) {
        const std::vector<const WeightChoice*> part(
            choices.begin() + first,
            choices.begin() + std::min(first + group, count));
        status = MeasurePart(part, samples, teachers, meter, first, sums);
        if (!status.ok()) return status;
      }
    }
    for (const WeightChoice& choice : request.assignments) {
      response.results.push_back(sums[distinct[choice]]);
    }
    return absl::OkStatus();
  }

  absl::Status MeasurePart(
      const std::vector<const WeightChoice*>& choices, const Samples& samples,
      const std::vector<std::shared_ptr<const TorchTeacher>>& teachers,
      ProgressMeter& meter, int64_t first, Sums& sums) {
    std::vector<State> states;
    absl::Status status = Walk(choices, samples, meter, states);
    if (!status.ok()) return status;
    // One head after the other, so that only one level of it is needed at a
    // time: the choices of each state that have it.
    std::map<std::string, std::map<size_t, std::vector<int>>> heads;
    for (size_t state = 0; state < states.size(); ++state) {
      for (const int choice : states[state].choices) {
        heads[HeadBlob(model_.architecture, *choices[choice])][state].push_back(
            choice);
      }
    }
    for (const auto& [blob, choices_of_state] : heads) {
      at::Tensor head;
      if (!blob.empty()) {
        auto level = weights_.Get(HeadLayer(model_.architecture), blob);
        if (!level.ok()) return level.status();
        head = *std::move(level);
      }
      std::vector<size_t> of_head;
      for (const auto& [state, of_state] : choices_of_state) {
        of_head.push_back(state);
      }
      std::vector<search::SampleSums> found(of_head.size() * samples.size());
      status = ForEachAlone(threads_, found.size(), [&](int64_t i) {
        const int64_t s = i % samples.size();
        const State& state = states[of_head[i / samples.size()]];
        found[i] = loss_->Compare(*teachers[s], FinalNorm(state.hidden[s]),
                                  TokensOnDevice(*samples[s]), head);
        return absl::OkStatus();
      });
      if (!status.ok()) return status;
      for (size_t i = 0; i < of_head.size(); ++i) {
        for (const int choice : choices_of_state.at(of_head[i])) {
          auto& row = sums[first + choice];
          row.insert(row.end(), found.begin() + i * samples.size(),
                     found.begin() + (i + 1) * samples.size());
        }
      }
    }
    return absl::OkStatus();
  }

  // Second moments of the layers' inputs. One sample after the other, so that
  // the order of summation is theirs.
  absl::Status Collect(const CaptureRequest& request, const Progress& progress,
                       quant::Statistics& statistics) {
    const c10::InferenceMode inference;
    const Architecture& a = model_.architecture;
    const std::set<std::string> wanted(request.layers.begin(),
                                       request.layers.end());
    Site head;
    std::vector<std::vector<Site>> sites(a.blocks.size());
    size_t last_block = 0;
    for (size_t b = 0; b < a.blocks.size(); ++b) {
      const BlockSpec& spec = a.blocks[b];
      sites[b].resize(InputSites(spec));
      for (size_t slot = 0; slot < spec.linears.size(); ++slot) {
        const LinearSpec& linear = spec.linears[slot];
        if (!wanted.contains(linear.name)) continue;
        const int site = SiteOfSlot(static_cast<int>(slot));
        statistics.site_of_layer[linear.name] = SiteName(spec, b, site);
        sites[b][site].gram =
            at::zeros({linear.cols, linear.cols}, device_.Options(at::kFloat));
        last_block = b;
      }
    }
    const LinearSpec head_layer = HeadLayer(a);
    if (wanted.contains(head_layer.name)) {
      statistics.site_of_layer[head_layer.name] = kHeadSite;
      head.gram = at::zeros({head_layer.cols, head_layer.cols},
                            device_.Options(at::kFloat));
      last_block = a.blocks.size() - 1;
    }
    if (statistics.site_of_layer.empty()) return absl::OkStatus();
    const auto add_up = [](const at::Tensor& x, Site& site) {
      const at::Tensor inputs = x.to(at::kFloat);
      site.gram += at::matmul(inputs.t(), inputs);
      site.tokens += inputs.size(0);
    };
    ProgressMeter meter(progress, (last_block + 1) * request.samples.size());
    for (const auto& sample : request.samples) {
      blocks_->Reserve(sample.size());
      at::Tensor hidden = Embed(sample);
      for (size_t b = 0; b <= last_block; ++b) {
        if (!meter.Step()) {
          return absl::CancelledError("the call was cancelled");
        }
        BlockChoice own;
        own.blobs.resize(a.blocks[b].linears.size());
        auto weights = BlockWeights(a.blocks[b], own);
        if (!weights.ok()) return weights.status();
        absl::Status status = ForEachAlone(1, 1, [&](int64_t) {
          hidden = blocks_->Run(b, hidden, *weights,
                                [&](int index, const at::Tensor& x) {
                                  Site& site = sites[b][index];
                                  if (site.gram.defined()) add_up(x, site);
                                });
          return absl::OkStatus();
        });
        if (!status.ok()) return status;
      }
      if (!head.gram.defined()) continue;
      absl::Status status = ForEachAlone(1, 1, [&](int64_t) {
        add_up(FinalNorm(hidden).to(device_.type), head);
        return absl::OkStatus();
      });
      if (!status.ok()) return status;
    }
    const auto keep = [&statistics](const std::string& name, const Site& site) {
      if (!site.gram.defined()) return;
      const at::Tensor gram = site.gram.to(at::kCPU).contiguous();
      quant::Gram& out = statistics.sites[name];
      out.n = gram.size(0);
      out.tokens = site.tokens;
      const float* const values = gram.const_data_ptr<float>();
      out.values.assign(values, values + gram.numel());
    };
    for (size_t b = 0; b <= last_block; ++b) {
      for (size_t index = 0; index < sites[b].size(); ++index) {
        keep(SiteName(a.blocks[b], b, index), sites[b][index]);
      }
    }
    keep(kHeadSite, head);
    return absl::OkStatus();
  }

  // One sample after the other, so that the order of summation is theirs.
  absl::Status Observe(const std::vector<std::vector<int32_t>>& samples,
                       const Progress& progress, ModelProfile& profile) {
    const c10::InferenceMode inference;
    const Architecture& a = model_.architecture;
    const auto on_host = [](const at::Tensor& states) {
      return states.to(at::kCPU, at::kFloat).contiguous();
    };
    ProgressMeter meter(progress, a.blocks.size() * samples.size());
    for (const auto& sample : samples) {
      blocks_->Reserve(sample.size());
      const auto tokens = static_cast<int64_t>(sample.size());
      at::Tensor hidden = Embed(sample);
      std::vector<at::Tensor> states = {on_host(hidden)};
      const auto flow = [&](const at::Tensor& from, const at::Tensor& to) {
        return MeasureFlow(from.const_data_ptr<float>(),
                           to.const_data_ptr<float>(), tokens, a.hidden);
      };
      for (size_t b = 0; b < a.blocks.size(); ++b) {
        if (!meter.Step()) {
          return absl::CancelledError("the call was cancelled");
        }
        BlockProfile& block = profile.blocks[b];
        BlockChoice own;
        own.blobs.resize(a.blocks[b].linears.size());
        auto weights = BlockWeights(a.blocks[b], own);
        if (!weights.ok()) return weights.status();
        at::Tensor before = states.back();
        for (size_t m = 0; m < block.modules.size(); ++m) {
          weights->attention = m == 0;
          weights->mlp = m == 1;
          absl::Status status = ForEachAlone(1, 1, [&](int64_t) {
            hidden = blocks_->Run(
                b, hidden, *weights, [&](int site, const at::Tensor& x) {
                  const at::Tensor powers = x.to(at::kDouble)
                                                .square()
                                                .sum(0)
                                                .to(at::kCPU)
                                                .contiguous();
                  const double* const found = powers.const_data_ptr<double>();
                  std::vector<double>& sums = block.input_powers[site];
                  for (size_t c = 0; c < sums.size(); ++c) sums[c] += found[c];
                });
            return absl::OkStatus();
          });
          if (!status.ok()) return status;
          const at::Tensor after = on_host(hidden);
          block.modules[m].flow.Add(flow(before, after));
          before = after;
        }
        states.push_back(before);
        absl::Status status = ForEachAlone(threads_, b + 1, [&](int64_t from) {
          profile.blocks[from].windows[b - from].Add(
              flow(states[from], states.back()));
          return absl::OkStatus();
        });
        if (!status.ok()) return status;
      }
      profile.tokens += tokens;
    }
    return absl::OkStatus();
  }

  const ModelTensors model_;
  const TorchDevice device_;
  const int threads_;
  const int64_t memory_bytes_;
  const int32_t top_k_;
  DeviceWeights weights_;
  LruCache<std::vector<int32_t>, TorchTeacher> teachers_;
  at::Tensor embedding_, final_norm_;
  std::optional<TorchBlocks> blocks_;
  std::optional<TorchLoss> loss_;
  EvaluatorInfo info_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Evaluator>> OpenTorchEvaluator(
    const std::string& path, const EvaluatorOptions& options,
    const TorchOptions& torch) {
  if (absl::Status s = CheckOptions(options); !s.ok()) return s;
  if (torch.device_memory < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("device_memory=", torch.device_memory, " is negative"));
  }
  auto device = OpenTorchDevice(torch);
  if (!device.ok()) return device.status();
  auto model = LoadTensors(path);
  if (!model.ok()) return model.status();
  // Streams of one device take turns anyway.
  int threads = options.threads > 0 ? options.threads : AvailableCores();
  if (!device->device.is_cpu()) threads = 1;
  std::unique_ptr<TorchEvaluator> evaluator;
  absl::Status status = CatchTorch([&] {
    const c10::InferenceMode inference;
    evaluator = std::make_unique<TorchEvaluator>(
        *std::move(model), *device, threads,
        torch.device_memory > 0 ? torch.device_memory : options.memory_bytes,
        options.top_k);
    return evaluator->Load();
  });
  if (!status.ok()) return status;
  return evaluator;
}

}  // namespace evopress::worker
