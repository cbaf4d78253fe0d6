// Tokenizers out of GGUF metadata. Where llama.cpp and the Hugging Face
// tokenizer of the same model differ, the Hugging Face one is followed.

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "worker/tokenizer_parts.h"
#include "worker/tokenizer_unicode.h"

namespace evopress::worker {
namespace {

using Flag = quant::GgufTokenizerSource::Flag;

constexpr char kMetaspace[] = "\xE2\x96\x81";
// tokenizer.ggml.token_type
enum TokenType { kUnknown = 2, kControl = 3, kUserDefined = 4, kByte = 6 };

int TypeOf(const quant::GgufTokenizerSource& source, size_t id) {
  return source.types.empty() ? 1 : source.types[id];
}

// The byte of "<0x0A>", or -1.
int ByteOf(const std::string& token) {
  if (token.size() != 6 || token.compare(0, 3, "<0x") != 0 || token[5] != '>') {
    return -1;
  }
  int byte = 0;
  for (int i = 3; i < 5; ++i) {
    const char c = token[i];
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                             : -1;
    if (digit < 0) return -1;
    byte = byte * 16 + digit;
  }
  return byte;
}

// A run of two or more spaces, in either spelling (Gemma).
bool IsSpaceRun(const std::string& token) {
  const std::string spaces = absl::StrReplaceAll(token, {{kMetaspace, " "}});
  return spaces.size() > 1 &&
         spaces.find_first_not_of(' ') == std::string::npos;
}

absl::Status Check(const quant::GgufTokenizerSource& source) {
  const size_t count = source.tokens.size();
  if (count == 0 || count > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a GGUF vocabulary of ", count, " tokens"));
  }
  for (const auto& [name, size] :
       {std::make_pair("scores", source.scores.size()),
        std::make_pair("token types", source.types.size())}) {
    if (size != 0 && size != count) {
      return absl::InvalidArgumentError(
          absl::StrCat("GGUF: ", count, " tokens but ", size, " ", name));
    }
  }
  for (const auto& [name, id] :
       {std::make_pair("bos", source.bos_id),
        std::make_pair("eos", source.eos_id),
        std::make_pair("unknown", source.unknown_id)}) {
    if (id < -1 || id >= static_cast<int64_t>(count)) {
      return absl::InvalidArgumentError(
          absl::StrCat("GGUF: ", name, " id ", id, " of ", count, " tokens"));
    }
  }
  return absl::OkStatus();
}

absl::Status AddEnds(const quant::GgufTokenizerSource& source,
                     bool bos_by_default, TokenizerParts* parts) {
  if (source.bos_id >= 0) parts->bos = static_cast<int32_t>(source.bos_id);
  if (source.eos_id >= 0) parts->eos = static_cast<int32_t>(source.eos_id);
  const bool add_bos = source.add_bos == Flag::kUnsaid
                           ? bos_by_default
                           : source.add_bos == Flag::kTrue;
  if (add_bos && parts->bos) parts->prefix_ids = {*parts->bos};
  if (source.add_eos == Flag::kTrue && parts->eos) {
    parts->suffix_ids = {*parts->eos};
  }
  return absl::OkStatus();
}

absl::StatusOr<TokenizerParts> ReadByteLevel(
    const quant::GgufTokenizerSource& source) {
  TokenizerParts parts;
  auto steps = GgufPretokenizer(source.pre);
  if (!steps.ok()) return steps.status();
  parts.pretokenizer = *std::move(steps);
  if (source.pre == "qwen2" || source.pre == "qwen35") {
    parts.normalizer.push_back(MakeUnicodeForm(UnicodeForm::kNfc));
  }
  static const auto* const llama3_like = new absl::flat_hash_set<std::string>{
      "llama3",    "llama-v3", "llama-bpe", "falcon3",
      "falcon-h1", "pixtral",  "lfm2",      "tekken"};

  BpeOptions bpe;
  bpe.ignore_merges = llama3_like->contains(source.pre);
  parts.bytes_of.resize(source.tokens.size());
  bpe.vocab.reserve(source.tokens.size());
  for (size_t i = 0; i < source.tokens.size(); ++i) {
    const std::string& token = source.tokens[i];
    const int32_t id = static_cast<int32_t>(i);
    const int type = TypeOf(source, i);
    bpe.vocab.try_emplace(token, id);
    if (type == kControl || type == kUserDefined) {
      AddedToken added;
      added.content = token;
      added.id = id;
      added.special = type == kControl;
      parts.raw_tokens.Add(added, token);
      parts.bytes_of[i] = token;
    } else {
      parts.bytes_of[i] = FromByteLevel(token).value_or(token);
    }
  }
  bpe.merges.reserve(source.merges.size());
  for (const std::string& merge : source.merges) {
    // A token is never empty, so the separator is not the first character.
    const size_t space = merge.empty() ? std::string::npos : merge.find(' ', 1);
    if (space == std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("GGUF merge \"", merge, "\" is no pair"));
    }
    bpe.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
  auto model = BpeModel::Make(std::move(bpe));
  if (!model.ok()) return model.status();
  parts.bpe = *std::move(model);
  absl::Status status =
      AddEnds(source, llama3_like->contains(source.pre), &parts);
  if (!status.ok()) return status;
  return parts;
}

absl::StatusOr<TokenizerParts> ReadSentencePiece(
    const quant::GgufTokenizerSource& source) {
  if (source.scores.empty()) {
    return absl::InvalidArgumentError(
        "GGUF tokenizer \"llama\" without scores");
  }
  TokenizerParts parts;
  const bool prefix = source.add_space_prefix != Flag::kFalse;
  if (prefix) parts.normalizer.push_back(MakePrepend(kMetaspace));
  auto space = Regex::Literal(" ");
  if (!space.ok()) return space.status();
  parts.normalizer.push_back(MakeReplace(*std::move(space), kMetaspace));
  parts.strip_leading_space = prefix;

  // Gemma lists runs of spaces as user-defined tokens with scores that do not
  // follow the order of its merges; the order of the vocabulary does.
  bool space_runs = false;
  for (size_t i = 0; i < source.tokens.size(); ++i) {
    space_runs = space_runs || (TypeOf(source, i) == kUserDefined &&
                                IsSpaceRun(source.tokens[i]));
  }
  BpeOptions bpe;
  bpe.byte_fallback = true;
  bpe.unk_id = static_cast<int32_t>(source.unknown_id);
  bpe.fuse_unk = true;
  parts.bytes_of.resize(source.tokens.size());
  for (size_t i = 0; i < source.tokens.size(); ++i) {
    const std::string& token = source.tokens[i];
    const int32_t id = static_cast<int32_t>(i);
    const int type = TypeOf(source, i);
    const std::string shown = absl::StrReplaceAll(token, {{kMetaspace, " "}});
    parts.bytes_of[i] = shown;
    const int byte = ByteOf(token);
    if (byte >= 0 && (type == kByte || source.types.empty())) {
      bpe.byte_ids[byte] = id;
      parts.bytes_of[i] = std::string(1, static_cast<char>(byte));
    } else if (type == kControl ||
               (type == kUserDefined && !IsSpaceRun(token))) {
      AddedToken added;
      added.content = type == kControl ? token : shown;
      added.id = id;
      added.special = type == kControl;
      parts.raw_tokens.Add(added, added.content);
    } else if (type != kUnknown && !token.empty()) {
      const std::string spelled =
          absl::StrReplaceAll(token, {{" ", kMetaspace}});
      bpe.vocab.try_emplace(spelled, id);
      bpe.scores[id] = space_runs ? -static_cast<float>(i) : source.scores[i];
    }
  }
  if (bpe.vocab.empty()) {
    return absl::InvalidArgumentError("GGUF vocabulary of special tokens only");
  }
  auto model = BpeModel::Make(std::move(bpe));
  if (!model.ok()) return model.status();
  parts.bpe = *std::move(model);
  absl::Status status = AddEnds(source, /*bos_by_default=*/true, &parts);
  if (!status.ok()) return status;
  return parts;
}

}  // namespace

absl::StatusOr<TokenizerParts> ReadGgufTokenizer(
    const quant::GgufTokenizerSource& source) {
  if (source.model != "gpt2" && source.model != "llama") {
    return absl::UnimplementedError(
        absl::StrCat("GGUF tokenizer model \"", source.model, "\""));
  }
  if (absl::Status status = Check(source); !status.ok()) return status;
  return source.model == "gpt2" ? ReadByteLevel(source)
                                : ReadSentencePiece(source);
}

}  // namespace evopress::worker
