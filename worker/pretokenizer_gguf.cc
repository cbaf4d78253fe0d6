// The table behind GgufPretokenizer(). Each entry is what the tokenizer.json
// of the models that llama.cpp's converter gives that name says.

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "worker/pretokenizer.h"

namespace evopress::worker {
namespace {

// The shape of a pre-tokenizer: splits, then bytes.
struct Recipe {
  enum class Digits { kNone, kIndividual, kRuns };
  Digits digits_first = Digits::kNone;
  std::vector<std::string> splits;  // regexes, matches isolated
  Digits digits_last = Digits::kNone;
  bool gpt2_regex = false;  // ByteLevel(use_regex)
};

constexpr char kLlama3[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kQwen2[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kQwen35[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kTekken[] =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kGpt4o[] =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Cased letters, as code points: some of them have canonical equivalents
// that an editor could silently put in their place.
constexpr char kDeepseekLetters[] =
    R"(\s?[)"
    R"(A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA})"
    R"(\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF}\x{370}-\x{373})"
    R"(\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C})"
    R"(\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F})"
    R"(\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD})"
    R"(\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B})"
    R"(\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15})"
    R"(\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D})"
    R"(\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D})"
    R"(\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4})"
    R"(\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB})"
    R"(\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102})"
    R"(\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126})"
    R"(\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139})"
    R"(\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184})"
    R"(\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2})"
    R"(\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F})"
    R"(\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF})"
    R"(\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A})"
    R"(\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3})"
    R"(\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2})"
    R"(\x{118A0}-\x{118DF}\x{1E900}-\x{1E943})"
    R"(]+)";
constexpr char kDeepseekPunctuation[] = R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)";
constexpr char kDeepseekCjk[] = "[一-龥ࠀ-一가-퟿]+";
constexpr char kDeepseek3[] =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

const absl::flat_hash_map<std::string, Recipe>& Recipes() {
  static const auto* const recipes = [] {
    using Digits = Recipe::Digits;
    auto* made = new absl::flat_hash_map<std::string, Recipe>;
    const auto add = [&](std::initializer_list<const char*> names,
                         const Recipe& recipe) {
      for (const char* name : names) (*made)[name] = recipe;
    };
    add({"", "default", "gpt-2", "gpt2", "phi-2", "jina-es", "jina-de",
         "roberta-bpe", "mpt", "olmo", "jais"},
        {.splits = {}, .gpt2_regex = true});
    add({"smollm", "starcoder", "refact", "command-r", "codeshell"},
        {.digits_first = Digits::kIndividual,
         .splits = {},
         .gpt2_regex = true});
    add({"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral",
         "lfm2", "dbrx", "smaug-bpe", "chatglm-bpe", "glm4"},
        {.splits = {kLlama3}});
    add({"qwen2", "deepseek-r1-qwen", "stablelm2", "megrez", "hunyuan"},
        {.splits = {kQwen2}});
    add({"qwen35"}, {.splits = {kQwen35}});
    add({"tekken"}, {.splits = {kTekken}});
    add({"gpt-4o", "llama4"}, {.splits = {kGpt4o}});
    add({"deepseek-llm"},
        {.splits = {"[\r\n]", kDeepseekLetters, kDeepseekPunctuation, R"(\s+$)",
                    kDeepseekCjk},
         .digits_last = Digits::kIndividual});
    add({"deepseek-coder"},
        {.splits = {"[\r\n]", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kDeepseekCjk},
         .digits_last = Digits::kIndividual});
    add({"deepseek-v3", "deepseek3"},
        {.splits = {R"(\p{N}{1,3})", "[一-龥぀-ゟ゠-ヿ]+", kDeepseek3}});
    return made;
  }();
  return *recipes;
}

}  // namespace

absl::StatusOr<PretokenizerSteps> GgufPretokenizer(const std::string& pre) {
  const auto found = Recipes().find(pre);
  if (found == Recipes().end()) {
    return absl::UnimplementedError(
        absl::StrCat("GGUF pre-tokenizer \"", pre,
                     "\"; use the Hugging Face model with its tokenizer.json"));
  }
  const Recipe& recipe = found->second;
  PretokenizerSteps steps;
  const auto add_digits = [&](Recipe::Digits digits) {
    if (digits != Recipe::Digits::kNone) {
      steps.push_back(MakeDigits(digits == Recipe::Digits::kIndividual));
    }
  };
  add_digits(recipe.digits_first);
  for (const std::string& pattern : recipe.splits) {
    auto regex = Regex::Compile(pattern);
    if (!regex.ok()) return regex.status();
    steps.push_back(
        MakeSplit(*std::move(regex), SplitBehavior::kIsolated, false));
  }
  add_digits(recipe.digits_last);
  auto bytes = MakeByteLevel(/*add_prefix_space=*/false, recipe.gpt2_regex);
  if (!bytes.ok()) return bytes.status();
  steps.push_back(*std::move(bytes));
  return steps;
}

}  // namespace evopress::worker
