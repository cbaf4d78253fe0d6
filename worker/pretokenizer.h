// Pre-tokenizers: rules that cut a text into the pieces inside which BPE may
// merge. The rules are those of Hugging Face `tokenizers`; a pre-tokenizer is
// a list of steps, each refining the pieces of the one before.

#ifndef EVOPRESS_WORKER_PRETOKENIZER_H_
#define EVOPRESS_WORKER_PRETOKENIZER_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "worker/pretokenizer_regex.h"

namespace evopress::worker {

// A text cut into pieces, in order. Steps may rewrite the text.
struct Pretokens {
  struct Piece {
    size_t begin;
    size_t end;
    bool first;  // stands at the very start of the tokenizer's input
  };
  std::string text;  // valid UTF-8
  std::vector<Piece> pieces;
};

// How a splitting rule treats what it matched.
enum class SplitBehavior {
  kRemoved,             // drop matches
  kIsolated,            // a match is its own piece
  kMergedWithPrevious,  // a match ends the piece before it
  kMergedWithNext,      // a match starts the piece after it
  kContiguous,          // adjacent matches form one piece
};

// Immutable and thread-safe.
class PretokenizerStep {
 public:
  virtual ~PretokenizerStep() = default;
  virtual absl::Status Apply(Pretokens* pretokens) const = 0;
};

using PretokenizerSteps = std::vector<std::unique_ptr<PretokenizerStep>>;

// Splits at the matches of `regex`; with `invert` at what lies between them.
std::unique_ptr<PretokenizerStep> MakeSplit(std::shared_ptr<const Regex> regex,
                                            SplitBehavior behavior,
                                            bool invert);

// Splits around numeric characters: each alone, or each run of them.
std::unique_ptr<PretokenizerStep> MakeDigits(bool individual);

// Splits with GPT-2's regex if `use_regex`, then spells bytes in the
// byte-level alphabet. `add_prefix_space` puts a space before every incoming
// piece that does not start with one.
absl::StatusOr<std::unique_ptr<PretokenizerStep>> MakeByteLevel(
    bool add_prefix_space, bool use_regex);

// SentencePiece's escape: spaces become `replacement`, which may also be put
// in front, and pieces start at it if `split`.
enum class PrependScheme { kNever, kFirst, kAlways };
std::unique_ptr<PretokenizerStep> MakeMetaspace(const std::string& replacement,
                                                PrependScheme prepend,
                                                bool split);

// The steps of the "pre_tokenizer" object of a tokenizer.json (null: none).
// Unimplemented, naming the type, for rules we do not know.
absl::StatusOr<PretokenizerSteps> ParsePretokenizer(const nlohmann::json& json);

// The steps that the Hugging Face tokenizer of the models behind the GGUF key
// "tokenizer.ggml.pre" takes. Unimplemented for a name we do not know.
absl::StatusOr<PretokenizerSteps> GgufPretokenizer(const std::string& pre);

// Runs all steps on the whole `text`. `first`: it is the start of the input.
absl::StatusOr<Pretokens> Pretokenize(const PretokenizerSteps& steps,
                                      std::string text, bool first);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_PRETOKENIZER_H_
