// Added tokens: words that are found in a text as they stand, before the
// tokenizer proper sees what lies between them.

#ifndef EVOPRESS_WORKER_TOKENIZER_ADDED_TOKENS_H_
#define EVOPRESS_WORKER_TOKENIZER_ADDED_TOKENS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace evopress::worker {

struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool special = false;      // found only when special tokens are parsed
  bool lstrip = false;       // takes the whitespace before it
  bool rstrip = false;       // takes the whitespace after it
  bool single_word = false;  // only where no word character touches it
  bool normalized = false;   // looked for in the normalized text
};

// Finds tokens in a text: leftmost first, among those the longest. Immutable
// after the last Add(), then thread-safe.
class AddedTokenMatcher {
 public:
  struct Segment {
    size_t begin;
    size_t end;
    int32_t id;  // -1: ordinary text
  };

  AddedTokenMatcher() : nodes_(1) {}

  // `content` is what to look for (token.content, perhaps normalized). Empty
  // contents are ignored; of equal ones the last counts.
  void Add(const AddedToken& token, const std::string& content);

  bool empty() const { return tokens_.empty(); }

  // Cuts `text` into tokens and the text between them; no empty segments.
  // With `parse_special` off, special tokens are left as text.
  // REQUIRES: `text` is valid UTF-8.
  std::vector<Segment> Split(absl::string_view text, bool parse_special) const;

 private:
  struct Node {
    int32_t token = -1;
  };
  // The longest token that starts at `pos`; nullptr if none. Sets `end`.
  const AddedToken* MatchAt(absl::string_view text, size_t pos,
                            size_t* end) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_;  // a trie over bytes; node 0 is the root
  absl::flat_hash_map<uint64_t, uint32_t> children_;  // node << 8 | byte
  std::array<bool, 256> starts_ = {};
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_TOKENIZER_ADDED_TOKENS_H_
