#include "client/tokenizer_json.h"

#include <algorithm>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace evopress::client {
namespace {

using nlohmann::json;
using Flag = quant::GgufTokenizerSource::Flag;

// tokenizer.ggml.token_type
constexpr int kControl = 3;
constexpr int kUserDefined = 4;
constexpr char kMetaspace[] = "\xE2\x96\x81";

constexpr char kLlama3Pattern[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kQwen2Pattern[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

bool OneOf(const std::string& text, const std::set<std::string>& set) {
  return set.count(text) > 0;
}

bool IsLlama3(const std::string& pre) {
  return OneOf(pre, {"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1",
                     "pixtral", "lfm2"});
}

int TypeOf(const quant::GgufTokenizerSource& source, size_t id) {
  return source.types.empty() ? 1 : source.types[id];
}

json ByteLevel(bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

json SplitThenBytes(const char* pattern) {
  return {{"type", "Sequence"},
          {"pretokenizers",
           {{{"type", "Split"},
             {"pattern", {{"Regex", pattern}}},
             {"behavior", "Isolated"},
             {"invert", false}},
            ByteLevel(false)}}};
}

absl::StatusOr<json> PreTokenizer(const std::string& pre) {
  if (OneOf(pre, {"", "default", "gpt-2", "gpt2", "phi-2", "olmo", "jais"})) {
    return ByteLevel(true);
  }
  if (OneOf(pre, {"smollm", "starcoder", "refact", "command-r", "codeshell"})) {
    return json{
        {"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "Digits"}, {"individual_digits", true}}, ByteLevel(true)}}};
  }
  if (IsLlama3(pre)) return SplitThenBytes(kLlama3Pattern);
  if (OneOf(pre, {"qwen2", "deepseek-r1-qwen", "stablelm2", "megrez"})) {
    return SplitThenBytes(kQwen2Pattern);
  }
  return absl::UnimplementedError(absl::StrCat(
      "no tokenizer.json can be made for the GGUF pre-tokenizer \"", pre,
      "\"; export from the Hugging Face model instead"));
}

json AddedTokens(const quant::GgufTokenizerSource& source) {
  json added = json::array();
  for (size_t id = 0; id < source.tokens.size(); ++id) {
    const int type = TypeOf(source, id);
    if (type != kControl && type != kUserDefined) continue;
    added.push_back({{"id", id},
                     {"content", source.tokens[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", type == kControl}});
  }
  return added;
}

const std::string* TokenOf(const quant::GgufTokenizerSource& source,
                           int64_t id) {
  if (id < 0 || id >= static_cast<int64_t>(source.tokens.size())) {
    return nullptr;
  }
  return &source.tokens[id];
}

bool AddsBos(const quant::GgufTokenizerSource& source) {
  if (source.add_bos != Flag::kUnsaid) return source.add_bos == Flag::kTrue;
  return source.model == "llama" || IsLlama3(source.pre);
}

// "A" stands for the text: <bos> A <eos>.
json PostProcessor(const quant::GgufTokenizerSource& source) {
  json single = json::array();
  json pair = json::array();
  json special = json::object();
  const auto add = [&](int64_t id, int type_id, json& list) {
    const std::string* token = TokenOf(source, id);
    if (token == nullptr) return;
    list.push_back({{"SpecialToken", {{"id", *token}, {"type_id", type_id}}}});
    special[*token] = {{"id", *token},
                       {"ids", json::array({id})},
                       {"tokens", json::array({*token})}};
  };
  const auto text = [](const char* id, int type_id) {
    return json{{"Sequence", {{"id", id}, {"type_id", type_id}}}};
  };
  const bool eos = source.add_eos == Flag::kTrue;
  if (AddsBos(source)) {
    add(source.bos_id, 0, single);
    add(source.bos_id, 0, pair);
  }
  single.push_back(text("A", 0));
  pair.push_back(text("A", 0));
  if (eos) {
    add(source.eos_id, 0, single);
    add(source.eos_id, 0, pair);
  }
  if (AddsBos(source)) add(source.bos_id, 1, pair);
  pair.push_back(text("B", 1));
  if (eos) add(source.eos_id, 1, pair);
  if (special.empty()) return nullptr;
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", special}};
}

json Vocabulary(const quant::GgufTokenizerSource& source) {
  json vocab = json::object();
  for (size_t id = 0; id < source.tokens.size(); ++id) {
    vocab.emplace(source.tokens[id], id);
  }
  return vocab;
}

// Merges as "l r" pairs whose order reproduces the scores: the pair that gives
// the better piece comes first.
json MergesOfScores(const quant::GgufTokenizerSource& source) {
  std::unordered_map<std::string, size_t> ids;
  for (size_t id = 0; id < source.tokens.size(); ++id) {
    if (TypeOf(source, id) == kControl) continue;
    ids.emplace(source.tokens[id], id);
  }
  struct Merge {
    float score;
    size_t left;
    size_t right;
  };
  std::vector<Merge> merges;
  for (size_t id = 0; id < source.tokens.size(); ++id) {
    const std::string& token = source.tokens[id];
    if (TypeOf(source, id) == kControl) continue;
    for (size_t cut = 1; cut < token.size(); ++cut) {
      if ((token[cut] & 0xC0) == 0x80) continue;  // inside a character
      const auto left = ids.find(token.substr(0, cut));
      const auto right = ids.find(token.substr(cut));
      if (left == ids.end() || right == ids.end()) continue;
      const float score = id < source.scores.size() ? source.scores[id] : 0.0f;
      merges.push_back({score, left->second, right->second});
    }
  }
  std::stable_sort(
      merges.begin(), merges.end(),
      [](const Merge& a, const Merge& b) { return a.score > b.score; });
  json list = json::array();
  for (const Merge& merge : merges) {
    list.push_back(
        json::array({source.tokens[merge.left], source.tokens[merge.right]}));
  }
  return list;
}

json BaseModel() {
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", false}};
}

absl::StatusOr<json> ByteLevelTokenizer(
    const quant::GgufTokenizerSource& source) {
  auto pre = PreTokenizer(source.pre);
  if (!pre.ok()) return pre.status();
  json model = BaseModel();
  model["ignore_merges"] = IsLlama3(source.pre);
  model["vocab"] = Vocabulary(source);
  json merges = json::array();
  for (const std::string& merge : source.merges) {
    const size_t space = merge.empty() ? std::string::npos : merge.find(' ', 1);
    if (space == std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("merge \"", merge, "\" is no pair"));
    }
    merges.push_back(
        json::array({merge.substr(0, space), merge.substr(space + 1)}));
  }
  model["merges"] = merges;
  json normalizer = nullptr;
  if (source.pre == "qwen2") normalizer = {{"type", "NFC"}};
  return json{{"normalizer", normalizer},
              {"pre_tokenizer", *pre},
              {"decoder", ByteLevel(true)},
              {"model", model}};
}

json SentencePieceTokenizer(const quant::GgufTokenizerSource& source) {
  const bool prefix = source.add_space_prefix != Flag::kFalse;
  json model = BaseModel();
  model["byte_fallback"] = true;
  model["fuse_unk"] = true;
  const std::string* unknown = TokenOf(source, source.unknown_id);
  if (unknown != nullptr) model["unk_token"] = *unknown;
  model["vocab"] = Vocabulary(source);
  model["merges"] = MergesOfScores(source);
  json normalizers = json::array();
  if (prefix) {
    normalizers.push_back({{"type", "Prepend"}, {"prepend", kMetaspace}});
  }
  normalizers.push_back({{"type", "Replace"},
                         {"pattern", {{"String", " "}}},
                         {"content", kMetaspace}});
  json decoders = {{{"type", "Replace"},
                    {"pattern", {{"String", kMetaspace}}},
                    {"content", " "}},
                   {{"type", "ByteFallback"}},
                   {{"type", "Fuse"}}};
  if (prefix) {
    decoders.push_back(
        {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  return {{"normalizer", {{"type", "Sequence"}, {"normalizers", normalizers}}},
          {"pre_tokenizer", nullptr},
          {"decoder", {{"type", "Sequence"}, {"decoders", decoders}}},
          {"model", model}};
}

}  // namespace

absl::StatusOr<json> MakeTokenizerJson(
    const quant::GgufTokenizerSource& source) {
  json tokenizer;
  if (source.model == "gpt2") {
    auto made = ByteLevelTokenizer(source);
    if (!made.ok()) return made.status();
    tokenizer = *std::move(made);
  } else if (source.model == "llama") {
    tokenizer = SentencePieceTokenizer(source);
  } else {
    return absl::UnimplementedError(absl::StrCat(
        "no tokenizer.json can be made for the GGUF tokenizer \"", source.model,
        "\"; export from the Hugging Face model instead"));
  }
  tokenizer["version"] = "1.0";
  tokenizer["truncation"] = nullptr;
  tokenizer["padding"] = nullptr;
  tokenizer["added_tokens"] = AddedTokens(source);
  json post = PostProcessor(source);
  if (post.is_null() && source.model == "gpt2") post = ByteLevel(true);
  tokenizer["post_processor"] = post;
  return tokenizer;
}

json MakeTokenizerConfig(const quant::GgufTokenizerSource& source) {
  json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                 {"clean_up_tokenization_spaces", false},
                 {"add_bos_token", AddsBos(source)},
                 {"add_eos_token", source.add_eos == Flag::kTrue}};
  const std::pair<const char*, int64_t> ids[] = {
      {"bos_token", source.bos_id},
      {"eos_token", source.eos_id},
      {"unk_token", source.unknown_id},
      {"pad_token", source.padding_id}};
  for (const auto& [key, id] : ids) {
    const std::string* token = TokenOf(source, id);
    if (token != nullptr) config[key] = *token;
  }
  if (!source.chat_template.empty()) {
    config["chat_template"] = source.chat_template;
  }
  return config;
}

}  // namespace evopress::client
