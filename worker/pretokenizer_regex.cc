#define PCRE2_CODE_UNIT_WIDTH 8
#include "worker/pretokenizer_regex.h"

#include <pcre2.h>

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/tokenizer_unicode.h"

namespace evopress::worker {
namespace {

constexpr size_t kMaxPatternBytes = 64 * 1024;
constexpr size_t kJitStackStart = 32 * 1024;
constexpr size_t kJitStackLimit = 8 * 1024 * 1024;
constexpr uint32_t kInterpreterHeapKib = 64 * 1024;

constexpr char kSpace[] = "\\p{Z}\\x{09}-\\x{0D}\\x{85}";
constexpr char kWord[] =
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24B6}-\\x{24E9}"
    "\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}";

absl::StatusOr<std::string> FromOniguruma(const std::string& pattern) {
  std::string out;
  bool in_class = false;
  size_t class_start = 0;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char escaped = pattern[++i];
      const char* const set = escaped == 's' || escaped == 'S'   ? kSpace
                              : escaped == 'w' || escaped == 'W' ? kWord
                                                                 : nullptr;
      if (set == nullptr) {
        out.push_back('\\');
        out.push_back(escaped);
      } else if (escaped == 's' || escaped == 'w') {
        out += in_class ? std::string(set) : absl::StrCat("[", set, "]");
      } else if (!in_class) {
        out += absl::StrCat("[^", set, "]");
      } else {
        return absl::UnimplementedError(
            absl::StrCat("regex \"", pattern, "\": \\", std::string(1, escaped),
                         " inside a character class"));
      }
      continue;
    }
    if (in_class) {
      if (c == '[' && pattern.compare(i, 2, "[:") != 0) {
        return absl::UnimplementedError(absl::StrCat(
            "regex \"", pattern, "\": nested character class at ", i));
      }
      if (c == '[') {  // [:name:] stays as it is
        const size_t end = pattern.find(":]", i + 2);
        if (end == std::string::npos) {
          return absl::InvalidArgumentError(
              absl::StrCat("regex \"", pattern, "\": unclosed [: at ", i));
        }
        out.append(pattern, i, end + 2 - i);
        i = end + 1;
        continue;
      }
      if (pattern.compare(i, 2, "&&") == 0) {
        return absl::UnimplementedError(absl::StrCat(
            "regex \"", pattern, "\": class intersection && at ", i));
      }
      if (c == ']' && i > class_start) in_class = false;
    } else if (c == '[') {
      in_class = true;
      class_start = i + 1;
      if (i + 1 < pattern.size() && pattern[i + 1] == '^') {
        out.push_back(c);
        ++i;
        ++class_start;
        out.push_back('^');
        continue;
      }
    }
    out.push_back(c);
  }
  return out;
}

}  // namespace

struct RegexScratch::State {
  pcre2_match_data* match = nullptr;
  pcre2_match_context* context = nullptr;
  pcre2_jit_stack* stack = nullptr;
};

struct Regex::Code {
  pcre2_code* code = nullptr;
  bool jit = false;
  std::string shown;
};

RegexScratch::RegexScratch() : state_(std::make_unique<State>()) {
  state_->match = pcre2_match_data_create(1, nullptr);
  state_->context = pcre2_match_context_create(nullptr);
  state_->stack =
      pcre2_jit_stack_create(kJitStackStart, kJitStackLimit, nullptr);
  if (state_->context != nullptr) {
    pcre2_set_heap_limit(state_->context, kInterpreterHeapKib);
    if (state_->stack != nullptr) {
      pcre2_jit_stack_assign(state_->context, nullptr, state_->stack);
    }
  }
}

RegexScratch::~RegexScratch() {
  pcre2_match_data_free(state_->match);
  pcre2_match_context_free(state_->context);
  pcre2_jit_stack_free(state_->stack);
}

Regex::Regex(std::unique_ptr<Code> code) : code_(std::move(code)) {}

Regex::~Regex() { pcre2_code_free(code_->code); }

absl::StatusOr<std::shared_ptr<const Regex>> Regex::CompilePcre(
    const std::string& pattern, const std::string& shown) {
  if (pattern.size() > kMaxPatternBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a regex of ", pattern.size(), " bytes; at most ", kMaxPatternBytes));
  }
  pcre2_compile_context* const context = pcre2_compile_context_create(nullptr);
  if (context == nullptr) return absl::ResourceExhaustedError("PCRE2 context");
  pcre2_set_newline(context, PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  auto code = std::make_unique<Code>();
  code->shown = shown;
  code->code = pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error,
      &offset, context);
  pcre2_compile_context_free(context);
  if (code->code == nullptr) {
    PCRE2_UCHAR message[256] = {};
    pcre2_get_error_message(error, message, sizeof(message));
    return absl::InvalidArgumentError(absl::StrCat(
        "regex \"", shown, "\": ", reinterpret_cast<const char*>(message),
        " at ", offset));
  }
  code->jit = pcre2_jit_compile(code->code, PCRE2_JIT_COMPLETE) == 0;
  return std::shared_ptr<const Regex>(new Regex(std::move(code)));
}

absl::StatusOr<std::shared_ptr<const Regex>> Regex::Compile(
    const std::string& pattern) {
  auto rewritten = FromOniguruma(pattern);
  if (!rewritten.ok()) return rewritten.status();
  return CompilePcre(*rewritten, pattern);
}

absl::StatusOr<std::shared_ptr<const Regex>> Regex::Literal(
    const std::string& text) {
  std::string pattern;
  for (const char c : text) {
    // A backslash before any ASCII character that is no letter or digit makes
    // it literal.
    if (static_cast<unsigned char>(c) < 0x80 && !IsWord(c)) pattern += '\\';
    pattern += c;
  }
  return CompilePcre(pattern, text);
}

absl::Status Regex::FindAll(
    absl::string_view text, RegexScratch& scratch,
    absl::FunctionRef<void(size_t, size_t)> found) const {
  RegexScratch::State& state = *scratch.state_;
  if (state.match == nullptr || state.context == nullptr) {
    return absl::ResourceExhaustedError("no memory for a regex match");
  }
  const auto* const subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  const PCRE2_SIZE* const range = pcre2_get_ovector_pointer(state.match);
  size_t start = 0;
  size_t last_end = SIZE_MAX;
  while (start <= text.size()) {
    int result = PCRE2_ERROR_JIT_STACKLIMIT;
    if (code_->jit) {
      result = pcre2_jit_match(code_->code, subject, text.size(), start,
                               PCRE2_NO_UTF_CHECK, state.match, state.context);
    }
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
      result = pcre2_match(code_->code, subject, text.size(), start,
                           PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, state.match,
                           state.context);
    }
    if (result == PCRE2_ERROR_NOMATCH) break;
    if (result < 0) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "regex \"", code_->shown, "\" gave up at byte ", start,
          " of a piece of ", text.size(), " bytes (PCRE2 error ", result, ")"));
    }
    const size_t begin = range[0];
    const size_t end = range[1];
    if (begin > end || end < start) break;  // \K in a lookaround
    if (begin == end && end == last_end) {
      start += start < text.size() ? Utf8Length(text[start]) : 1;
      continue;
    }
    start = end;
    last_end = end;
    found(begin, end);
  }
  return absl::OkStatus();
}

}  // namespace evopress::worker
