// The promises of an Evaluator, for every implementation: instantiate with
// INSTANTIATE_TYPED_TEST_SUITE_P and Case<Opener, Model>, where Opener has
// `static absl::StatusOr<std::unique_ptr<Evaluator>> Open(
// const std::string& path, const EvaluatorOptions&)` and Model is a committed
// tiny one.
#ifndef EVOPRESS_TESTS_CONFORMANCE_EVALUATOR_SUITE_H_
#define EVOPRESS_TESTS_CONFORMANCE_EVALUATOR_SUITE_H_

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "quant/gram.h"
#include "search/space.h"
#include "tests/worker/engine_fixture.h"
#include "worker/evaluator.h"

namespace evopress::worker {

// Embedding and head are one matrix.
struct TiedModel {
  static constexpr const char* kName = "llama_llama3";
  static constexpr const char* kType = "llama";
  static constexpr size_t kLayers = 14;
  static constexpr size_t kSites = 8;
  static constexpr int64_t kExpertsPerToken = 0;
};

struct DenseModel {
  static constexpr const char* kType = "qwen3";
  static constexpr const char* kName = "qwen3";
  static constexpr size_t kLayers = 14;
  static constexpr size_t kSites = 8;
  static constexpr int64_t kExpertsPerToken = 0;
};

// The first block is dense, the second has eight experts.
struct ExpertsModel {
  static constexpr const char* kType = "qwen3_moe";
  static constexpr const char* kName = "qwen3_moe";
  static constexpr size_t kLayers = 7 + 4 + 3 * 8;
  static constexpr size_t kSites = 4 + 2 + 2 * 8;
  static constexpr int64_t kExpertsPerToken = 3;
};

template <typename OpenerType, typename ModelType>
struct Case {
  using Opener = OpenerType;
  using Model = ModelType;
};

template <typename Case>
class EvaluatorSuite : public testing::Test {
 protected:
  void SetUp() override {
    const std::string path = GoldenPath(Case::Model::kName);
    auto model = quant::Checkpoint::Open(path);
    ASSERT_TRUE(model.ok()) << model.status();
    evaluator_ = Open(1);
    ASSERT_NE(evaluator_, nullptr);
    std::vector<std::string> layers = evaluator_->info().layers;
    for (const std::string& outer : OuterLayers()) layers.push_back(outer);
    for (const std::string& layer : layers) {
      for (const char* level : {"rtn:b3:g16:asym", "rtn:b6:g16:asym"}) {
        blobs_[layer].push_back(
            MakeBlob(**model, layer, level, directory_.path()));
      }
    }
  }

  std::unique_ptr<Evaluator> Open(int threads) {
    EvaluatorOptions options;
    options.threads = threads;
    options.memory_bytes = 64 << 20;
    auto evaluator =
        Case::Opener::Open(GoldenPath(Case::Model::kName), options);
    EXPECT_TRUE(evaluator.ok()) << evaluator.status();
    return evaluator.ok() ? *std::move(evaluator) : nullptr;
  }

  // Bit l % 14 of `pattern` decides layer l's level; layers beyond keep theirs.
  WeightChoice Choice(uint32_t pattern,
                      size_t layers = Case::Model::kLayers) const {
    WeightChoice choice;
    size_t l = 0;
    for (const auto& layer : evaluator_->info().layers) {
      if (l >= layers) break;
      choice.blob_of_layer[layer] =
          blobs_.at(layer)[(pattern >> (l++ % 14)) & 1];
    }
    return choice;
  }

  // Attention and MLP of the first block, then of the second.
  const std::vector<std::string>& Modules() const {
    return evaluator_->info().modules;
  }

  // The embedding, then the head unless they are tied.
  const std::vector<std::string>& OuterLayers() const {
    return evaluator_->info().outer_layers;
  }

  // `choice` with a level of some outer layers.
  WeightChoice WithOuter(WeightChoice choice, size_t level,
                         const std::vector<std::string>& layers) const {
    for (const std::string& layer : layers) {
      choice.blob_of_layer[layer] = blobs_.at(layer)[level];
    }
    return choice;
  }

  // `choice` with the output projections of a module at zero.
  WeightChoice Silenced(WeightChoice choice, const std::string& module) const {
    auto model = quant::Checkpoint::Open(GoldenPath(Case::Model::kName));
    for (const auto& layer : evaluator_->info().layers) {
      if (!search::LiesIn(layer, module) ||
          (!layer.ends_with("o_proj") && !layer.ends_with("down_proj"))) {
        continue;
      }
      choice.blob_of_layer[layer] = MakeBlob(**model, layer, "rtn:b3:g16:asym",
                                             directory_.path(), /*factor=*/0);
    }
    return choice;
  }

  // Assignments, some with common beginnings, on samples of all sorts.
  EvaluateRequest Batch() const {
    EvaluateRequest request;
    for (const uint32_t pattern :
         {0u, 0x3fffu, 0x2000u, 0x0155u, 0x2155u, 1u}) {
      request.assignments.push_back(Choice(pattern));
    }
    request.assignments.push_back(Choice(0, 3));
    for (const auto& module : {Modules()[1], Modules()[2]}) {
      request.assignments.push_back(Choice(0));
      request.assignments.back().dropped = {module};
    }
    request.assignments.push_back({{}, {Modules()[0], Modules()[3]}});
    request.assignments.push_back(WithOuter({}, 0, {OuterLayers().back()}));
    for (const size_t level : {0, 1}) {
      for (const auto& outer : OuterLayers()) {
        request.assignments.push_back(WithOuter(Choice(0), level, {outer}));
      }
      request.assignments.push_back(
          WithOuter(Choice(0x155), level, OuterLayers()));
    }
    request.assignments.push_back({});
    request.samples = {MakeSample(2, 1), MakeSample(127, 2), MakeSample(300, 3),
                       MakeSample(128, 4), MakeSample(129, 5)};
    return request;
  }

  EvaluateResponse Evaluate(Evaluator& evaluator,
                            const EvaluateRequest& request) {
    auto response = evaluator.Evaluate(request, nullptr);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *response : EvaluateResponse{};
  }

  ScratchDirectory directory_;
  std::map<std::string, std::vector<std::string>> blobs_;
  std::unique_ptr<Evaluator> evaluator_;
};

TYPED_TEST_SUITE_P(EvaluatorSuite);

TYPED_TEST_P(EvaluatorSuite, SaysWhatItIs) {
  const EvaluatorInfo& info = this->evaluator_->info();
  EXPECT_EQ(info.model_type, TypeParam::Model::kType);
  EXPECT_EQ(info.vocab_size, 256);
  EXPECT_EQ(info.layers.size(), TypeParam::Model::kLayers);
  EXPECT_EQ(info.modules,
            (std::vector<std::string>{
                "model.layers.0.self_attn", "model.layers.0.mlp",
                "model.layers.1.self_attn", "model.layers.1.mlp"}));
  EXPECT_FALSE(info.numeric_class.empty());
}

TYPED_TEST_P(EvaluatorSuite, TheReferenceDiffersFromItselfByNothing) {
  EvaluateRequest request;
  request.assignments.resize(1);
  request.samples = {MakeSample(40, 1)};
  const auto response = this->Evaluate(*this->evaluator_, request);
  ASSERT_EQ(response.results.size(), 1u);
  EXPECT_EQ(response.results[0][0].kl, 0);
  EXPECT_EQ(response.results[0][0].topk_kl, 0);
  EXPECT_GT(response.results[0][0].nll, 0);
  EXPECT_EQ(response.results[0][0].positions, 39);
}

TYPED_TEST_P(EvaluatorSuite, FewerBitsHurtMore) {
  EvaluateRequest request;
  request.assignments = {this->Choice(0), this->Choice(0x3fff)};
  request.samples = {MakeSample(200, 1)};
  const auto response = this->Evaluate(*this->evaluator_, request);
  ASSERT_EQ(response.results.size(), 2u);
  EXPECT_GT(response.results[0][0].kl, response.results[1][0].kl);
  EXPECT_GT(response.results[1][0].kl, 0);
  // Merging outcomes cannot raise a divergence.
  EXPECT_LT(response.results[0][0].topk_kl, response.results[0][0].kl);
  EXPECT_GT(response.results[0][0].topk_kl, 0);
}

TYPED_TEST_P(EvaluatorSuite, BitsDependOnNeitherBatchNorOrderNorThreads) {
  const EvaluateRequest batch = this->Batch();
  const EvaluateResponse together = this->Evaluate(*this->evaluator_, batch);
  ASSERT_EQ(together.results.size(), batch.assignments.size());
  for (size_t a = 0; a < batch.assignments.size(); ++a) {
    for (size_t s = 0; s < batch.samples.size(); ++s) {
      const EvaluateResponse alone = this->Evaluate(
          *this->evaluator_, {{batch.assignments[a]}, {batch.samples[s]}});
      EXPECT_EQ(alone.results[0][0], together.results[a][s]) << a << " " << s;
    }
  }
  EvaluateRequest reversed = batch;
  std::reverse(reversed.assignments.begin(), reversed.assignments.end());
  std::reverse(reversed.samples.begin(), reversed.samples.end());
  const auto two_threads = this->Open(2);
  ASSERT_NE(two_threads, nullptr);
  EvaluateResponse backwards = this->Evaluate(*two_threads, reversed);
  std::reverse(backwards.results.begin(), backwards.results.end());
  for (auto& row : backwards.results) std::reverse(row.begin(), row.end());
  EXPECT_EQ(backwards.results, together.results);
}

TYPED_TEST_P(EvaluatorSuite, ADroppedModuleAddsAsMuchAsOneWhoseOutputIsZero) {
  EvaluateRequest request;
  for (const std::string& module : this->Modules()) {
    WeightChoice dropped = this->Choice(0x155);
    request.assignments.push_back(this->Silenced(dropped, module));
    dropped.dropped = {module};
    request.assignments.push_back(dropped);
  }
  request.samples = {MakeSample(200, 1), MakeSample(60, 2)};
  const auto response = this->Evaluate(*this->evaluator_, request);
  ASSERT_EQ(response.results.size(), 8u);
  for (size_t a = 0; a < 8; a += 2) {
    for (size_t s = 0; s < 2; ++s) {
      const auto& zero = response.results[a][s];
      const auto& dropped = response.results[a + 1][s];
      EXPECT_GT(dropped.kl, 0);
      EXPECT_NEAR(dropped.kl, zero.kl, 1e-5 * zero.kl)
          << this->Modules()[a / 2];
      EXPECT_NEAR(dropped.nll, zero.nll, 1e-5 * zero.nll);
    }
  }
}

TYPED_TEST_P(EvaluatorSuite, DroppingBothModulesRemovesTheBlock) {
  // The same model without its second block.
  const ScratchDirectory shorter;
  const std::string path = GoldenPath(TypeParam::Model::kName);
  std::ifstream in(path + "/config.json");
  nlohmann::json config = nlohmann::json::parse(in);
  config["num_hidden_layers"] = 1;
  if (config.contains("layer_types")) config["layer_types"].erase(1);
  std::ofstream(shorter.path() + "/config.json") << config;
  std::filesystem::create_symlink(path + "/model.safetensors",
                                  shorter.path() + "/model.safetensors");
  const auto one_block = TypeParam::Opener::Open(shorter.path(), {});
  ASSERT_TRUE(one_block.ok()) << one_block.status();
  const std::vector<std::vector<int32_t>> samples = {MakeSample(150, 1)};
  const auto want = this->Evaluate(**one_block, {{{}}, samples});
  const auto got = this->Evaluate(
      *this->evaluator_,
      {{{{}, {this->Modules()[2], this->Modules()[3]}}}, samples});
  ASSERT_EQ(got.results.size(), 1u);
  ASSERT_EQ(want.results.size(), 1u);
  EXPECT_NEAR(got.results[0][0].nll, want.results[0][0].nll,
              1e-6 * want.results[0][0].nll);
}

TYPED_TEST_P(EvaluatorSuite, ADroppedModulesBlobsAreNotEvenRead) {
  WeightChoice choice = this->Choice(0);
  choice.dropped = {this->Modules()[1]};
  WeightChoice unreadable = choice;
  for (auto& [layer, blob] : unreadable.blob_of_layer) {
    if (search::LiesIn(layer, this->Modules()[1])) blob = "/no/such/blob";
  }
  const auto response = this->Evaluate(
      *this->evaluator_, {{choice, unreadable}, {MakeSample(50, 1)}});
  ASSERT_EQ(response.results.size(), 2u);
  EXPECT_EQ(response.results[0], response.results[1]);
}

TYPED_TEST_P(EvaluatorSuite, OuterLevelsAreAsGoodAsPutIntoTheCheckpoint) {
  EXPECT_EQ(this->OuterLayers().size(),
            std::string(TypeParam::Model::kName) == TiedModel::kName ? 1u : 2u);
  std::vector<WeightChoice> choices;
  for (const std::string& layer : this->OuterLayers()) {
    choices.push_back(this->WithOuter({}, 0, {layer}));
  }
  choices.push_back(this->WithOuter({}, 1, this->OuterLayers()));
  auto model = quant::Checkpoint::Open(GoldenPath(TypeParam::Model::kName));
  ASSERT_TRUE(model.ok()) << model.status();
  for (const char* pruned : {"magnitude:50", "magnitude:30:b5:g16:asym"}) {
    WeightChoice& choice = choices.emplace_back();
    for (const std::string& layer : this->OuterLayers()) {
      choice.blob_of_layer[layer] =
          MakeBlob(**model, layer, pruned, this->directory_.path());
    }
  }
  const std::vector<std::vector<int32_t>> samples = {MakeSample(200, 1),
                                                     MakeSample(70, 2)};
  const auto got = this->Evaluate(*this->evaluator_, {choices, samples});
  ASSERT_EQ(got.results.size(), choices.size());
  for (size_t c = 0; c < choices.size(); ++c) {
    const ScratchDirectory by_hand;
    WriteByHand(GoldenPath(TypeParam::Model::kName), choices[c],
                by_hand.path());
    const auto evaluator = TypeParam::Opener::Open(by_hand.path(), {});
    ASSERT_TRUE(evaluator.ok()) << evaluator.status();
    const auto want = this->Evaluate(**evaluator, {{{}}, samples});
    ASSERT_EQ(want.results.size(), 1u);
    const auto reference = this->Evaluate(*this->evaluator_, {{{}}, samples});
    for (size_t s = 0; s < samples.size(); ++s) {
      const search::SampleSums& sums = got.results[c][s];
      EXPECT_NEAR(sums.nll, want.results[0][s].nll,
                  1e-6 * want.results[0][s].nll);
      EXPECT_NE(sums.nll, reference.results[0][s].nll);
      EXPECT_GT(sums.kl, 0);
      EXPECT_GT(sums.topk_kl, 0);
      EXPECT_LT(sums.topk_kl, sums.kl);
    }
  }
  // The level of more bits hurts less.
  const auto both = this->Evaluate(
      *this->evaluator_, {{this->WithOuter({}, 0, this->OuterLayers()),
                           this->WithOuter({}, 1, this->OuterLayers())},
                          samples});
  EXPECT_GT(both.results[0][0].kl, both.results[1][0].kl);
}

TYPED_TEST_P(EvaluatorSuite, AHeadWithTheModelsOwnRowsLosesNothing) {
  // A level so fine that the logits, by another way, are nearly the same.
  auto model = quant::Checkpoint::Open(GoldenPath(TypeParam::Model::kName));
  ASSERT_TRUE(model.ok()) << model.status();
  const std::string head = this->OuterLayers().back();
  WeightChoice fine;
  fine.blob_of_layer[head] =
      MakeBlob(**model, head, "rtn:b8:g16:asym", this->directory_.path());
  const WeightChoice coarse = this->WithOuter({}, 0, {head});
  const auto response =
      this->Evaluate(*this->evaluator_, {{fine, coarse}, {MakeSample(200, 1)}});
  ASSERT_EQ(response.results.size(), 2u);
  EXPECT_GT(response.results[0][0].kl, 0);
  EXPECT_LT(response.results[0][0].kl, 0.01 * response.results[1][0].kl);
}

TYPED_TEST_P(EvaluatorSuite, CapturesWhatTheHeadReads) {
  CaptureRequest request;
  request.samples = {MakeSample(200, 1), MakeSample(50, 2)};
  request.layers = this->OuterLayers();
  std::vector<quant::Statistics> captured;
  for (const int threads : {1, 2}) {
    const auto evaluator = this->Open(threads);
    ASSERT_NE(evaluator, nullptr);
    request.output_path = this->directory_.path() + "/statistics";
    const absl::Status status = evaluator->Capture(request, nullptr);
    ASSERT_TRUE(status.ok()) << status;
    auto statistics = quant::ReadStatistics(request.output_path);
    ASSERT_TRUE(statistics.ok()) << statistics.status();
    captured.push_back(*std::move(statistics));
  }
  ASSERT_EQ(captured[0].sites.size(), 1u);
  ASSERT_EQ(captured[0].site_of_layer.size(), 1u);
  EXPECT_TRUE(captured[0].site_of_layer.contains(this->OuterLayers().back()));
  const quant::Gram& gram = captured[0].sites.begin()->second;
  EXPECT_EQ(gram.tokens, 250);
  EXPECT_EQ(gram.values, captured[1].sites.begin()->second.values);
  // Normed states have one square a column, the norm's weights aside.
  auto model = quant::Checkpoint::Open(GoldenPath(TypeParam::Model::kName));
  ASSERT_TRUE(model.ok()) << model.status();
  std::vector<float> norm(gram.n);
  ASSERT_TRUE(
      (*model)->ReadF32("model.norm.weight", absl::MakeSpan(norm)).ok());
  double squares = 0;
  for (int64_t i = 0; i < gram.n; ++i) {
    squares += gram.values[i * gram.n + i] / (norm[i] * norm[i]);
  }
  EXPECT_NEAR(squares, 250 * gram.n, 1e-2 * 250 * gram.n);
}

TYPED_TEST_P(EvaluatorSuite, RefusesWhatItCannotMeasure) {
  Evaluator& evaluator = *this->evaluator_;
  const WeightChoice good = this->Choice(0);
  const auto refused = [&](const EvaluateRequest& request,
                           const std::string& part) {
    const auto response = evaluator.Evaluate(request, nullptr);
    EXPECT_FALSE(response.ok());
    EXPECT_NE(response.status().ToString().find(part), std::string::npos)
        << response.status();
  };
  refused({{good}, {{1, 2, 256}}}, "token 2 is 256");
  refused({{good}, {{1, -1}}}, "token 1 is -1");
  refused({{good}, {{1}}}, "has 1 tokens");
  refused({{good}, {std::vector<int32_t>(70000, 1)}}, "65536");
  refused({{{{{"no.such.layer", "x"}}}}, {{1, 2}}}, "no.such.layer");
  refused({{{{}, {"model.layers.9.mlp"}}}, {{1, 2}}}, "model.layers.9.mlp");
  const std::string layer = evaluator.info().layers[0];
  refused({{{{{layer, "/no/such/blob"}}}}, {{1, 2}}}, "/no/such/blob");
  const std::string other = evaluator.info().layers[1];
  refused({{{{{layer, this->blobs_[other][0]}}}}, {{1, 2}}}, layer);
  for (const std::string& outer : evaluator.info().outer_layers) {
    refused({{{{{outer, "/no/such/blob"}}}}, {{1, 2}}}, "/no/such/blob");
    refused({{{{{outer, this->blobs_[other][0]}}}}, {{1, 2}}}, outer);
  }
  EXPECT_TRUE(evaluator.Evaluate({{good}, {{1, 2}}}, nullptr).ok());
}

TYPED_TEST_P(EvaluatorSuite, CancelsWhenProgressSaysSo) {
  EvaluateRequest request = this->Batch();
  for (uint64_t s = 0; s < 100; ++s) {
    request.samples.push_back(MakeSample(400, 100 + s));
  }
  const auto response =
      this->evaluator_->Evaluate(request, [](double) { return false; });
  EXPECT_EQ(response.status().code(), absl::StatusCode::kCancelled)
      << response.status();
  EXPECT_TRUE(
      this->evaluator_->Evaluate({{this->Choice(0)}, {{1, 2}}}, nullptr).ok());
}

TYPED_TEST_P(EvaluatorSuite, CapturesSymmetricGramsForAnyNumberOfThreads) {
  CaptureRequest request;
  request.samples = {MakeSample(200, 1), MakeSample(50, 2)};
  request.layers = this->evaluator_->info().layers;
  std::vector<quant::Statistics> captured;
  for (const int threads : {1, 2}) {
    const auto evaluator = this->Open(threads);
    ASSERT_NE(evaluator, nullptr);
    request.output_path = this->directory_.path() + "/statistics";
    const absl::Status status = evaluator->Capture(request, nullptr);
    ASSERT_TRUE(status.ok()) << status;
    auto statistics = quant::ReadStatistics(request.output_path);
    ASSERT_TRUE(statistics.ok()) << statistics.status();
    captured.push_back(*std::move(statistics));
  }
  using Model = typename TypeParam::Model;
  EXPECT_EQ(captured[0].site_of_layer.size(), Model::kLayers);
  EXPECT_EQ(captured[0].sites.size(), Model::kSites);
  int64_t expert_tokens = 0;
  for (const auto& [site, gram] : captured[0].sites) {
    EXPECT_EQ(gram.values, captured[1].sites[site].values) << site;
    if (site.find("expert") == std::string::npos) {
      EXPECT_EQ(gram.tokens, 250) << site;
    } else {
      expert_tokens += gram.tokens;
    }
    for (int64_t i = 0; i < gram.n; ++i) {
      EXPECT_GE(gram.values[i * gram.n + i], 0);
      for (int64_t j = 0; j < i; ++j) {
        const float ij = gram.values[i * gram.n + j];
        EXPECT_NEAR(ij, gram.values[j * gram.n + i], 1e-4 * (1 + std::abs(ij)));
      }
    }
  }
  // Each token is the input of its experts' two sites.
  EXPECT_EQ(expert_tokens, 2 * 250 * Model::kExpertsPerToken);
}

TYPED_TEST_P(EvaluatorSuite,
             ProfilesTheSameInputsAsGramsForAnyNumberOfThreads) {
  CaptureRequest request;
  request.samples = {MakeSample(200, 1), MakeSample(50, 2)};
  request.layers = this->evaluator_->info().layers;
  request.output_path = this->directory_.path() + "/statistics";
  ASSERT_TRUE(this->evaluator_->Capture(request, nullptr).ok());
  const auto statistics = quant::ReadStatistics(request.output_path);
  ASSERT_TRUE(statistics.ok()) << statistics.status();
  const auto profile = this->evaluator_->Profile(request.samples, nullptr);
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(profile->tokens, 250);
  ASSERT_EQ(profile->blocks.size(), 2u);
  size_t layers = 0, modules = 0;
  for (const BlockProfile& block : profile->blocks) {
    for (const BlockProfile::Layer& layer : block.layers) {
      ++layers;
      const auto& gram =
          statistics->sites.at(statistics->site_of_layer.at(layer.name));
      const std::vector<double>& powers = block.input_powers[layer.site];
      ASSERT_EQ(static_cast<int64_t>(powers.size()), gram.n);
      for (int64_t c = 0; c < gram.n; ++c) {
        const double want = gram.values[c * gram.n + c];
        EXPECT_NEAR(powers[c], want, 1e-3 * want + 1e-6) << layer.name;
      }
    }
    for (const BlockProfile::Module& module : block.modules) {
      EXPECT_EQ(module.name, this->Modules()[modules++]);
      EXPECT_GT(module.flow.angle, 0);
      EXPECT_LT(module.flow.angle, 250);
      EXPECT_GT(module.flow.magnitude, 0);
      EXPECT_LT(module.flow.cosine, 250);
    }
  }
  EXPECT_EQ(layers, TypeParam::Model::kLayers);
  EXPECT_EQ(profile->blocks[0].windows.size(), 2u);
  EXPECT_EQ(profile->blocks[1].windows.size(), 1u);
  const auto two_threads = this->Open(2);
  ASSERT_NE(two_threads, nullptr);
  const auto again = two_threads->Profile(request.samples, nullptr);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(*again == *profile);
  EXPECT_EQ(this->evaluator_->Profile({{1, 256}}, nullptr).status().code(),
            absl::StatusCode::kInvalidArgument);
}

REGISTER_TYPED_TEST_SUITE_P(
    EvaluatorSuite, SaysWhatItIs, TheReferenceDiffersFromItselfByNothing,
    FewerBitsHurtMore, ADroppedModuleAddsAsMuchAsOneWhoseOutputIsZero,
    DroppingBothModulesRemovesTheBlock, ADroppedModulesBlobsAreNotEvenRead,
    BitsDependOnNeitherBatchNorOrderNorThreads,
    OuterLevelsAreAsGoodAsPutIntoTheCheckpoint,
    AHeadWithTheModelsOwnRowsLosesNothing, CapturesWhatTheHeadReads,
    RefusesWhatItCannotMeasure, CancelsWhenProgressSaysSo,
    CapturesSymmetricGramsForAnyNumberOfThreads,
    ProfilesTheSameInputsAsGramsForAnyNumberOfThreads);

}  // namespace evopress::worker

#endif  // EVOPRESS_TESTS_CONFORMANCE_EVALUATOR_SUITE_H_
