#include "client/export_hf.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/job_plan.h"
#include "client/tokenizer_json.h"
#include "quant/packed_weight.h"
#include "quant/safetensors_reader.h"
#include "quant/safetensors_writer.h"
#include "search/digest.h"

namespace evopress::client {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// What a tensor of the export is made of, and what was written of it.
struct Written {
  std::vector<int64_t> shape;
  std::string sha256;  // of its bytes
};

// Files beside the weights that a Hugging Face directory may have.
constexpr const char* kSideFiles[] = {"generation_config.json",
                                      "special_tokens_map.json",
                                      "tokenizer.model",
                                      "vocab.json",
                                      "merges.txt",
                                      "added_tokens.json",
                                      "chat_template.jinja",
                                      "tokenizer.json",
                                      "tokenizer_config.json"};

std::string Dump(const json& value) {
  return value.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

// layer -> path of its blob.
absl::StatusOr<std::map<std::string, std::string>> BlobPaths(
    const ExportInput& input, const FetchArtifact& fetch) {
  std::map<std::string, std::string> paths;
  for (size_t u = 0; u < input.space.units.size(); ++u) {
    const search::Unit& unit = input.space.units[u];
    for (size_t l = 0; l < unit.layers.size(); ++l) {
      auto blob = FindBlob(input, static_cast<int>(u), static_cast<int>(l));
      if (!blob.ok()) return blob.status();
      if (*blob == nullptr) continue;
      auto path = fetch((*blob)->sha256());
      if (!path.ok()) {
        return absl::Status(
            path.status().code(),
            absl::StrCat("level ", unit.menu[input.assignment.levels[u]].name,
                         " of ", unit.layers[l], ": ",
                         path.status().message()));
      }
      paths[unit.layers[l]] = *path;
    }
  }
  return paths;
}

// The tensors that are zeros so that a dropped module adds nothing.
absl::StatusOr<std::set<std::string>> SilencedTensors(
    const ExportInput& input, const quant::Checkpoint& model) {
  std::set<std::string> silenced;
  const auto members = search::MembersOfModules(input.space);
  for (size_t u = 0; u < input.space.units.size(); ++u) {
    if (members[u].empty() || input.assignment.levels[u] != search::kDropped) {
      continue;
    }
    for (const std::string& module : input.space.units[u].layers) {
      const size_t before = silenced.size();
      for (const quant::TensorInfo& tensor : model.tensors()) {
        if (!search::LiesIn(tensor.name, module)) continue;
        const std::string layer = tensor.name.substr(0, tensor.name.rfind('.'));
        if (absl::EndsWith(layer, ".o_proj") ||
            absl::EndsWith(layer, ".down_proj") ||
            absl::EndsWith(layer, ".w2")) {
          silenced.insert(tensor.name);
        }
      }
      if (silenced.size() == before) {
        return absl::FailedPreconditionError(absl::StrCat(
            "the output projection of the dropped module ", module,
            " is not known here; --for hf cannot write this model"));
      }
    }
  }
  return silenced;
}

absl::Status ReadBlobInto(const std::string& layer, const std::string& path,
                          const std::vector<int64_t>& shape,
                          std::vector<float>& values) {
  auto weight = quant::ReadBlob(path);
  if (!weight.ok()) return weight.status();
  if (shape.size() != 2 || weight->rows != shape[0] ||
      weight->cols != shape[1]) {
    return absl::DataLossError(
        absl::StrCat("the blob of ", layer, " is ", weight->rows, " x ",
                     weight->cols, ", which is not the layer's shape"));
  }
  return quant::Unpack(*weight, absl::MakeSpan(values));
}

absl::Status WriteWeights(const quant::Checkpoint& model,
                          const std::map<std::string, std::string>& blobs,
                          const std::set<std::string>& silenced,
                          const std::string& dtype, const std::string& dir,
                          std::map<std::string, Written>& written) {
  std::vector<quant::SafetensorsSource> sources;
  for (const quant::TensorInfo& tensor : model.tensors()) {
    // Factors of the positions: in config.json here, a tensor in GGUF only.
    if (absl::StartsWith(tensor.name, "rope_freqs")) continue;
    quant::SafetensorsSource source;
    source.name = tensor.name;
    source.dtype = dtype;
    source.shape = tensor.shape;
    written[tensor.name].shape = tensor.shape;
    source.bytes = [&model, &blobs, &silenced, &written, dtype,
                    tensor]() -> absl::StatusOr<std::string> {
      std::vector<float> values(tensor.elements());
      std::string layer = tensor.name;
      if (absl::EndsWith(layer, ".weight")) layer.resize(layer.size() - 7);
      const auto blob = blobs.find(layer);
      const absl::Status read =
          silenced.contains(tensor.name) ? absl::OkStatus()  // values are zeros
          : blob != blobs.end()
              ? ReadBlobInto(layer, blob->second, tensor.shape, values)
              : model.ReadF32(tensor.name, absl::MakeSpan(values));
      if (!read.ok()) return read;
      auto bytes = quant::EncodeFloats(tensor.name, dtype, values);
      if (bytes.ok()) {
        written[tensor.name].sha256 = search::Sha256Hex(*bytes);
      }
      return bytes;
    };
    sources.push_back(std::move(source));
  }
  return quant::WriteSafetensors(dir, std::move(sources), {}).status();
}

absl::Status VerifyWeights(const std::string& dir, const std::string& dtype,
                           const std::map<std::string, Written>& written) {
  const std::string index = absl::StrCat(dir, "/model.safetensors.index.json");
  const std::string single = absl::StrCat(dir, "/model.safetensors");
  auto reader =
      quant::SafetensorsReader::Open(fs::exists(index) ? index : single);
  if (!reader.ok()) return reader.status();
  if ((*reader)->tensors().size() != written.size()) {
    return absl::DataLossError(absl::StrCat("the export holds ",
                                            (*reader)->tensors().size(),
                                            " tensors, not ", written.size()));
  }
  for (const auto& [name, tensor] : (*reader)->tensors()) {
    const auto meant = written.find(name);
    const std::string bytes(reinterpret_cast<const char*>(tensor.bytes.data()),
                            tensor.bytes.size());
    if (meant == written.end() || meant->second.shape != tensor.shape ||
        tensor.dtype != dtype ||
        meant->second.sha256 != search::Sha256Hex(bytes)) {
      return absl::DataLossError(
          absl::StrCat("tensor ", name, " does not read back as written"));
    }
  }
  // Our own reader must find a whole model there, configuration included.
  return quant::Checkpoint::Open(dir).status();
}

// LlamaForCausalLM and so on.
std::string ArchitectureOf(const std::string& model_type) {
  static const std::map<std::string, std::string> kKnown = {
      {"llama", "LlamaForCausalLM"},   {"mistral", "MistralForCausalLM"},
      {"qwen2", "Qwen2ForCausalLM"},   {"qwen3", "Qwen3ForCausalLM"},
      {"gemma2", "Gemma2ForCausalLM"}, {"gemma3_text", "Gemma3ForCausalLM"}};
  const auto found = kKnown.find(model_type);
  return found == kKnown.end() ? "" : found->second;
}

absl::StatusOr<json> MakeConfig(const quant::Checkpoint& model,
                                const std::string& dtype) {
  json config = model.config();
  config["torch_dtype"] = dtype;
  if (config.contains("dtype")) config["dtype"] = dtype;
  config.erase("quantization_config");
  const std::string architecture =
      ArchitectureOf(config.value("model_type", ""));
  if (!config.contains("architectures") && !architecture.empty()) {
    config["architectures"] = json::array({architecture});
  }
  if (config.contains("rope_scaling") && config["rope_scaling"].is_object() &&
      config["rope_scaling"].contains("factors_tensor")) {
    if (!config["rope_scaling"].contains("factor")) {
      return absl::FailedPreconditionError(
          "the GGUF file scales positions by a tensor that no parameters of "
          "config.json reproduce; export from the Hugging Face model instead");
    }
    config["rope_scaling"].erase("factors_tensor");
  }
  if (const auto* gguf =
          std::get_if<quant::GgufTokenizerSource>(&model.tokenizer())) {
    if (gguf->bos_id >= 0) config["bos_token_id"] = gguf->bos_id;
    if (gguf->eos_id >= 0) config["eos_token_id"] = gguf->eos_id;
    if (gguf->padding_id >= 0) config["pad_token_id"] = gguf->padding_id;
  }
  return config;
}

absl::Status WriteGgufTokenizer(const quant::GgufTokenizerSource& source,
                                OutputDir& out) {
  auto tokenizer = MakeTokenizerJson(source);
  if (!tokenizer.ok()) return tokenizer.status();
  if (absl::Status s = out.Write("tokenizer.json", Dump(*tokenizer)); !s.ok()) {
    return s;
  }
  if (absl::Status s =
          out.Write("tokenizer_config.json", Dump(MakeTokenizerConfig(source)));
      !s.ok()) {
    return s;
  }
  json generation = json::object();
  if (source.bos_id >= 0) generation["bos_token_id"] = source.bos_id;
  if (source.eos_id >= 0) generation["eos_token_id"] = source.eos_id;
  if (source.padding_id >= 0) generation["pad_token_id"] = source.padding_id;
  return out.Write("generation_config.json", Dump(generation));
}

absl::Status CopySideFiles(const std::string& from, OutputDir& out) {
  for (const char* name : kSideFiles) {
    const fs::path path = fs::path(from) / name;
    std::error_code error;
    if (!fs::is_regular_file(path, error)) continue;
    std::ifstream in(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    if (!in) {
      return absl::UnavailableError(
          absl::StrCat("cannot read ", path.string()));
    }
    if (absl::Status s = out.Write(name, bytes); !s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ParseHfDtype(const std::string& text) {
  if (text == "float32") return std::string("F32");
  if (text == "float16") return std::string("F16");
  if (text == "bfloat16") return std::string("BF16");
  return absl::InvalidArgumentError(absl::StrCat(
      "--dtype \"", text, "\" is unknown; use float32, float16 or bfloat16"));
}

absl::Status ExportHf(const ExportInput& input, const FetchArtifact& fetch,
                      const HfOptions& options, OutputDir& out) {
  auto dtype = ParseHfDtype(options.dtype);
  if (!dtype.ok()) return dtype.status();
  std::string path = options.model_path;
  const auto& labels = input.job.spec().labels();
  if (path.empty() && labels.count("model_path") > 0) {
    path = labels.at("model_path");
  }
  auto model = OpenModel(path);
  if (!model.ok()) return model.status();
  auto ref = MakeModelRef(path, **model);
  if (!ref.ok()) return ref.status();
  if (ref->hash() != input.job.spec().model().hash()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the model at ", path, " has hash ", ref->hash(),
                     ", but the job searched ", input.job.spec().model().hash(),
                     "; name the right one with --model"));
  }
  if (!fetch) {
    return absl::FailedPreconditionError(
        "the levels' blobs are at the coordinator; name it with --server or "
        "--data");
  }
  auto blobs = BlobPaths(input, fetch);
  if (!blobs.ok()) return blobs.status();
  auto silenced = SilencedTensors(input, **model);
  if (!silenced.ok()) return silenced.status();
  auto config = MakeConfig(**model, options.dtype);
  if (!config.ok()) return config.status();
  if (absl::Status s = out.Write("config.json", Dump(*config)); !s.ok()) {
    return s;
  }
  std::error_code error;
  if (const auto* gguf =
          std::get_if<quant::GgufTokenizerSource>(&(*model)->tokenizer())) {
    if (absl::Status s = WriteGgufTokenizer(*gguf, out); !s.ok()) return s;
  } else if (fs::is_directory(path, error)) {
    if (absl::Status s = CopySideFiles(path, out); !s.ok()) return s;
  }
  std::map<std::string, Written> written;
  if (absl::Status s = WriteWeights(**model, *blobs, *silenced, *dtype,
                                    out.temporary(), written);
      !s.ok()) {
    return s;
  }
  return VerifyWeights(out.temporary(), *dtype, written);
}

}  // namespace evopress::client
