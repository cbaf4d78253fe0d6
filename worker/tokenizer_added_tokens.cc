#include "worker/tokenizer_added_tokens.h"

#include <algorithm>

#include "worker/tokenizer_unicode.h"

namespace evopress::worker {
namespace {

size_t PreviousCharacter(absl::string_view text, size_t pos) {
  do {
    --pos;
  } while (pos > 0 && (static_cast<unsigned char>(text[pos]) & 0xC0) == 0x80);
  return pos;
}

bool TouchesWord(absl::string_view text, size_t begin, size_t end) {
  return (begin > 0 &&
          IsWord(DecodeUtf8(text, PreviousCharacter(text, begin)))) ||
         (end < text.size() && IsWord(DecodeUtf8(text, end)));
}

}  // namespace

void AddedTokenMatcher::Add(const AddedToken& token,
                            const std::string& content) {
  if (content.empty()) return;
  uint32_t node = 0;
  for (const char c : content) {
    const auto byte = static_cast<unsigned char>(c);
    const auto [child, is_new] = children_.try_emplace(
        static_cast<uint64_t>(node) << 8 | byte, nodes_.size());
    if (is_new) nodes_.emplace_back();
    node = child->second;
  }
  nodes_[node].token = static_cast<int32_t>(tokens_.size());
  starts_[static_cast<unsigned char>(content[0])] = true;
  tokens_.push_back(token);
}

const AddedToken* AddedTokenMatcher::MatchAt(absl::string_view text, size_t pos,
                                             size_t* end) const {
  const AddedToken* longest = nullptr;
  uint32_t node = 0;
  for (size_t i = pos; i < text.size(); ++i) {
    const auto child = children_.find(static_cast<uint64_t>(node) << 8 |
                                      static_cast<unsigned char>(text[i]));
    if (child == children_.end()) break;
    node = child->second;
    if (nodes_[node].token >= 0) {
      longest = &tokens_[nodes_[node].token];
      *end = i + 1;
    }
  }
  return longest;
}

std::vector<AddedTokenMatcher::Segment> AddedTokenMatcher::Split(
    absl::string_view text, bool parse_special) const {
  std::vector<Segment> segments;
  size_t done = 0;
  for (size_t pos = 0; !empty() && pos < text.size();) {
    size_t end = 0;
    const AddedToken* token = nullptr;
    if (starts_[static_cast<unsigned char>(text[pos])]) {
      token = MatchAt(text, pos, &end);
    }
    if (token == nullptr) {
      ++pos;
      continue;
    }
    size_t begin = pos;
    pos = end;
    if (token->special && !parse_special) continue;
    if (token->single_word && TouchesWord(text, begin, end)) continue;
    if (token->lstrip) {
      while (begin > done) {
        const size_t before = PreviousCharacter(text, begin);
        if (!IsWhitespace(DecodeUtf8(text, before))) break;
        begin = before;
      }
    }
    if (token->rstrip) {
      while (end < text.size() && IsWhitespace(DecodeUtf8(text, end))) {
        end += Utf8Length(text[end]);
      }
    }
    begin = std::max(begin, done);
    if (done < begin) segments.push_back({done, begin, -1});
    segments.push_back({begin, end, token->id});
    done = end;
    pos = std::max(pos, end);
  }
  if (done < text.size()) segments.push_back({done, text.size(), -1});
  return segments;
}

}  // namespace evopress::worker
