// Normalizers: text rewriting before a tokenizer looks at it, as the
// "normalizer" of a tokenizer.json says.

#ifndef EVOPRESS_WORKER_TOKENIZER_NORMALIZER_H_
#define EVOPRESS_WORKER_TOKENIZER_NORMALIZER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "worker/pretokenizer_regex.h"

namespace evopress::worker {

// Immutable and thread-safe.
class NormalizerStep {
 public:
  virtual ~NormalizerStep() = default;
  // `text` is valid UTF-8, and so is the result.
  virtual absl::StatusOr<std::string> Apply(std::string text) const = 0;
};

using NormalizerSteps = std::vector<std::unique_ptr<NormalizerStep>>;

enum class UnicodeForm { kNfc, kNfd, kNfkc, kNfkd };
std::unique_ptr<NormalizerStep> MakeUnicodeForm(UnicodeForm form);

// Puts `prefix` before a text that is not empty.
std::unique_ptr<NormalizerStep> MakePrepend(const std::string& prefix);

// Replaces every match.
std::unique_ptr<NormalizerStep> MakeReplace(std::shared_ptr<const Regex> what,
                                            const std::string& with);

// The steps of a "normalizer" object (null: none). Unimplemented, naming the
// type, for normalizers we do not know.
absl::StatusOr<NormalizerSteps> ParseNormalizer(const nlohmann::json& json);

absl::StatusOr<std::string> Normalize(const NormalizerSteps& steps,
                                      std::string text);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_TOKENIZER_NORMALIZER_H_
