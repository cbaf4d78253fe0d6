// Regular expressions as tokenizer.json files write them (Oniguruma, Ruby
// syntax), matched with PCRE2.
//
// The two disagree in places that tokenizers touch, so the pattern is
// rewritten: \s and \w are spelled out as the Unicode classes Oniguruma gives
// them (PCRE2's \s also takes U+180E, its \w leaves marks out), and ^ and $
// hold at every line. Set operations in character classes ("&&", nested
// classes) do not exist in PCRE2 and are Unimplemented.

#ifndef EVOPRESS_WORKER_PRETOKENIZER_REGEX_H_
#define EVOPRESS_WORKER_PRETOKENIZER_REGEX_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace evopress::worker {

// What one thread needs to match; cheap to reuse, not thread-safe.
class RegexScratch {
 public:
  RegexScratch();
  ~RegexScratch();
  RegexScratch(const RegexScratch&) = delete;
  RegexScratch& operator=(const RegexScratch&) = delete;

 private:
  friend class Regex;
  struct State;
  std::unique_ptr<State> state_;
};

// Immutable and thread-safe.
class Regex {
 public:
  ~Regex();
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;

  // InvalidArgument with position and reason for a malformed pattern,
  // Unimplemented for class set operations.
  static absl::StatusOr<std::shared_ptr<const Regex>> Compile(
      const std::string& pattern);

  // Matches exactly `text`.
  static absl::StatusOr<std::shared_ptr<const Regex>> Literal(
      const std::string& text);

  // Calls `found(begin, end)` for each match, left to right, not overlapping.
  // Empty matches are reported too, except right after a match. Lookarounds
  // see `text` only. ResourceExhausted if a match takes too many steps.
  // REQUIRES: `text` is valid UTF-8.
  absl::Status FindAll(absl::string_view text, RegexScratch& scratch,
                       absl::FunctionRef<void(size_t, size_t)> found) const;

 private:
  struct Code;
  explicit Regex(std::unique_ptr<Code> code);
  static absl::StatusOr<std::shared_ptr<const Regex>> CompilePcre(
      const std::string& pattern, const std::string& shown);

  std::unique_ptr<Code> code_;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_PRETOKENIZER_REGEX_H_
