#include "client/token_data.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/calibration_text.h"
#include "search/digest.h"
#include "search/sample_domains.h"
#include "worker/calibration.h"
#include "worker/token_set.h"
#include "worker/tokenizer.h"

namespace evopress::client {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kDefaultSearchTokens = 131072;
// Of one set; the coordinator takes no more.
constexpr int64_t kMaxSequences = int64_t{1} << 24;

// How many sequences `tokens` are.
absl::StatusOr<int32_t> Sequences(const std::string& flag, int64_t tokens,
                                  int64_t length) {
  if (tokens / length > kMaxSequences) {
    return absl::InvalidArgumentError(absl::StrCat(
        flag, " ", tokens, " is ", tokens / length, " sequences of ", length,
        "; at most ", kMaxSequences, " are possible: lower it"));
  }
  return static_cast<int32_t>(tokens / length);
}

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

// A source under the name of its domain.
struct Text {
  Source* source;
  std::string domain;
};

std::string Label(v1::TokenSetRef::Role role, const std::string& domain) {
  const char* const name = role == v1::TokenSetRef::STATISTICS ? "statistics"
                           : role == v1::TokenSetRef::SEARCH   ? "search"
                                                               : "held_out";
  return absl::StrCat("text.", name, domain.empty() ? "" : ".", domain);
}

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
               static_cast<int64_t>(source.tokens.size()), Cut()) -
           source.next;
  }

  // Adds a set whose sequence i is the next one of texts[order[i]]. `flag` is
  // named if a text has too few.
  absl::Status Add(const std::vector<Text>& texts,
                   const std::vector<size_t>& order, v1::TokenSetRef::Role role,
                   const std::string& flag) {
    const int64_t length = flags_.sequence_length;
    const bool several = texts.size() > 1;
    if (several && order.size() < texts.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          flag, " gives ", order.size(), " sequences of ", length,
          " tokens, fewer than the ", texts.size(),
          " calibration texts: raise it or shorten --sequence-length"));
    }
    std::vector<int64_t> counts(texts.size(), 0);
    for (size_t text : order) ++counts[text];
    std::vector<worker::TokenSet> parts;
    std::vector<std::string> names;
    for (size_t t = 0; t < texts.size(); ++t) {
      Source& source = *texts[t].source;
      const int64_t count = std::max<int64_t>(counts[t], 1);
      if (counts[t] < 1 || Left(source) < count) {
        return absl::InvalidArgumentError(absl::StrCat(
            "text \"", source.path, "\" has ", source.tokens.size(),
            " tokens = ", source.next + Left(source), " sequences of ", length,
            ", of which ", source.next, " are taken; ", flag, " needs ", count,
            " more (", count * length,
            " tokens): give a longer text, or lower ", flag,
            " or --sequence-length"));
      }
      worker::CutOptions cut = Cut();
      cut.start = source.next;
      cut.count = count;
      auto part =
          worker::CutSequences(source.tokens, tokenizer_.vocab_size(), cut);
      if (!part.ok()) return part.status();
      parts.push_back(*std::move(part));
      names.push_back(texts[t].domain);
      source.next += count;
      data.labels[Label(role, several || role == v1::TokenSetRef::HELD_OUT
                                  ? texts[t].domain
                                  : "")] =
          absl::StrCat(source.sha256, " sequences ", cut.start, "-",
                       cut.start + count - 1, " of ", source.path);
    }
    std::string domain = absl::StrJoin(names, "+");
    if (domain.size() > worker::TokenSet::kMaxDomainBytes && several) {
      domain = absl::StrCat(texts.size(), " texts");
    }
    std::vector<int32_t> ids;
    std::vector<int64_t> next(texts.size(), 0);
    for (size_t text : order) {
      const auto sequence = parts[text].sequence(next[text]++);
      ids.insert(ids.end(), sequence.begin(), sequence.end());
    }
    auto set = worker::TokenSet::Make(std::move(ids), length,
                                      tokenizer_.vocab_size(), domain);
    if (!set.ok()) return set.status();
    LocalArtifact artifact;
    artifact.bytes = set->Serialize();
    artifact.sha256 = search::Sha256Hex(artifact.bytes);
    artifact.size_bytes = static_cast<int64_t>(artifact.bytes.size());
    artifact.label = absl::StrCat("tokens of ", domain);
    v1::TokenSetRef ref;
    ref.set_role(role);
    ref.set_sha256(artifact.sha256);
    ref.set_sequences(static_cast<int32_t>(order.size()));
    ref.set_length(static_cast<int32_t>(length));
    ref.set_domain(domain);
    data.sets.push_back(std::move(ref));
    data.artifacts.push_back(std::move(artifact));
    return absl::OkStatus();
  }

  TokenData data;

 private:
  worker::CutOptions Cut() const {
    worker::CutOptions cut;
    cut.length = flags_.sequence_length;
    cut.prefix = tokenizer_.prefix_ids();
    return cut;
  }

  const DataFlags& flags_;
  const worker::Tokenizer& tokenizer_;
  std::map<std::string, Source> sources_;
};

// The texts that the flags name.
absl::StatusOr<std::vector<CalibrationText>> CalibrationTexts(
    const DataFlags& flags) {
  if (!flags.text.empty() && !flags.calibration.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--text ", flags.text, " and --calibration ", flags.calibration[0],
        " both name what to calibrate on; give all texts with --calibration"));
  }
  if (!flags.text.empty()) {
    return std::vector<CalibrationText>{
        {{ParseNamedFile(flags.text).name, flags.text}}};
  }
  if (!flags.calibration.empty()) return ParseCalibration(flags.calibration);
  return absl::InvalidArgumentError(
      "no calibration text: give --text FILE (UTF-8 text like what the model "
      "will see), or several by weight with --calibration FILE:WEIGHT");
}

// How many sequences of each text the search needs at least.
absl::StatusOr<std::vector<int64_t>> LeastShares(
    const std::vector<double>& weights, const TokenNeeds& needs,
    int64_t length) {
  std::vector<int64_t> least(weights.size(), 0);
  for (const SearchNeed& need : needs.search) {
    auto count = Sequences(need.flag, need.tokens + length - 1, length);
    if (!count.ok()) return count.status();
    for (size_t text : search::DomainOrder(weights, *count)) ++least[text];
  }
  return least;
}

// "--tokens 64 and --decision-tokens 8192, together 8256".
std::string FormatNeeds(const std::vector<SearchNeed>& needs) {
  std::string text;
  int64_t sum = 0;
  for (const SearchNeed& need : needs) {
    absl::StrAppend(&text, text.empty() ? "" : " and ", need.flag, " ",
                    need.tokens);
    sum += need.tokens;
  }
  if (needs.size() > 1) absl::StrAppend(&text, ", together ", sum);
  return text;
}

// The search set's sequences of each text: as many as asked for or, by default,
// as there are up to a default; never less than the search needs.
absl::StatusOr<std::vector<int64_t>> SearchShares(
    const DataFlags& flags, const TokenNeeds& needs,
    const std::vector<double>& weights, const std::vector<int64_t>& left) {
  const int64_t length = flags.sequence_length;
  int64_t needed = 0;
  for (const SearchNeed& need : needs.search) needed += need.tokens;
  if (flags.search_tokens > 0 && flags.search_tokens < needed) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--search-tokens ", flags.search_tokens, " is less than the search ",
        "measures apart: ", FormatNeeds(needs.search), "; raise it to ", needed,
        " or lower what it is to hold"));
  }
  std::vector<int64_t> shares(weights.size(), 0);
  auto most = Sequences(
      "--search-tokens",
      flags.search_tokens > 0 ? flags.search_tokens : kDefaultSearchTokens,
      length);
  if (!most.ok()) return most.status();
  for (size_t text : search::DomainOrder(weights, *most)) {
    // What is too much by default ends the set, in proportion as it is.
    if (flags.search_tokens == 0 && shares[text] >= left[text]) break;
    ++shares[text];
  }
  auto least = LeastShares(weights, needs, length);
  if (!least.ok()) return least.status();
  for (size_t t = 0; t < shares.size(); ++t) {
    shares[t] = std::max(shares[t], (*least)[t]);
  }
  return shares;
}

std::vector<size_t> OneAfterTheOther(const std::vector<int64_t>& shares) {
  std::vector<size_t> order;
  for (size_t text = 0; text < shares.size(); ++text) {
    order.insert(order.end(), static_cast<size_t>(shares[text]), text);
  }
  return order;
}

// The calibration texts: statistics first, then search.
absl::Status AddCalibration(const DataFlags& flags, const TokenNeeds& needs,
                            TokenDataBuilder& builder) {
  if (!needs.statistics && needs.search.empty()) return absl::OkStatus();
  auto named = CalibrationTexts(flags);
  if (!named.ok()) return named.status();
  std::vector<Text> texts;
  std::vector<double> weights;
  for (const CalibrationText& text : *named) {
    auto source = builder.Open(text.file.path);
    if (!source.ok()) return source.status();
    texts.push_back({*source, text.file.name});
    weights.push_back(text.weight);
  }
  if (needs.statistics) {
    auto count = Sequences("--statistics-tokens", flags.statistics_tokens,
                           flags.sequence_length);
    if (!count.ok()) return count.status();
    if (absl::Status s =
            builder.Add(texts, search::DomainOrder(weights, *count),
                        v1::TokenSetRef::STATISTICS, "--statistics-tokens");
        !s.ok()) {
      return s;
    }
  }
  if (needs.search.empty()) return absl::OkStatus();
  std::vector<int64_t> left;
  for (const Text& text : texts) left.push_back(builder.Left(*text.source));
  auto shares = SearchShares(flags, needs, weights, left);
  if (!shares.ok()) return shares.status();
  if (texts.size() > 1) {
    v1::Calibration& calibration = builder.data.calibration.emplace();
    calibration.set_fitness(flags.domain_fitness == "worst"
                                ? v1::Calibration::WORST
                                : v1::Calibration::MEAN);
    for (size_t t = 0; t < texts.size(); ++t) {
      auto& domain = *calibration.add_domains();
      domain.set_name(texts[t].domain);
      domain.set_weight(weights[t]);
      domain.set_sequences(static_cast<int32_t>((*shares)[t]));
    }
  }
  return builder.Add(texts, OneAfterTheOther(*shares), v1::TokenSetRef::SEARCH,
                     "--search-tokens");
}

}  // namespace

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
    auto count = Sequences("--held-out-tokens", flags.held_out_tokens,
                           flags.sequence_length);
    if (!count.ok()) return count.status();
    if (absl::Status s =
            builder.Add({{*source, file.name}}, OneAfterTheOther({*count}),
                        v1::TokenSetRef::HELD_OUT, "--held-out-tokens");
        !s.ok()) {
      return s;
    }
  }
  return std::move(builder.data);
}

}  // namespace evopress::client
