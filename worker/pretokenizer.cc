#include "worker/pretokenizer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "worker/tokenizer_unicode.h"

namespace evopress::worker {
namespace {

using Piece = Pretokens::Piece;

constexpr char kGpt2Regex[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

struct Part {
  size_t begin;
  size_t end;
  bool match;
};

// Joins or drops parts as `behavior` says; parts tile the piece.
void Combine(SplitBehavior behavior, std::vector<Part>* parts) {
  std::vector<Part> out;
  out.reserve(parts->size());
  bool previous = false;
  switch (behavior) {
    case SplitBehavior::kIsolated:
      return;
    case SplitBehavior::kRemoved:
      for (const Part& part : *parts) {
        if (!part.match) out.push_back(part);
      }
      break;
    case SplitBehavior::kContiguous:
      for (const Part& part : *parts) {
        if (!out.empty() && part.match == previous) {
          out.back().end = part.end;
        } else {
          out.push_back(part);
        }
        previous = part.match;
      }
      break;
    case SplitBehavior::kMergedWithPrevious:
      for (const Part& part : *parts) {
        if (part.match && !previous && !out.empty()) {
          out.back().end = part.end;
        } else {
          out.push_back(part);
        }
        previous = part.match;
      }
      break;
    case SplitBehavior::kMergedWithNext:
      for (auto part = parts->rbegin(); part != parts->rend(); ++part) {
        if (part->match && !previous && !out.empty()) {
          out.back().begin = part->begin;
        } else {
          out.push_back(*part);
        }
        previous = part->match;
      }
      std::reverse(out.begin(), out.end());
      break;
  }
  *parts = std::move(out);
}

// Replaces each piece by the parts that `cut(text, &parts)` finds in it.
template <typename Cut>
absl::Status SplitPieces(SplitBehavior behavior, Pretokens* pretokens,
                         Cut cut) {
  std::vector<Piece> out;
  out.reserve(pretokens->pieces.size() + pretokens->text.size() / 4);
  std::vector<Part> parts;
  for (const Piece& piece : pretokens->pieces) {
    parts.clear();
    const absl::string_view text(pretokens->text.data() + piece.begin,
                                 piece.end - piece.begin);
    if (absl::Status status = cut(text, &parts); !status.ok()) return status;
    Combine(behavior, &parts);
    for (const Part& part : parts) {
      if (part.begin == part.end) continue;
      out.push_back({piece.begin + part.begin, piece.begin + part.end,
                     piece.first && part.begin == 0});
    }
  }
  pretokens->pieces = std::move(out);
  return absl::OkStatus();
}

class RegexSplit : public PretokenizerStep {
 public:
  RegexSplit(std::shared_ptr<const Regex> regex, SplitBehavior behavior,
             bool invert)
      : regex_(std::move(regex)), behavior_(behavior), invert_(invert) {}

  absl::Status Apply(Pretokens* pretokens) const override {
    RegexScratch scratch;
    return SplitPieces(behavior_, pretokens,
                       [&](absl::string_view text, std::vector<Part>* parts) {
                         size_t done = 0;
                         absl::Status status = regex_->FindAll(
                             text, scratch, [&](size_t begin, size_t end) {
                               if (done < begin)
                                 parts->push_back({done, begin, invert_});
                               parts->push_back({begin, end, !invert_});
                               done = end;
                             });
                         if (done < text.size()) {
                           parts->push_back({done, text.size(), invert_});
                         }
                         return status;
                       });
  }

 private:
  std::shared_ptr<const Regex> regex_;
  SplitBehavior behavior_;
  bool invert_;
};

class Digits : public PretokenizerStep {
 public:
  explicit Digits(bool individual) : individual_(individual) {}

  absl::Status Apply(Pretokens* pretokens) const override {
    return SplitPieces(
        individual_ ? SplitBehavior::kIsolated : SplitBehavior::kContiguous,
        pretokens, [](absl::string_view text, std::vector<Part>* parts) {
          size_t done = 0;
          for (size_t pos = 0; pos < text.size();) {
            const size_t next = pos + Utf8Length(text[pos]);
            if (IsNumeric(DecodeUtf8(text, pos))) {
              if (done < pos) parts->push_back({done, pos, false});
              parts->push_back({pos, next, true});
              done = next;
            }
            pos = next;
          }
          if (done < text.size()) parts->push_back({done, text.size(), false});
          return absl::OkStatus();
        });
  }

 private:
  bool individual_;
};

// Rewrites every piece on its own; the pieces keep their number and order.
template <typename Rewrite>
void RewritePieces(Pretokens* pretokens, Rewrite rewrite) {
  std::string text;
  text.reserve(pretokens->text.size() * 5 / 4);
  for (Piece& piece : pretokens->pieces) {
    const size_t begin = text.size();
    rewrite(absl::string_view(pretokens->text.data() + piece.begin,
                              piece.end - piece.begin),
            piece.first, &text);
    piece.begin = begin;
    piece.end = text.size();
  }
  pretokens->text = std::move(text);
}

class ByteLevel : public PretokenizerStep {
 public:
  ByteLevel(bool add_prefix_space, std::unique_ptr<PretokenizerStep> split)
      : add_prefix_space_(add_prefix_space), split_(std::move(split)) {}

  absl::Status Apply(Pretokens* pretokens) const override {
    if (add_prefix_space_) {
      RewritePieces(pretokens,
                    [](absl::string_view piece, bool, std::string* out) {
                      if (!absl::StartsWith(piece, " ")) out->push_back(' ');
                      out->append(piece.data(), piece.size());
                    });
    }
    if (split_ != nullptr) {
      absl::Status status = split_->Apply(pretokens);
      if (!status.ok()) return status;
    }
    const auto& alphabet = ByteLevelAlphabet();
    RewritePieces(pretokens,
                  [&](absl::string_view piece, bool, std::string* out) {
                    for (const char c : piece) {
                      *out += alphabet[static_cast<unsigned char>(c)];
                    }
                  });
    return absl::OkStatus();
  }

 private:
  bool add_prefix_space_;
  std::unique_ptr<PretokenizerStep> split_;
};

class Metaspace : public PretokenizerStep {
 public:
  Metaspace(const std::string& replacement, PrependScheme prepend, bool split)
      : replacement_(replacement), prepend_(prepend), split_(split) {}

  absl::Status Apply(Pretokens* pretokens) const override {
    RewritePieces(
        pretokens, [&](absl::string_view piece, bool first, std::string* out) {
          const bool wanted = prepend_ == PrependScheme::kAlways ||
                              (prepend_ == PrependScheme::kFirst && first);
          if (wanted && !absl::StartsWith(piece, " ") &&
              !absl::StartsWith(piece, replacement_)) {
            *out += replacement_;
          }
          absl::string_view rest = piece;
          for (const char c : rest) {
            if (c == ' ') {
              *out += replacement_;
            } else {
              out->push_back(c);
            }
          }
        });
    if (!split_) return absl::OkStatus();
    return SplitPieces(SplitBehavior::kMergedWithNext, pretokens,
                       [&](absl::string_view text, std::vector<Part>* parts) {
                         size_t done = 0;
                         for (size_t at = text.find(replacement_);
                              at != absl::string_view::npos;
                              at = text.find(replacement_, done)) {
                           if (done < at) parts->push_back({done, at, false});
                           done = at + replacement_.size();
                           parts->push_back({at, done, true});
                         }
                         if (done < text.size())
                           parts->push_back({done, text.size(), false});
                         return absl::OkStatus();
                       });
  }

 private:
  std::string replacement_;
  PrependScheme prepend_;
  bool split_;
};

}  // namespace

std::unique_ptr<PretokenizerStep> MakeSplit(std::shared_ptr<const Regex> regex,
                                            SplitBehavior behavior,
                                            bool invert) {
  return std::make_unique<RegexSplit>(std::move(regex), behavior, invert);
}

std::unique_ptr<PretokenizerStep> MakeDigits(bool individual) {
  return std::make_unique<Digits>(individual);
}

absl::StatusOr<std::unique_ptr<PretokenizerStep>> MakeByteLevel(
    bool add_prefix_space, bool use_regex) {
  std::unique_ptr<PretokenizerStep> split;
  if (use_regex) {
    auto regex = Regex::Compile(kGpt2Regex);
    if (!regex.ok()) return regex.status();
    split = MakeSplit(*std::move(regex), SplitBehavior::kIsolated, false);
  }
  return std::make_unique<ByteLevel>(add_prefix_space, std::move(split));
}

std::unique_ptr<PretokenizerStep> MakeMetaspace(const std::string& replacement,
                                                PrependScheme prepend,
                                                bool split) {
  return std::make_unique<Metaspace>(replacement, prepend, split);
}

absl::StatusOr<Pretokens> Pretokenize(const PretokenizerSteps& steps,
                                      std::string text, bool first) {
  Pretokens pretokens;
  pretokens.text = std::move(text);
  if (pretokens.text.empty()) return pretokens;
  pretokens.pieces.push_back({0, pretokens.text.size(), first});
  for (const auto& step : steps) {
    if (absl::Status status = step->Apply(&pretokens); !status.ok()) {
      return status;
    }
  }
  return pretokens;
}

}  // namespace evopress::worker
