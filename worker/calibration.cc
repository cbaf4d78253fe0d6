#include "worker/calibration.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace evopress::worker {
namespace {

using Json = nlohmann::json;

absl::Status AtLine(int64_t line, const std::string& what) {
  return absl::InvalidArgumentError(
      absl::StrCat("calibration file, line ", line, ": ", what));
}

bool IsOneToken(const Tokenizer& tokenizer, const std::string& text) {
  const auto ids = tokenizer.Encode(text, /*parse_special=*/true);
  return ids.ok() && ids->size() == 1;
}

absl::StatusOr<std::string> RenderMessages(const Json& messages, bool chat_ml) {
  if (!messages.is_array()) {
    return absl::InvalidArgumentError("\"messages\" is no array");
  }
  std::string text;
  for (const Json& message : messages) {
    if (!message.is_object() || !message.contains("content") ||
        !message["content"].is_string()) {
      return absl::InvalidArgumentError("a message without a text \"content\"");
    }
    const std::string content = message["content"].get<std::string>();
    if (!chat_ml) {
      absl::StrAppend(&text, text.empty() ? "" : "\n", content);
      continue;
    }
    if (!message.contains("role") || !message["role"].is_string()) {
      return absl::InvalidArgumentError("a message without a \"role\"");
    }
    absl::StrAppend(&text, "<|im_start|>", message["role"].get<std::string>(),
                    "\n", content, "<|im_end|>\n");
  }
  return text;
}

absl::StatusOr<std::string> TextOf(const Json& item, bool chat_ml) {
  const auto is_text = [&](const char* key) {
    return item.contains(key) && item[key].is_string();
  };
  if (!item.is_object()) {
    return absl::InvalidArgumentError("not a JSON object");
  }
  if (is_text("text")) return item["text"].get<std::string>();
  if (item.contains("messages")) {
    return RenderMessages(item["messages"], chat_ml);
  }
  if (is_text("prompt")) {
    std::string text = item["prompt"].get<std::string>();
    for (const char* key : {"completion", "response"}) {
      if (is_text(key)) return text + item[key].get<std::string>();
    }
    return text;
  }
  return absl::InvalidArgumentError(
      "none of \"text\", \"messages\", \"prompt\" in the object");
}

absl::StatusOr<std::vector<int32_t>> TokenizeJsonl(const std::string& content,
                                                   const Tokenizer& tokenizer) {
  const bool chat_ml = IsOneToken(tokenizer, "<|im_start|>") &&
                       IsOneToken(tokenizer, "<|im_end|>");
  std::vector<int32_t> ids;
  int64_t number = 0;
  for (const absl::string_view line : absl::StrSplit(content, '\n')) {
    ++number;
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    const Json item =
        Json::parse(line.data(), line.data() + line.size(), nullptr, false);
    if (item.is_discarded()) return AtLine(number, "malformed JSON");
    auto text = TextOf(item, chat_ml);
    if (!text.ok()) {
      return AtLine(number, std::string(text.status().message()));
    }
    auto more = tokenizer.Encode(*text, /*parse_special=*/true);
    if (!more.ok()) return more.status();
    if (!ids.empty() && tokenizer.eos()) ids.push_back(*tokenizer.eos());
    ids.insert(ids.end(), more->begin(), more->end());
  }
  return ids;
}

// Brackets only group, so that nested and flat arrays, one array a line and
// bare integers are read alike; arrays of anything but integers are refused.
absl::StatusOr<std::vector<int32_t>> ReadTokens(const std::string& content,
                                                int64_t vocab_size) {
  std::vector<int32_t> ids;
  int64_t line = 1;
  int depth = 0;
  for (size_t at = 0; at < content.size();) {
    const char c = content[at];
    if (c == '\n') ++line;
    if (absl::ascii_isspace(c) || c == ',') {
      ++at;
      continue;
    }
    if (c == '[' || c == ']') {
      depth += c == '[' ? 1 : -1;
      if (depth < 0 || depth > 2) return AtLine(line, "brackets do not match");
      ++at;
      continue;
    }
    size_t end = at;
    while (end < content.size() && !absl::ascii_isspace(content[end]) &&
           content[end] != ',' && content[end] != '[' && content[end] != ']') {
      ++end;
    }
    const absl::string_view word(content.data() + at, end - at);
    int64_t id = 0;
    if (!absl::SimpleAtoi(word, &id)) {
      return AtLine(
          line, absl::StrCat("\"", word.substr(0, 40), "\" is no token id"));
    }
    if (id < 0 || id >= vocab_size) {
      return AtLine(line,
                    absl::StrCat("token id ", id, " outside the vocabulary of ",
                                 vocab_size));
    }
    ids.push_back(static_cast<int32_t>(id));
    at = end;
  }
  if (depth != 0) return AtLine(line, "an array is not closed");
  return ids;
}

}  // namespace

CalibrationFormat GuessCalibrationFormat(const std::string& path) {
  for (const char* end : {".jsonl", ".ndjson"}) {
    if (absl::EndsWith(path, end)) return CalibrationFormat::kJsonl;
  }
  for (const char* end : {".ids", ".tokens", ".json"}) {
    if (absl::EndsWith(path, end)) return CalibrationFormat::kTokens;
  }
  return CalibrationFormat::kText;
}

absl::StatusOr<std::vector<int32_t>> TokenizeCalibration(
    const std::string& content, CalibrationFormat format,
    const Tokenizer& tokenizer) {
  switch (format) {
    case CalibrationFormat::kText:
      return tokenizer.Encode(content, /*parse_special=*/true);
    case CalibrationFormat::kJsonl:
      return TokenizeJsonl(content, tokenizer);
    case CalibrationFormat::kTokens:
      return ReadTokens(content, tokenizer.vocab_size());
  }
  return absl::InvalidArgumentError("unknown calibration format");
}

int64_t AvailableSequences(int64_t tokens, const CutOptions& options) {
  const int64_t window =
      options.length - static_cast<int64_t>(options.prefix.size());
  return window < 1 || tokens < 0 ? 0 : tokens / window;
}

absl::StatusOr<TokenSet> CutSequences(const std::vector<int32_t>& tokens,
                                      int64_t vocab_size,
                                      const CutOptions& options) {
  const int64_t prefix = static_cast<int64_t>(options.prefix.size());
  if (options.length <= prefix || options.length > TokenSet::kMaxLength) {
    return absl::InvalidArgumentError(
        absl::StrCat("sequences of ", options.length, " tokens with ", prefix,
                     " tokens before each; the length must be above that and "
                     "at most ",
                     TokenSet::kMaxLength));
  }
  if (options.start < 0 || options.count < -1) {
    return absl::InvalidArgumentError(
        absl::StrCat("sequences [", options.start, ", +", options.count, ")"));
  }
  const int64_t available =
      AvailableSequences(static_cast<int64_t>(tokens.size()), options);
  const int64_t left = available - options.start;
  const int64_t count = options.count < 0 ? left : options.count;
  if (left < 0 || count > left) {
    return absl::OutOfRangeError(absl::StrCat(
        "asked for ", options.count < 0 ? "all" : absl::StrCat(count),
        " sequences from number ", options.start, ", but ", tokens.size(),
        " tokens give only ", available, " sequences of ", options.length,
        "; give more text or shorter sequences"));
  }
  const int64_t window = options.length - prefix;
  std::vector<int32_t> ids;
  ids.reserve(count * options.length);
  for (int64_t i = options.start; i < options.start + count; ++i) {
    ids.insert(ids.end(), options.prefix.begin(), options.prefix.end());
    const auto begin = tokens.begin() + i * window;
    ids.insert(ids.end(), begin, begin + window);
  }
  return TokenSet::Make(std::move(ids), options.length, vocab_size,
                        options.domain);
}

}  // namespace evopress::worker
