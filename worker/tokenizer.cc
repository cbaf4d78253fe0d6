#include "worker/tokenizer.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "worker/tokenizer_parts.h"
#include "worker/tokenizer_unicode.h"

namespace evopress::worker {
namespace {

constexpr size_t kMaxCachedBytes = 64;
constexpr size_t kMaxCachedPieces = 1 << 20;
constexpr absl::string_view kMetaspace = "\xE2\x96\x81";

}  // namespace

// One call of Encode(): its cache of pieces needs no lock.
class Tokenizer::Encoder {
 public:
  Encoder(const TokenizerParts& parts, bool parse_special)
      : parts_(parts), parse_special_(parse_special) {}

  absl::Status Run(const std::string& text) {
    for (const auto& segment : parts_.raw_tokens.Split(text, parse_special_)) {
      if (segment.id >= 0) {
        ids_.push_back(segment.id);
        continue;
      }
      auto normalized =
          Normalize(parts_.normalizer,
                    text.substr(segment.begin, segment.end - segment.begin));
      if (!normalized.ok()) return normalized.status();
      absl::Status status =
          AddNormalized(*std::move(normalized), segment.begin == 0);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  std::vector<int32_t> TakeIds() { return std::move(ids_); }

 private:
  absl::Status AddNormalized(std::string text, bool first) {
    if (parts_.normalized_tokens.empty())
      return AddText(std::move(text), first);
    for (const auto& segment :
         parts_.normalized_tokens.Split(text, parse_special_)) {
      if (segment.id >= 0) {
        ids_.push_back(segment.id);
        continue;
      }
      absl::Status status =
          AddText(text.substr(segment.begin, segment.end - segment.begin),
                  first && segment.begin == 0);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status AddText(std::string text, bool first) {
    auto pretokens = Pretokenize(parts_.pretokenizer, std::move(text), first);
    if (!pretokens.ok()) return pretokens.status();
    const absl::string_view all = pretokens->text;
    for (const Pretokens::Piece& piece : pretokens->pieces) {
      AddPiece(all.substr(piece.begin, piece.end - piece.begin));
    }
    return absl::OkStatus();
  }

  void AddPiece(absl::string_view piece) {
    if (!parts_.bpe->may_cut_before_metaspace()) return AddChunk(piece);
    size_t begin = 0;
    size_t space_end = 0;  // where the last seen U+2581 ends
    for (size_t at = piece.find(kMetaspace); at != absl::string_view::npos;
         at = piece.find(kMetaspace, space_end)) {
      if (at > begin && at != space_end) {
        AddChunk(piece.substr(begin, at - begin));
        begin = at;
      }
      space_end = at + kMetaspace.size();
    }
    if (begin < piece.size()) AddChunk(piece.substr(begin));
  }

  void AddChunk(absl::string_view chunk) {
    if (chunk.size() > kMaxCachedBytes) {
      parts_.bpe->Encode(chunk, &ids_);
      return;
    }
    const auto cached = cache_.find(chunk);
    if (cached != cache_.end()) {
      const auto [begin, count] = cached->second;
      ids_.insert(ids_.end(), known_.begin() + begin,
                  known_.begin() + begin + count);
      return;
    }
    scratch_.clear();
    parts_.bpe->Encode(chunk, &scratch_);
    ids_.insert(ids_.end(), scratch_.begin(), scratch_.end());
    if (cache_.size() >= kMaxCachedPieces) return;
    cache_.emplace(std::string(chunk.data(), chunk.size()),
                   std::make_pair(known_.size(), scratch_.size()));
    known_.insert(known_.end(), scratch_.begin(), scratch_.end());
  }

  const TokenizerParts& parts_;
  const bool parse_special_;
  std::vector<int32_t> ids_;
  std::vector<int32_t> scratch_;
  std::vector<int32_t> known_;  // the ids of all cached pieces
  absl::flat_hash_map<std::string, std::pair<size_t, size_t>> cache_;
};

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Make(
    const quant::TokenizerSource& source) {
  auto parts =
      std::holds_alternative<quant::GgufTokenizerSource>(source)
          ? ReadGgufTokenizer(std::get<quant::GgufTokenizerSource>(source))
          : ReadHfTokenizer(std::get<quant::HfTokenizerSource>(source));
  if (!parts.ok()) return parts.status();
  return std::make_unique<Tokenizer>(*std::move(parts));
}

Tokenizer::Tokenizer(TokenizerParts parts)
    : parts_(std::make_unique<const TokenizerParts>(std::move(parts))) {}

Tokenizer::~Tokenizer() = default;

absl::StatusOr<std::vector<int32_t>> Tokenizer::Encode(
    const std::string& text, bool parse_special) const {
  if (text.size() > kMaxTextBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a text of ", text.size(), " bytes; at most ",
                     kMaxTextBytes, " in one call"));
  }
  Encoder encoder(*parts_, parse_special);
  absl::Status status = encoder.Run(ReplaceInvalidUtf8(text));
  if (!status.ok()) return status;
  return encoder.TakeIds();
}

std::string Tokenizer::Decode(const std::vector<int32_t>& ids) const {
  std::string text;
  for (const int32_t id : ids) {
    if (id >= 0 && id < vocab_size()) text += parts_->bytes_of[id];
  }
  if (parts_->strip_leading_space && !text.empty() && text[0] == ' ') {
    text.erase(0, 1);
  }
  return text;
}

int Tokenizer::vocab_size() const {
  return static_cast<int>(parts_->bytes_of.size());
}

std::optional<int32_t> Tokenizer::bos() const { return parts_->bos; }
std::optional<int32_t> Tokenizer::eos() const { return parts_->eos; }

const std::vector<int32_t>& Tokenizer::prefix_ids() const {
  return parts_->prefix_ids;
}
const std::vector<int32_t>& Tokenizer::suffix_ids() const {
  return parts_->suffix_ids;
}

}  // namespace evopress::worker
