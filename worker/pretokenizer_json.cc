// ParsePretokenizer(): the "pre_tokenizer" object of a tokenizer.json.

#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/pretokenizer.h"

namespace evopress::worker {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 16;

absl::StatusOr<SplitBehavior> ParseBehavior(const std::string& name) {
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  return absl::UnimplementedError(
      absl::StrCat("split behavior \"", name, "\""));
}

absl::Status AddRegex(absl::StatusOr<std::shared_ptr<const Regex>> regex,
                      SplitBehavior behavior, bool invert,
                      PretokenizerSteps* steps) {
  if (!regex.ok()) return regex.status();
  steps->push_back(MakeSplit(*std::move(regex), behavior, invert));
  return absl::OkStatus();
}

absl::Status ParseSplit(const Json& json, PretokenizerSteps* steps) {
  auto behavior = ParseBehavior(json.at("behavior").get<std::string>());
  if (!behavior.ok()) return behavior.status();
  const Json& pattern = json.at("pattern");
  return AddRegex(pattern.contains("Regex")
                      ? Regex::Compile(pattern.at("Regex").get<std::string>())
                      : Regex::Literal(pattern.at("String").get<std::string>()),
                  *behavior, json.value("invert", false), steps);
}

absl::Status ParseMetaspace(const Json& json, PretokenizerSteps* steps) {
  // Files written before prepend_scheme existed say add_prefix_space.
  std::string scheme =
      json.value("add_prefix_space", true) ? "always" : "never";
  scheme = json.value("prepend_scheme", scheme);
  PrependScheme prepend;
  if (scheme == "always") {
    prepend = PrependScheme::kAlways;
  } else if (scheme == "first") {
    prepend = PrependScheme::kFirst;
  } else if (scheme == "never") {
    prepend = PrependScheme::kNever;
  } else {
    return absl::UnimplementedError(
        absl::StrCat("Metaspace prepend_scheme \"", scheme, "\""));
  }
  const std::string replacement = json.at("replacement").get<std::string>();
  if (replacement.empty()) {
    return absl::InvalidArgumentError("Metaspace with an empty replacement");
  }
  steps->push_back(
      MakeMetaspace(replacement, prepend, json.value("split", true)));
  return absl::OkStatus();
}

absl::Status Parse(const Json& json, int depth, PretokenizerSteps* steps) {
  if (json.is_null()) return absl::OkStatus();
  if (depth > kMaxDepth) {
    return absl::InvalidArgumentError("pre-tokenizers nested too deeply");
  }
  const std::string type = json.at("type").get<std::string>();
  if (type == "Sequence") {
    for (const Json& inner : json.at("pretokenizers")) {
      absl::Status status = Parse(inner, depth + 1, steps);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }
  if (type == "ByteLevel") {
    auto step = MakeByteLevel(json.value("add_prefix_space", true),
                              json.value("use_regex", true));
    if (!step.ok()) return step.status();
    steps->push_back(*std::move(step));
    return absl::OkStatus();
  }
  if (type == "Split") return ParseSplit(json, steps);
  if (type == "Digits") {
    steps->push_back(MakeDigits(json.value("individual_digits", false)));
    return absl::OkStatus();
  }
  if (type == "Metaspace") return ParseMetaspace(json, steps);
  if (type == "Whitespace") {
    return AddRegex(Regex::Compile(R"(\w+|[^\w\s]+)"), SplitBehavior::kRemoved,
                    /*invert=*/true, steps);
  }
  if (type == "WhitespaceSplit") {
    return AddRegex(Regex::Compile(R"(\s)"), SplitBehavior::kRemoved,
                    /*invert=*/false, steps);
  }
  if (type == "Punctuation") {
    auto behavior =
        ParseBehavior(json.value("behavior", std::string("Isolated")));
    if (!behavior.ok()) return behavior.status();
    return AddRegex(Regex::Compile(R"([!-/:-@\[-`{-~\p{P}])"), *behavior,
                    /*invert=*/false, steps);
  }
  return absl::UnimplementedError(absl::StrCat("pre-tokenizer \"", type, "\""));
}

}  // namespace

absl::StatusOr<PretokenizerSteps> ParsePretokenizer(const Json& json) {
  PretokenizerSteps steps;
  try {
    if (absl::Status status = Parse(json, 0, &steps); !status.ok()) {
      return status;
    }
  } catch (const Json::exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("pre-tokenizer: ", error.what()));
  }
  return steps;
}

}  // namespace evopress::worker
