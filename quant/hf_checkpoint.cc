#include "quant/hf_checkpoint.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "quant/finite_check.h"
#include "quant/hf_config.h"
#include "quant/mapped_file.h"

namespace evopress::quant {
namespace {

constexpr size_t kMaxTextBytes = size_t{256} << 20;

bool Exists(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0;
}

absl::StatusOr<std::string> ReadText(const std::string& path) {
  absl::StatusOr<std::unique_ptr<MappedFile>> mapped = MappedFile::Open(path);
  if (!mapped.ok()) return mapped.status();
  const absl::Span<const uint8_t> bytes = (*mapped)->bytes();
  if (bytes.size() > kMaxTextBytes) {
    return absl::DataLossError(
        absl::StrCat(path, " exceeds ", kMaxTextBytes, " bytes"));
  }
  return std::string(bytes.begin(), bytes.end());
}

}  // namespace

absl::StatusOr<std::unique_ptr<HfCheckpoint>> HfCheckpoint::Open(
    const std::string& directory) {
  std::unique_ptr<HfCheckpoint> checkpoint(new HfCheckpoint);
  if (absl::Status s = checkpoint->ReadConfig(directory); !s.ok()) return s;
  const std::string single = directory + "/model.safetensors";
  const std::string index = directory + "/model.safetensors.index.json";
  if (!Exists(single) && !Exists(index)) {
    return absl::NotFoundError(
        absl::StrCat(directory,
                     " has neither model.safetensors nor "
                     "model.safetensors.index.json"));
  }
  absl::StatusOr<std::unique_ptr<SafetensorsReader>> reader =
      SafetensorsReader::Open(Exists(single) ? single : index);
  if (!reader.ok()) return reader.status();
  checkpoint->reader_ = *std::move(reader);
  if (absl::Status s = checkpoint->AddTensors(); !s.ok()) return s;
  const std::vector<std::string>& data = checkpoint->reader_->files();
  checkpoint->files_.insert(checkpoint->files_.end(), data.begin(), data.end());
  if (absl::Status s = checkpoint->AddSideFiles(directory); !s.ok()) return s;
  return checkpoint;
}

absl::Status HfCheckpoint::ReadConfig(const std::string& directory) {
  const std::string path = directory + "/config.json";
  const absl::StatusOr<std::string> text = ReadText(path);
  if (!text.ok()) return text.status();
  absl::StatusOr<nlohmann::json> config =
      NormalizeHfConfig(nlohmann::json::parse(*text, nullptr, false));
  if (!config.ok()) {
    return absl::Status(
        config.status().code(),
        absl::StrCat(directory, ": ", config.status().message()));
  }
  config_ = *std::move(config);
  files_.push_back(path);
  return absl::OkStatus();
}

absl::Status HfCheckpoint::AddSideFiles(const std::string& directory) {
  HfTokenizerSource source;
  for (const auto& [name, text] :
       {std::pair<const char*, std::string*>{"tokenizer.json",
                                             &source.tokenizer_json},
        {"tokenizer_config.json", &source.tokenizer_config_json},
        {"generation_config.json", nullptr},
        {"special_tokens_map.json", nullptr},
        {"added_tokens.json", nullptr},
        {"tokenizer.model", nullptr},
        {"vocab.json", nullptr},
        {"merges.txt", nullptr},
        {"chat_template.jinja", nullptr}}) {
    const std::string path = absl::StrCat(directory, "/", name);
    if (!Exists(path)) continue;
    files_.push_back(path);
    if (text == nullptr) continue;
    absl::StatusOr<std::string> contents = ReadText(path);
    if (!contents.ok()) return contents.status();
    *text = *std::move(contents);
  }
  tokenizer_ = std::move(source);
  return absl::OkStatus();
}

absl::Status HfCheckpoint::AddTensors() {
  const nlohmann::json& tie = config_["tie_word_embeddings"];
  const bool tied = tie.is_boolean() && tie.get<bool>();
  for (const auto& [stored_name, tensor] : reader_->tensors()) {
    const std::string name = LanguageTensorName(stored_name);
    if (name.empty() || (tied && name == "lm_head.weight")) continue;
    if (!sources_.emplace(name, &tensor).second) {
      return absl::DataLossError(absl::StrCat(
          "two tensors are both ", absl::CHexEscape(name.substr(0, 200))));
    }
    tensors_.push_back({name, tensor.shape, tensor.dtype,
                        static_cast<int64_t>(tensor.bytes.size())});
  }
  std::sort(
      tensors_.begin(), tensors_.end(),
      [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
  return absl::OkStatus();
}

absl::Status HfCheckpoint::ReadF32(const std::string& name,
                                   absl::Span<float> out) const {
  const auto found = sources_.find(name);
  if (found == sources_.end()) {
    return absl::NotFoundError(
        absl::StrCat("no tensor ", absl::CHexEscape(name.substr(0, 200))));
  }
  if (absl::Status s = ReadSafetensorF32(*found->second, out); !s.ok()) {
    return s;
  }
  return CheckFinite(name, out);
}

}  // namespace evopress::quant
