// Calibration data: files of users made into token sets.

#ifndef EVOPRESS_WORKER_CALIBRATION_H_
#define EVOPRESS_WORKER_CALIBRATION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/token_set.h"
#include "worker/tokenizer.h"

namespace evopress::worker {

enum class CalibrationFormat {
  // The whole file is one text. Special tokens spelled in it are parsed.
  kText,
  // One JSON object a line (empty lines are skipped). Its text is, in this
  // order of preference:
  //   "text": a string;
  //   "messages": an array of {"role", "content"}: rendered in ChatML
  //     ("<|im_start|>role\ncontent<|im_end|>\n") where the tokenizer has its
  //     two tokens, else the contents joined by newlines;
  //   "prompt" and, if present, "completion" or "response": joined as they
  //     are.
  // Texts are tokenized one by one and joined with the EOS token between them
  // if there is one.
  kJsonl,
  // Token ids: one JSON array of integers, or of such arrays, or one a line;
  // or plain integers with whitespace or commas between them.
  kTokens,
};

// By the name: ".jsonl", ".ndjson" are kJsonl; ".ids", ".tokens", ".json" are
// kTokens; everything else is kText.
CalibrationFormat GuessCalibrationFormat(const std::string& path);

// All tokens of a file. InvalidArgument, naming the line, for content that
// does not fit the format; ids are checked against the tokenizer's vocabulary.
absl::StatusOr<std::vector<int32_t>> TokenizeCalibration(
    const std::string& content, CalibrationFormat format,
    const Tokenizer& tokenizer);

struct CutOptions {
  int64_t length = 2048;  // tokens a sequence, the prefix included
  int64_t start = 0;      // first sequence taken
  int64_t count = -1;     // sequences taken; -1: all from `start`
  // Put before each sequence, e.g. tokenizer.prefix_ids(); counts in `length`.
  std::vector<int32_t> prefix;
  std::string domain;  // label: "c4", "code", ...
};

// How many sequences `tokens` tokens give: contiguous windows that do not
// overlap, over the whole file; a shorter rest is dropped. 0 if the prefix
// leaves no room.
int64_t AvailableSequences(int64_t tokens, const CutOptions& options);

// Sequences [start, start + count) of the file. Sets cut from one file with
// disjoint ranges share no token. OutOfRange, saying how many sequences are
// available, if there are too few; InvalidArgument for senseless options.
absl::StatusOr<TokenSet> CutSequences(const std::vector<int32_t>& tokens,
                                      int64_t vocab_size,
                                      const CutOptions& options);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_CALIBRATION_H_
