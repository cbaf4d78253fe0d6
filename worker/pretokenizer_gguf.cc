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
constexpr char kDeepseekLetters[] =
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)";
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
