// Tokenizers out of a Hugging Face tokenizer.json, with the names of BOS and
// EOS from tokenizer_config.json.

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "worker/tokenizer_parts.h"
#include "worker/tokenizer_unicode.h"

namespace evopress::worker {
namespace {

using Json = nlohmann::json;

constexpr char kMetaspace[] = "\xE2\x96\x81";
// Ids are array indices here; this bounds what a hostile file can make us
// allocate.
constexpr int64_t kMaxId = 8 << 20;

absl::StatusOr<int32_t> ParseId(const Json& json, const std::string& token) {
  const int64_t id = json.is_number_integer() ? json.get<int64_t>() : -1;
  if (id < 0 || id > kMaxId) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tokenizer.json: id ", json.dump(), " of token \"", token, "\""));
  }
  return static_cast<int32_t>(id);
}

absl::Status ParseMerges(const Json& json, BpeOptions* bpe) {
  bpe->merges.reserve(json.size());
  for (const Json& merge : json) {
    if (merge.is_array() && merge.size() == 2) {
      bpe->merges.emplace_back(merge[0].get<std::string>(),
                               merge[1].get<std::string>());
      continue;
    }
    const std::string text = merge.get<std::string>();
    const size_t space = text.find(' ');
    if (space == std::string::npos ||
        text.find(' ', space + 1) != std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("tokenizer.json: merge \"", text, "\" is no pair"));
    }
    bpe->merges.emplace_back(text.substr(0, space), text.substr(space + 1));
  }
  return absl::OkStatus();
}

absl::StatusOr<BpeOptions> ParseModel(const Json& model) {
  const std::string type = model.value("type", std::string("BPE"));
  if (type != "BPE") {
    return absl::UnimplementedError(
        absl::StrCat("tokenizer.json model \"", type, "\""));
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto found = model.find(key);
    if (found != model.end() && found->is_string() &&
        !found->get<std::string>().empty()) {
      return absl::UnimplementedError(absl::StrCat("BPE with ", key));
    }
  }
  const auto dropout = model.find("dropout");
  if (dropout != model.end() && dropout->is_number() &&
      dropout->get<double>() != 0) {
    return absl::UnimplementedError("BPE with dropout");
  }
  BpeOptions bpe;
  const Json& vocab = model.at("vocab");
  bpe.vocab.reserve(vocab.size());
  for (const auto& [token, value] : vocab.items()) {
    auto id = ParseId(value, token);
    if (!id.ok()) return id.status();
    bpe.vocab[token] = *id;
  }
  absl::Status status = ParseMerges(model.at("merges"), &bpe);
  if (!status.ok()) return status;
  const auto flag = [&](const char* key) {
    const auto found = model.find(key);
    return found != model.end() && found->is_boolean() && found->get<bool>();
  };
  bpe.byte_fallback = flag("byte_fallback");
  bpe.ignore_merges = flag("ignore_merges");
  bpe.fuse_unk = flag("fuse_unk");
  const auto unk = model.find("unk_token");
  if (unk != model.end() && unk->is_string()) {
    const auto found = bpe.vocab.find(unk->get<std::string>());
    if (found == bpe.vocab.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("tokenizer.json: unk_token \"", unk->get<std::string>(),
                       "\" is not in the vocabulary"));
    }
    bpe.unk_id = found->second;
  }
  for (int byte = 0; bpe.byte_fallback && byte < 256; ++byte) {
    constexpr char kHex[] = "0123456789ABCDEF";
    const std::string token = {'<', '0', 'x', kHex[byte >> 4], kHex[byte & 15],
                               '>'};
    const auto found = bpe.vocab.find(token);
    if (found != bpe.vocab.end()) bpe.byte_ids[byte] = found->second;
  }
  return bpe;
}

absl::Status ParseAddedTokens(const Json& json, TokenizerParts* parts,
                              std::vector<AddedToken>* tokens) {
  for (const Json& item : json) {
    AddedToken token;
    token.content = item.at("content").get<std::string>();
    auto id = ParseId(item.at("id"), token.content);
    if (!id.ok()) return id.status();
    token.id = *id;
    token.special = item.value("special", false);
    token.lstrip = item.value("lstrip", false);
    token.rstrip = item.value("rstrip", false);
    token.single_word = item.value("single_word", false);
    token.normalized = item.value("normalized", !token.special);
    if (token.normalized) {
      auto content = Normalize(parts->normalizer, token.content);
      if (!content.ok()) return content.status();
      parts->normalized_tokens.Add(token, *content);
    } else {
      parts->raw_tokens.Add(token, token.content);
    }
    tokens->push_back(std::move(token));
  }
  return absl::OkStatus();
}

// The ids around sequence A of a TemplateProcessing, also within a Sequence.
absl::Status ParsePostProcessor(const Json& json, TokenizerParts* parts) {
  if (json.is_null()) return absl::OkStatus();
  const std::string type = json.at("type").get<std::string>();
  if (type == "ByteLevel") return absl::OkStatus();  // offsets only
  if (type == "Sequence") {
    for (const Json& inner : json.at("processors")) {
      if (inner.value("type", std::string()) == "Sequence") {
        return absl::UnimplementedError("nested post-processor Sequence");
      }
      absl::Status status = ParsePostProcessor(inner, parts);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }
  if (type != "TemplateProcessing") {
    return absl::UnimplementedError(
        absl::StrCat("post-processor \"", type, "\""));
  }
  std::vector<int32_t>* side = &parts->prefix_ids;
  for (const Json& part : json.at("single")) {
    if (part.contains("Sequence")) {
      side = &parts->suffix_ids;
      continue;
    }
    const std::string name =
        part.at("SpecialToken").at("id").get<std::string>();
    for (const Json& value : json.at("special_tokens").at(name).at("ids")) {
      auto id = ParseId(value, name);
      if (!id.ok()) return id.status();
      side->push_back(*id);
    }
  }
  return absl::OkStatus();
}

// Whether a "decoder" or "pre_tokenizer" holds a rule of that type.
bool Holds(const Json& json, const std::string& type) {
  if (json.is_object()) {
    if (json.value("type", std::string()) == type) return true;
    for (const char* key : {"decoders", "pretokenizers"}) {
      if (json.contains(key) && Holds(json.at(key), type)) return true;
    }
  } else if (json.is_array()) {
    for (const Json& item : json) {
      if (item.is_object() && item.value("type", std::string()) == type) {
        return true;
      }
    }
  }
  return false;
}

void FillBytes(const Json& decoder, const BpeOptions& bpe,
               const std::vector<AddedToken>& tokens, TokenizerParts* parts) {
  int32_t highest = -1;
  for (const auto& [token, id] : bpe.vocab) highest = std::max(highest, id);
  for (const AddedToken& token : tokens) highest = std::max(highest, token.id);
  parts->bytes_of.resize(highest + 1);
  const bool byte_level = Holds(decoder, "ByteLevel");
  for (const auto& [token, id] : bpe.vocab) {
    parts->bytes_of[id] = byte_level
                              ? FromByteLevel(token).value_or(token)
                              : absl::StrReplaceAll(token, {{kMetaspace, " "}});
  }
  for (int byte = 0; byte < 256; ++byte) {
    if (bpe.byte_ids[byte] >= 0) {
      parts->bytes_of[bpe.byte_ids[byte]] =
          std::string(1, static_cast<char>(byte));
    }
  }
  for (const AddedToken& token : tokens) {
    parts->bytes_of[token.id] = token.content;
  }
  parts->strip_leading_space =
      Holds(decoder, "Strip") || Holds(decoder, "Metaspace");
}

// "bos_token" is a string, or an object with its "content".
std::optional<int32_t> FindNamed(const Json& config, const char* key,
                                 const BpeOptions& bpe,
                                 const std::vector<AddedToken>& tokens) {
  if (!config.is_object() || !config.contains(key)) return std::nullopt;
  const Json& value = config.at(key);
  std::string content;
  if (value.is_string()) {
    content = value.get<std::string>();
  } else if (value.is_object()) {
    content = value.value("content", std::string());
  }
  for (const AddedToken& token : tokens) {
    if (token.content == content) return token.id;
  }
  const auto found = bpe.vocab.find(content);
  if (found == bpe.vocab.end()) return std::nullopt;
  return found->second;
}

absl::StatusOr<TokenizerParts> Read(const Json& json, const Json& config) {
  const auto part = [&](const char* key) {
    return json.contains(key) ? json.at(key) : Json();
  };
  TokenizerParts parts;
  auto normalizer = ParseNormalizer(part("normalizer"));
  if (!normalizer.ok()) return normalizer.status();
  parts.normalizer = *std::move(normalizer);
  auto pretokenizer = ParsePretokenizer(part("pre_tokenizer"));
  if (!pretokenizer.ok()) return pretokenizer.status();
  parts.pretokenizer = *std::move(pretokenizer);
  auto bpe = ParseModel(json.at("model"));
  if (!bpe.ok()) return bpe.status();
  std::vector<AddedToken> tokens;
  absl::Status status = ParseAddedTokens(part("added_tokens"), &parts, &tokens);
  if (!status.ok()) return status;
  status = ParsePostProcessor(part("post_processor"), &parts);
  if (!status.ok()) return status;
  FillBytes(part("decoder"), *bpe, tokens, &parts);
  parts.bos = FindNamed(config, "bos_token", *bpe, tokens);
  parts.eos = FindNamed(config, "eos_token", *bpe, tokens);
  auto model = BpeModel::Make(*std::move(bpe));
  if (!model.ok()) return model.status();
  parts.bpe = *std::move(model);
  return parts;
}

}  // namespace

absl::StatusOr<TokenizerParts> ReadHfTokenizer(
    const quant::HfTokenizerSource& source) {
  if (source.tokenizer_json.empty()) {
    return absl::UnimplementedError(
        "a model without tokenizer.json; make one with transformers' "
        "AutoTokenizer(...).save_pretrained()");
  }
  const Json json = Json::parse(source.tokenizer_json, nullptr, false);
  if (!json.is_object()) {
    return absl::InvalidArgumentError("tokenizer.json is no JSON object");
  }
  const Json config = Json::parse(source.tokenizer_config_json, nullptr, false);
  try {
    return Read(json, config);
  } catch (const Json::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tokenizer.json is not what Hugging Face tokenizers writes: ",
        error.what()));
  }
}

}  // namespace evopress::worker
