#include "worker/evaluator_protocol.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/wire.h"

namespace evopress::worker {
namespace {

void PutSamples(const std::vector<std::vector<int32_t>>& samples,
                WireWriter& out) {
  out.Count(samples.size());
  for (const auto& sample : samples) out.Ints(sample);
}

std::vector<std::vector<int32_t>> GetSamples(WireReader& in) {
  std::vector<std::vector<int32_t>> samples(in.Count(4));
  for (auto& sample : samples) sample = in.Ints();
  return samples;
}

constexpr size_t kFlowBytes = 24;

void PutFlow(const Flow& flow, WireWriter& out) {
  out.F64(flow.cosine);
  out.F64(flow.angle);
  out.F64(flow.magnitude);
}

Flow GetFlow(WireReader& in) {
  Flow flow;
  flow.cosine = in.F64();
  flow.angle = in.F64();
  flow.magnitude = in.F64();
  return flow;
}

// The value, if all bytes were read and none was missing.
template <typename T>
absl::StatusOr<T> Finish(WireReader& in, T value) {
  if (absl::Status s = in.Finish(); !s.ok()) return s;
  return value;
}

}  // namespace

std::string EncodeOpen(const OpenRequest& request) {
  WireWriter out;
  out.U32(kEvaluatorProtocolVersion);
  out.Text(request.path);
  out.I64(request.options.threads);
  out.I64(request.options.memory_bytes);
  out.I64(request.options.top_k);
  return out.Take();
}

absl::StatusOr<OpenRequest> DecodeOpen(absl::string_view bytes) {
  WireReader in(bytes);
  const uint32_t version = in.U32();
  if (version != kEvaluatorProtocolVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the evaluator speaks protocol ", kEvaluatorProtocolVersion,
        ", it was asked for ", version));
  }
  OpenRequest request;
  request.path = in.Text();
  const int64_t threads = in.I64();
  request.options.memory_bytes = in.I64();
  const int64_t top_k = in.I64();
  request.options.threads = static_cast<int>(threads);
  request.options.top_k = static_cast<int32_t>(top_k);
  if (request.options.threads != threads || request.options.top_k != top_k) {
    return absl::DataLossError("evaluator options are out of range");
  }
  return Finish(in, std::move(request));
}

std::string EncodeInfo(const EvaluatorInfo& info) {
  WireWriter out;
  out.Text(info.numeric_class);
  out.Texts(info.capabilities);
  out.Text(info.model_type);
  out.Texts(info.layers);
  out.I64(info.vocab_size);
  out.Texts(info.modules);
  out.Texts(info.outer_layers);
  return out.Take();
}

absl::StatusOr<EvaluatorInfo> DecodeInfo(absl::string_view bytes) {
  WireReader in(bytes);
  EvaluatorInfo info;
  info.numeric_class = in.Text();
  info.capabilities = in.Texts();
  info.model_type = in.Text();
  info.layers = in.Texts();
  info.vocab_size = in.I64();
  info.modules = in.Texts();
  info.outer_layers = in.Texts();
  return Finish(in, std::move(info));
}

std::string EncodeEvaluate(const EvaluateRequest& request) {
  WireWriter out;
  out.Count(request.assignments.size());
  for (const WeightChoice& choice : request.assignments) {
    out.Count(choice.blob_of_layer.size());
    for (const auto& [layer, blob] : choice.blob_of_layer) {
      out.Text(layer);
      out.Text(blob);
    }
    out.Texts({choice.dropped.begin(), choice.dropped.end()});
  }
  PutSamples(request.samples, out);
  return out.Take();
}

absl::StatusOr<EvaluateRequest> DecodeEvaluate(absl::string_view bytes) {
  WireReader in(bytes);
  EvaluateRequest request;
  request.assignments.resize(in.Count(4));
  for (WeightChoice& choice : request.assignments) {
    const size_t layers = in.Count(8);
    for (size_t i = 0; i < layers; ++i) {
      std::string layer = in.Text();
      choice.blob_of_layer[std::move(layer)] = in.Text();
    }
    if (choice.blob_of_layer.size() != layers) {
      return absl::DataLossError("an assignment names a layer twice");
    }
    const std::vector<std::string> dropped = in.Texts();
    choice.dropped.insert(dropped.begin(), dropped.end());
    if (choice.dropped.size() != dropped.size()) {
      return absl::DataLossError("an assignment drops a module twice");
    }
  }
  request.samples = GetSamples(in);
  return Finish(in, std::move(request));
}

std::string EncodeEvaluated(const EvaluateResponse& response) {
  WireWriter out;
  out.Count(response.results.size());
  for (const auto& row : response.results) {
    out.Count(row.size());
    for (const search::SampleSums& sums : row) {
      out.F64(sums.kl);
      out.F64(sums.topk_kl);
      out.F64(sums.nll);
      out.I64(sums.positions);
    }
  }
  return out.Take();
}

absl::StatusOr<EvaluateResponse> DecodeEvaluated(absl::string_view bytes) {
  WireReader in(bytes);
  EvaluateResponse response;
  response.results.resize(in.Count(4));
  for (auto& row : response.results) {
    row.resize(in.Count(32));
    for (search::SampleSums& sums : row) {
      sums.kl = in.F64();
      sums.topk_kl = in.F64();
      sums.nll = in.F64();
      sums.positions = in.I64();
    }
  }
  return Finish(in, std::move(response));
}

std::string EncodeCapture(const CaptureRequest& request) {
  WireWriter out;
  PutSamples(request.samples, out);
  out.Texts(request.layers);
  out.Text(request.output_path);
  return out.Take();
}

absl::StatusOr<CaptureRequest> DecodeCapture(absl::string_view bytes) {
  WireReader in(bytes);
  CaptureRequest request;
  request.samples = GetSamples(in);
  request.layers = in.Texts();
  request.output_path = in.Text();
  return Finish(in, std::move(request));
}

std::string EncodeProfile(const std::vector<std::vector<int32_t>>& samples) {
  WireWriter out;
  PutSamples(samples, out);
  return out.Take();
}

absl::StatusOr<std::vector<std::vector<int32_t>>> DecodeProfile(
    absl::string_view bytes) {
  WireReader in(bytes);
  auto samples = GetSamples(in);
  return Finish(in, std::move(samples));
}

std::string EncodeProfiled(const ModelProfile& profile) {
  WireWriter out;
  out.I64(profile.tokens);
  out.Count(profile.blocks.size());
  for (const BlockProfile& block : profile.blocks) {
    out.Count(block.layers.size());
    for (const BlockProfile::Layer& layer : block.layers) {
      out.Text(layer.name);
      out.U32(static_cast<uint32_t>(layer.site));
    }
    out.Count(block.modules.size());
    for (const BlockProfile::Module& module : block.modules) {
      out.Text(module.name);
      PutFlow(module.flow, out);
    }
    out.Count(block.input_powers.size());
    for (const std::vector<double>& powers : block.input_powers) {
      out.Count(powers.size());
      for (const double power : powers) out.F64(power);
    }
    out.Count(block.windows.size());
    for (const Flow& flow : block.windows) PutFlow(flow, out);
  }
  return out.Take();
}

absl::StatusOr<ModelProfile> DecodeProfiled(absl::string_view bytes) {
  WireReader in(bytes);
  ModelProfile profile;
  profile.tokens = in.I64();
  profile.blocks.resize(in.Count(16));
  for (BlockProfile& block : profile.blocks) {
    block.layers.resize(in.Count(8));
    for (BlockProfile::Layer& layer : block.layers) {
      layer.name = in.Text();
      layer.site = static_cast<int>(in.U32());
    }
    block.modules.resize(in.Count(4 + kFlowBytes));
    for (BlockProfile::Module& module : block.modules) {
      module.name = in.Text();
      module.flow = GetFlow(in);
    }
    block.input_powers.resize(in.Count(4));
    for (std::vector<double>& powers : block.input_powers) {
      powers.resize(in.Count(8));
      for (double& power : powers) power = in.F64();
    }
    for (const BlockProfile::Layer& layer : block.layers) {
      if (layer.site < 0 ||
          layer.site >= static_cast<int>(block.input_powers.size())) {
        return absl::DataLossError(
            absl::StrCat("layer ", layer.name, " has no site of its block"));
      }
    }
    block.windows.resize(in.Count(kFlowBytes));
    for (Flow& flow : block.windows) flow = GetFlow(in);
  }
  return Finish(in, std::move(profile));
}

std::string EncodeProgress(double share) {
  WireWriter out;
  out.F64(share);
  return out.Take();
}

absl::StatusOr<double> DecodeProgress(absl::string_view bytes) {
  WireReader in(bytes);
  const double share = in.F64();
  if (!(share >= 0 && share <= 1)) {
    return absl::DataLossError("progress is outside 0 to 1");
  }
  return Finish(in, share);
}

std::string EncodeFailed(const absl::Status& failure) {
  WireWriter out;
  out.U32(static_cast<uint32_t>(failure.code()));
  out.Text(std::string(failure.message()));
  return out.Take();
}

absl::Status DecodeFailed(absl::string_view bytes) {
  WireReader in(bytes);
  const uint32_t code = in.U32();
  const std::string message = in.Text();
  if (absl::Status s = in.Finish(); !s.ok()) return s;
  if (code == 0 ||
      code > static_cast<uint32_t>(absl::StatusCode::kUnauthenticated)) {
    return absl::DataLossError(
        absl::StrCat("evaluator failed with unknown code ", code));
  }
  return absl::Status(static_cast<absl::StatusCode>(code), message);
}

}  // namespace evopress::worker
