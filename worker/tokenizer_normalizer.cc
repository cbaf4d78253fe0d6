#include "worker/tokenizer_normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "worker/tokenizer_unicode.h"

namespace evopress::worker {
namespace {

constexpr int kMaxDepth = 16;

bool IsAscii(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x80;
  });
}

class UnicodeFormStep : public NormalizerStep {
 public:
  explicit UnicodeFormStep(UnicodeForm form) : form_(form) {}

  absl::StatusOr<std::string> Apply(std::string text) const override {
    if (IsAscii(text)) return text;
    int options = UTF8PROC_STABLE;
    const bool composed =
        form_ == UnicodeForm::kNfc || form_ == UnicodeForm::kNfkc;
    options |= composed ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
    if (form_ == UnicodeForm::kNfkc || form_ == UnicodeForm::kNfkd) {
      options |= UTF8PROC_COMPAT;
    }
    utf8proc_uint8_t* made = nullptr;
    const utf8proc_ssize_t size = utf8proc_map(
        reinterpret_cast<const utf8proc_uint8_t*>(text.data()), text.size(),
        &made, static_cast<utf8proc_option_t>(options));
    if (size < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("Unicode normalization: ", utf8proc_errmsg(size)));
    }
    std::string out(reinterpret_cast<const char*>(made), size);
    std::free(made);
    return out;
  }

 private:
  UnicodeForm form_;
};

class Prepend : public NormalizerStep {
 public:
  explicit Prepend(const std::string& prefix) : prefix_(prefix) {}
  absl::StatusOr<std::string> Apply(std::string text) const override {
    if (text.empty()) return text;
    return prefix_ + text;
  }

 private:
  std::string prefix_;
};

class Replace : public NormalizerStep {
 public:
  Replace(std::shared_ptr<const Regex> what, const std::string& with)
      : what_(std::move(what)), with_(with) {}

  absl::StatusOr<std::string> Apply(std::string text) const override {
    std::string out;
    out.reserve(text.size());
    size_t done = 0;
    RegexScratch scratch;
    absl::Status status =
        what_->FindAll(text, scratch, [&](size_t begin, size_t end) {
          out.append(text, done, begin - done);
          out += with_;
          done = end;
        });
    if (!status.ok()) return status;
    out.append(text, done, std::string::npos);
    return out;
  }

 private:
  std::shared_ptr<const Regex> what_;
  std::string with_;
};

// Rewrites character by character.
template <typename Rewrite>
class PerCharacter : public NormalizerStep {
 public:
  explicit PerCharacter(Rewrite rewrite) : rewrite_(rewrite) {}
  absl::StatusOr<std::string> Apply(std::string text) const override {
    std::string out;
    out.reserve(text.size());
    for (size_t pos = 0; pos < text.size(); pos += Utf8Length(text[pos])) {
      rewrite_(DecodeUtf8(text, pos), &out);
    }
    return out;
  }

 private:
  Rewrite rewrite_;
};

template <typename Rewrite>
std::unique_ptr<NormalizerStep> MakePerCharacter(Rewrite rewrite) {
  return std::make_unique<PerCharacter<Rewrite>>(rewrite);
}

class Strip : public NormalizerStep {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  absl::StatusOr<std::string> Apply(std::string text) const override {
    size_t begin = text.size(), end = 0;
    for (size_t pos = 0; pos < text.size(); pos += Utf8Length(text[pos])) {
      if (IsWhitespace(DecodeUtf8(text, pos))) continue;
      begin = std::min(begin, pos);
      end = std::min(text.size(), pos + Utf8Length(text[pos]));
    }
    if (begin >= end) return left_ || right_ ? std::string() : text;
    if (!left_) begin = 0;
    if (!right_) end = text.size();
    return text.substr(begin, end - begin);
  }

 private:
  bool left_;
  bool right_;
};

absl::Status Parse(const nlohmann::json& json, int depth,
                   NormalizerSteps* steps);

absl::Status ParseReplace(const nlohmann::json& json, NormalizerSteps* steps) {
  const nlohmann::json& pattern = json.at("pattern");
  auto regex = pattern.contains("Regex")
                   ? Regex::Compile(pattern.at("Regex").get<std::string>())
                   : Regex::Literal(pattern.at("String").get<std::string>());
  if (!regex.ok()) return regex.status();
  steps->push_back(
      MakeReplace(*std::move(regex), json.at("content").get<std::string>()));
  return absl::OkStatus();
}

absl::Status Parse(const nlohmann::json& json, int depth,
                   NormalizerSteps* steps) {
  if (json.is_null()) return absl::OkStatus();
  if (depth > kMaxDepth) {
    return absl::InvalidArgumentError("normalizers nested too deeply");
  }
  const std::string type = json.at("type").get<std::string>();
  if (type == "Sequence") {
    for (const nlohmann::json& inner : json.at("normalizers")) {
      absl::Status status = Parse(inner, depth + 1, steps);
      if (!status.ok()) return status;
    }
  } else if (type == "NFC") {
    steps->push_back(MakeUnicodeForm(UnicodeForm::kNfc));
  } else if (type == "NFD") {
    steps->push_back(MakeUnicodeForm(UnicodeForm::kNfd));
  } else if (type == "NFKC") {
    steps->push_back(MakeUnicodeForm(UnicodeForm::kNfkc));
  } else if (type == "NFKD") {
    steps->push_back(MakeUnicodeForm(UnicodeForm::kNfkd));
  } else if (type == "Prepend") {
    steps->push_back(MakePrepend(json.at("prepend").get<std::string>()));
  } else if (type == "Replace") {
    return ParseReplace(json, steps);
  } else if (type == "Strip") {
    steps->push_back(std::make_unique<Strip>(json.value("strip_left", true),
                                             json.value("strip_right", true)));
  } else if (type == "Lowercase") {
    steps->push_back(MakePerCharacter([](int32_t c, std::string* out) {
      // The one character whose lower case is two.
      AppendUtf8(c == 0x130 ? 'i' : utf8proc_tolower(c), out);
      if (c == 0x130) AppendUtf8(0x307, out);
    }));
  } else if (type == "StripAccents") {
    steps->push_back(MakePerCharacter([](int32_t c, std::string* out) {
      if (utf8proc_category(c) != UTF8PROC_CATEGORY_MN) AppendUtf8(c, out);
    }));
  } else {
    return absl::UnimplementedError(absl::StrCat("normalizer \"", type, "\""));
  }
  return absl::OkStatus();
}

}  // namespace

std::unique_ptr<NormalizerStep> MakeUnicodeForm(UnicodeForm form) {
  return std::make_unique<UnicodeFormStep>(form);
}

std::unique_ptr<NormalizerStep> MakePrepend(const std::string& prefix) {
  return std::make_unique<Prepend>(prefix);
}

std::unique_ptr<NormalizerStep> MakeReplace(std::shared_ptr<const Regex> what,
                                            const std::string& with) {
  return std::make_unique<Replace>(std::move(what), with);
}

absl::StatusOr<NormalizerSteps> ParseNormalizer(const nlohmann::json& json) {
  NormalizerSteps steps;
  try {
    if (absl::Status status = Parse(json, 0, &steps); !status.ok()) {
      return status;
    }
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("normalizer: ", error.what()));
  }
  return steps;
}

absl::StatusOr<std::string> Normalize(const NormalizerSteps& steps,
                                      std::string text) {
  for (const auto& step : steps) {
    auto next = step->Apply(std::move(text));
    if (!next.ok()) return next.status();
    text = *std::move(next);
  }
  return text;
}

}  // namespace evopress::worker
