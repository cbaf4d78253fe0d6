#include "client/token_data.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "search/digest.h"
#include "worker/calibration.h"
#include "worker/token_set.h"
#include "worker/tokenizer.h"

namespace evopress::client {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kDefaultSearchTokens = 131072;

absl::StatusOr<std::string> ReadText(const std::string& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    return absl::NotFoundError(
        absl::StrCat("text \"", path, "\" is not a file"));
  }
  const auto size = fs::file_size(path, error);
  if (error || size > worker::Tokenizer::kMaxTextBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("text \"", path, "\" has ", size, " bytes; at most ",
                     worker::Tokenizer::kMaxTextBytes,
                     " are possible: cut it, e.g. with head -c"));
  }
  std::ifstream in(path, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(in), {}};
  if (!in) {
    return absl::UnavailableError(absl::StrCat("cannot read \"", path, "\""));
  }
  return content;
}

// One text file, tokenized once, handed out from the front.
struct Source {
  std::string path;
  std::string sha256;
  std::vector<int32_t> tokens;
  int64_t next = 0;  // first sequence not handed out
};

class TokenDataBuilder {
 public:
  TokenDataBuilder(const DataFlags& flags, const worker::Tokenizer& tokenizer)
      : flags_(flags), tokenizer_(tokenizer) {}

  // The source of `path`; two spellings of one file are one source.
  absl::StatusOr<Source*> Open(const std::string& path) {
    std::error_code error;
    const fs::path canonical = fs::weakly_canonical(path, error);
    const std::string key = error ? path : canonical.string();
    const auto found = sources_.find(key);
    if (found != sources_.end()) return &found->second;
    auto content = ReadText(path);
    if (!content.ok()) return content.status();
    auto tokens = worker::TokenizeCalibration(
        *content, worker::GuessCalibrationFormat(path), tokenizer_);
    if (!tokens.ok()) {
      return absl::Status(tokens.status().code(),
                          absl::StrCat(path, ": ", tokens.status().message()));
    }
    Source source{path, search::Sha256Hex(*content), *std::move(tokens), 0};
    return &sources_.emplace(key, std::move(source)).first->second;
  }

  int64_t Left(const Source& source) const {
    return worker::AvailableSequences(
               static_cast<int64_t>(source.tokens.size()), Cut(source)) -
           source.next;
  }

  // Adds a set of `count` sequences. `flag` is named if there are too few.
  absl::Status Add(Source& source, int64_t count, v1::TokenSetRef::Role role,
                   const std::string& domain, const std::string& flag) {
    const int64_t length = flags_.sequence_length;
    if (count < 1 || Left(source) < count) {
      return absl::InvalidArgumentError(absl::StrCat(
          "text \"", source.path, "\" has ", source.tokens.size(),
          " tokens = ", source.next + Left(source), " sequences of ", length,
          ", of which ", source.next, " are taken; ", flag, " needs ",
          std::max<int64_t>(count, 1), " more (",
          std::max<int64_t>(count, 1) * length,
          " tokens): give a longer text, or lower ", flag,
          " or --sequence-length"));
    }
    worker::CutOptions cut = Cut(source);
    cut.start = source.next;
    cut.count = count;
    cut.domain = domain;
    auto set =
        worker::CutSequences(source.tokens, tokenizer_.vocab_size(), cut);
    if (!set.ok()) return set.status();
    source.next += count;
    LocalArtifact artifact;
    artifact.bytes = set->Serialize();
    artifact.sha256 = search::Sha256Hex(artifact.bytes);
    artifact.size_bytes = static_cast<int64_t>(artifact.bytes.size());
    artifact.label = absl::StrCat("tokens of ", source.path);
    v1::TokenSetRef ref;
    ref.set_role(role);
    ref.set_sha256(artifact.sha256);
    ref.set_sequences(static_cast<int32_t>(count));
    ref.set_length(static_cast<int32_t>(length));
    ref.set_domain(domain);
    std::string key = role == v1::TokenSetRef::STATISTICS ? "text.statistics"
                      : role == v1::TokenSetRef::SEARCH
                          ? "text.search"
                          : absl::StrCat("text.held_out.", domain);
    data.labels[key] =
        absl::StrCat(source.sha256, " sequences ", cut.start, "-",
                     cut.start + count - 1, " of ", source.path);
    data.sets.push_back(std::move(ref));
    data.artifacts.push_back(std::move(artifact));
    return absl::OkStatus();
  }

  TokenData data;

 private:
  worker::CutOptions Cut(const Source&) const {
    worker::CutOptions cut;
    cut.length = flags_.sequence_length;
    cut.prefix = tokenizer_.prefix_ids();
    return cut;
  }

  const DataFlags& flags_;
  const worker::Tokenizer& tokenizer_;
  std::map<std::string, Source> sources_;
};

// The calibration text: statistics first, then search.
absl::Status AddCalibration(const DataFlags& flags, const TokenNeeds& needs,
                            TokenDataBuilder& builder) {
  if (!needs.statistics && needs.search_tokens == 0) return absl::OkStatus();
  if (flags.text.empty()) {
    return absl::InvalidArgumentError(
        "no calibration text: give --text FILE (UTF-8 text like what the "
        "model will see)");
  }
  auto source = builder.Open(flags.text);
  if (!source.ok()) return source.status();
  const int64_t length = flags.sequence_length;
  const std::string domain = ParseNamedFile(flags.text).name;
  if (needs.statistics) {
    if (absl::Status s = builder.Add(**source, flags.statistics_tokens / length,
                                     v1::TokenSetRef::STATISTICS, domain,
                                     "--statistics-tokens");
        !s.ok()) {
      return s;
    }
  }
  if (needs.search_tokens == 0) return absl::OkStatus();
  int64_t count = flags.search_tokens / length;
  if (flags.search_tokens == 0) {
    // As much as there is, up to the default; never less than one stage takes.
    const int64_t least = (needs.search_tokens + length - 1) / length;
    count = std::max(
        least, std::min(builder.Left(**source), kDefaultSearchTokens / length));
  } else if (flags.search_tokens < needs.search_tokens) {
    return absl::InvalidArgumentError(
        absl::StrCat("--search-tokens ", flags.search_tokens,
                     " is less than one stage measures on (--tokens ",
                     needs.search_tokens, "); raise it"));
  }
  return builder.Add(**source, count, v1::TokenSetRef::SEARCH, domain,
                     "--search-tokens");
}

}  // namespace

NamedFile ParseNamedFile(const std::string& text) {
  const size_t equals = text.find('=');
  // A name has no "/": "a/b=c.txt" is a path.
  if (equals != std::string::npos && equals > 0 &&
      text.substr(0, equals).find('/') == std::string::npos) {
    return {text.substr(0, equals), text.substr(equals + 1)};
  }
  return {fs::path(text).stem().string(), text};
}

absl::StatusOr<TokenData> BuildTokenData(const quant::Checkpoint& model,
                                         const DataFlags& flags,
                                         const TokenNeeds& needs) {
  auto tokenizer = worker::Tokenizer::Make(model.tokenizer());
  if (!tokenizer.ok()) return tokenizer.status();
  TokenDataBuilder builder(flags, **tokenizer);
  if (absl::Status s = AddCalibration(flags, needs, builder); !s.ok()) {
    return s;
  }
  for (const std::string& text : flags.held_out) {
    const NamedFile file = ParseNamedFile(text);
    for (const auto& set : builder.data.sets) {
      if (set.role() == v1::TokenSetRef::HELD_OUT &&
          set.domain() == file.name) {
        return absl::InvalidArgumentError(absl::StrCat(
            "two held-out texts are called \"", file.name,
            "\"; name them, e.g. --held-out ", file.name, "2=", file.path));
      }
    }
    auto source = builder.Open(file.path);
    if (!source.ok()) return source.status();
    if ((*source)->next > 0) {
      builder.data.warnings.push_back(absl::StrCat(
          "held-out text ", file.name,
          " is a text already in use; it takes "
          "the sequences from ",
          (*source)->next, " on, which is disjoint but not another domain"));
    }
    if (absl::Status s = builder.Add(
            **source, flags.held_out_tokens / flags.sequence_length,
            v1::TokenSetRef::HELD_OUT, file.name, "--held-out-tokens");
        !s.ok()) {
      return s;
    }
  }
  return std::move(builder.data);
}

}  // namespace evopress::client
