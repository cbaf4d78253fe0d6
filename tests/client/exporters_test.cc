#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "client/export_evopress.h"
#include "client/export_hf.h"
#include "client/export_input.h"
#include "client/export_job.h"
#include "client/export_json.h"
#include "client/export_picture.h"
#include "client/job_plan.h"
#include "client/report_html.h"
#include "client/search_story.h"
#include "client/space_builder.h"
#include "proto/conversions.h"
#include "quant/compressor.h"
#include "quant/packed_weight.h"
#include "search/assignment_text.h"
#include "search/digest.h"
#include "search/level_name.h"
#include "tests/client/tiny_model.h"

namespace evopress::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// An ended job on a tiny model with round-to-nearest levels, without a
// coordinator: artifacts are files of a temporary directory.
class Exporters : public ::testing::Test {
 protected:
  void SetUp() override {
    MakeTinyModel(tmp_ / "model");
    auto model = OpenModel(tmp_ / "model");
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *std::move(model);
    SpaceOptions options;
    options.menu = "rtn:2-4:g32,keep";
    auto space = BuildSpace(model_->tensors(), options);
    ASSERT_TRUE(space.ok()) << space.status();
    BudgetOptions budget;
    budget.target_bits = "5";
    ASSERT_TRUE(AddBudgets(budget, *space).ok());
    space_ = *space;
    for (size_t u = 0; u < space_.units.size(); ++u) {
      assignment_.levels.push_back(u % 4);
    }
    auto ref = MakeModelRef(tmp_ / "model", *model_);
    ASSERT_TRUE(ref.ok()) << ref.status();
    *job_.mutable_spec()->mutable_model() = *ref;
    *job_.mutable_spec()->mutable_space() = proto::ToProto(space_);
    *job_.mutable_spec()->mutable_strategy() =
        proto::ToProto(search::EvoPressOptions{});
    (*job_.mutable_spec()->mutable_labels())["model_path"] = tmp_ / "model";
    job_.set_name("jobs/test");
    job_.set_state(v1::Job::SUCCEEDED);
    job_.set_history_hash("abc");
    auto& winner = *job_.add_results();
    winner.set_name("winner");
    *winner.mutable_assignment() = proto::ToProto(assignment_);
    for (int k = 0; k < 3; ++k) winner.add_costs(Cost(space_, assignment_, k));
    winner.set_fitness(0.25);
    auto& domain = *winner.add_held_out();
    domain.set_domain("wiki");
    for (int i = 1; i <= 3; ++i) {
      auto& sums = *domain.add_sums();
      sums.set_kl(i);
      sums.set_nll(10 * i);
      sums.set_positions(10);
    }
    BuildLevels();
  }

  void BuildLevels() {
    v1::LevelTable table;
    for (const search::Unit& unit : space_.units) {
      auto& row = *table.add_units();
      row.set_name(unit.name);
      row.add_layers(unit.name);
      for (const auto& choice : unit.menu) {
        auto& level = *row.add_levels();
        level.set_name(choice.name);
        auto& blob = *level.add_blobs();
        if (choice.name == "keep") continue;
        blob.set_sha256(Compress(unit.name, choice.name));
      }
    }
    job_.set_level_table_sha256(Store(table.SerializeAsString()));
  }

  std::string Compress(const std::string& layer, const std::string& name) {
    const quant::TensorInfo* info = model_->Find(layer + ".weight");
    std::vector<float> values(info->elements());
    EXPECT_TRUE(model_->ReadF32(info->name, absl::MakeSpan(values)).ok());
    const auto level = search::ParseLevel(name);
    const auto made = (*quant::FindCompressor("rtn"))
                          ->Compress({.name = layer,
                                      .shape = {info->shape[0], info->shape[1]},
                                      .weight = values,
                                      .gram = nullptr},
                                     {*level});
    EXPECT_TRUE(made.ok()) << made.status();
    std::vector<float> unpacked(values.size());
    EXPECT_TRUE(
        quant::Unpack((*made)[0].weight, absl::MakeSpan(unpacked)).ok());
    expected_[layer + "|" + name] = unpacked;
    return Store(quant::SerializeBlob((*made)[0].weight));
  }

  std::string Store(const std::string& bytes) {
    const std::string sha256 = search::Sha256Hex(bytes);
    WriteText(tmp_ / sha256, bytes);
    return sha256;
  }

  FetchArtifact Fetch() {
    return [this](const std::string& sha256) -> absl::StatusOr<std::string> {
      return tmp_ / sha256;
    };
  }

  ExportInput Input() {
    auto input = MakeExportInput(job_, false, Fetch());
    EXPECT_TRUE(input.ok()) << input.status();
    return *input;
  }

  ExportOptions Options(std::vector<std::string> formats) {
    ExportOptions options;
    options.formats = std::move(formats);
    options.out = tmp_ / "out";
    return options;
  }

  TempDir tmp_;
  std::unique_ptr<quant::Checkpoint> model_;
  search::SearchSpace space_;
  search::Assignment assignment_;
  v1::Job job_;
  std::map<std::string, std::vector<float>> expected_;
};

TEST_F(Exporters, EvoPressTextGivesTheAssignmentBack) {
  ASSERT_TRUE(ExportJob(Input(), Fetch(), Options({"evopress"})).ok());
  for (const char* file : {kEvoPressFile, kLevelsFile}) {
    const auto read =
        search::ParseAssignment(space_, ReadText(tmp_ / "out/" + file));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, assignment_) << file;
  }
  EXPECT_THAT(ReadText(tmp_ / "out/evopress.txt"),
              HasSubstr("model.layers.0.self_attn.q_proj: "));
}

TEST_F(Exporters, RecipeHoldsExactCostsAndErrorBars) {
  ASSERT_TRUE(ExportJob(Input(), Fetch(), Options({"json"})).ok());
  const auto recipe = nlohmann::json::parse(ReadText(tmp_ / "out/recipe.json"));
  EXPECT_EQ(recipe["total_costs"]["code_bits"],
            Cost(space_, assignment_, kCodeBits));
  EXPECT_EQ(recipe["total_costs"]["stored_bits"],
            Cost(space_, assignment_, kStoredBits));
  EXPECT_EQ(recipe["model"]["hash"], job_.spec().model().hash());
  EXPECT_EQ(recipe["history_hash"], "abc");
  EXPECT_EQ(recipe["layers"].size(), 14u);
  const auto& kl = recipe["results"]["rows"][0]["held_out"][0]["kl"];
  EXPECT_DOUBLE_EQ(kl["mean"], 0.2);
  EXPECT_NEAR(kl["standard_error"], 0.1 / std::sqrt(3.0), 1e-12);
  const auto job = ReadExportedJob(tmp_ / "out");
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(proto::DeterministicBytes(*job), proto::DeterministicBytes(job_));
}

TEST_F(Exporters, ThePictureHasACellForEveryLayerWithItsBits) {
  const std::string svg = DrawAssignment(space_, assignment_, "a <title>");
  EXPECT_THAT(svg, HasSubstr("a &lt;title&gt;"));
  for (size_t u = 0; u < space_.units.size(); ++u) {
    const auto& choice = space_.units[u].menu[assignment_.levels[u]];
    const double bits =
        static_cast<double>(choice.costs[kCodeBits]) / space_.units[u].weights;
    EXPECT_THAT(
        svg, HasSubstr(absl::StrCat("<title>", space_.units[u].name, ": ",
                                    choice.name, ", ", bits, " bits</title>")));
  }
}

TEST_F(Exporters, HfWeightsAreTheDequantizedLevelsBitForBit) {
  const auto status = ExportJob(Input(), Fetch(), Options({"hf"}));
  ASSERT_TRUE(status.ok()) << status;
  auto exported = OpenModel(tmp_ / "out");
  ASSERT_TRUE(exported.ok()) << exported.status();
  for (const auto& tensor : model_->tensors()) {
    SCOPED_TRACE(tensor.name);
    std::vector<float> want(tensor.elements());
    ASSERT_TRUE(model_->ReadF32(tensor.name, absl::MakeSpan(want)).ok());
    for (size_t u = 0; u < space_.units.size(); ++u) {
      if (space_.units[u].name + ".weight" != tensor.name) continue;
      const auto found =
          expected_.find(space_.units[u].name + "|" +
                         space_.units[u].menu[assignment_.levels[u]].name);
      if (found != expected_.end()) want = found->second;
    }
    std::vector<float> got(tensor.elements());
    ASSERT_TRUE((*exported)->ReadF32(tensor.name, absl::MakeSpan(got)).ok());
    EXPECT_EQ(got, want);
  }
  EXPECT_EQ(ReadText(tmp_ / "out/tokenizer.json"),
            ReadText(tmp_ / "model/tokenizer.json"));
}

TEST_F(Exporters, HfRefusesAnotherModel) {
  MakeTinyModel(tmp_ / "other", /*seed=*/2);
  ExportOptions options = Options({"hf"});
  options.model_path = tmp_ / "other";
  const auto status = ExportJob(Input(), Fetch(), options);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_FALSE(std::filesystem::exists(tmp_ / "out"));
}

TEST_F(Exporters, ADamagedBlobLeavesNoDirectory) {
  ExportInput input = Input();
  const auto blob = FindBlob(input, 0, 0);
  ASSERT_TRUE(blob.ok() && *blob != nullptr);
  std::string bytes = ReadText(tmp_ / (*blob)->sha256());
  bytes[bytes.size() / 2] ^= 1;
  WriteText(tmp_ / (*blob)->sha256(), bytes);
  EXPECT_EQ(ExportJob(input, Fetch(), Options({"hf"})).code(),
            absl::StatusCode::kDataLoss);
  EXPECT_FALSE(std::filesystem::exists(tmp_ / "out"));
}

TEST_F(Exporters, ReplaceOnlyWhatTheyWroteAndOnlyWhenForced) {
  ExportOptions options = Options({"json"});
  ASSERT_TRUE(ExportJob(Input(), Fetch(), options).ok());
  EXPECT_EQ(ExportJob(Input(), Fetch(), options).code(),
            absl::StatusCode::kAlreadyExists);
  options.force = true;
  EXPECT_TRUE(ExportJob(Input(), Fetch(), options).ok());
  std::filesystem::create_directories(tmp_ / "mine");
  WriteText(tmp_ / "mine/thesis.txt", "do not delete");
  options.out = tmp_ / "mine";
  EXPECT_EQ(ExportJob(Input(), Fetch(), options).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReadText(tmp_ / "mine/thesis.txt"), "do not delete");
}

TEST_F(Exporters, TheIncumbentOfACancelledJobIsLabelledAsSuch) {
  *job_.mutable_incumbent() = job_.results(0);
  job_.clear_results();
  job_.set_state(v1::Job::CANCELLED);
  const auto input = MakeExportInput(job_, /*incumbent=*/true, Fetch());
  ASSERT_TRUE(input.ok()) << input.status();
  const auto recipe = MakeRecipe(*input);
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ((*recipe)["what"], "incumbent");
  EXPECT_EQ((*recipe)["is_winner"], false);
  EXPECT_EQ((*recipe)["job_state"], "cancelled");
  EXPECT_EQ((*recipe)["reproducible"], false);
  EXPECT_EQ((*recipe)["layers"].size(), space_.units.size());
}

TEST_F(Exporters, AResultThatAClockDecidedIsMarked) {
  EXPECT_EQ(
      (*MakeRecipe(*MakeExportInput(job_, false, Fetch())))["reproducible"],
      true);
  job_.set_stopped_by(v1::Job::DEADLINE);
  const auto recipe = MakeRecipe(*MakeExportInput(job_, false, Fetch()));
  EXPECT_EQ((*recipe)["reproducible"], false);
  EXPECT_EQ((*recipe)["stopped_by"], "deadline");
}

TEST_F(Exporters, TheReportNeedsNothingElseAndTrustsNoName) {
  job_.mutable_spec()->set_display_name("<script>alert(1)</script>");
  const auto input = MakeExportInput(job_, false, Fetch());
  ASSERT_TRUE(input.ok()) << input.status();
  SearchStory story;
  story.metric = "KL";
  story.rounds.push_back({0, "<b>first</b>", 4, 4096, {1.5, 0.7}, 0.7, true});
  story.replayed = true;
  const auto html = WriteReport(*input, story);
  ASSERT_TRUE(html.ok()) << html.status();
  EXPECT_THAT(*html, HasSubstr("&lt;script&gt;"));
  EXPECT_THAT(*html, Not(HasSubstr("<script")));
  EXPECT_THAT(*html, Not(HasSubstr("<b>")));
  for (const char* outside : {"src=", "href=", "url(", "@import"}) {
    EXPECT_THAT(*html, Not(HasSubstr(outside)));
  }
  for (const search::Unit& unit : space_.units) {
    EXPECT_THAT(*html, HasSubstr("<title>" + unit.name));
  }
}

TEST_F(Exporters, AJobWithoutWinnerNeedsTheIncumbentFlag) {
  *job_.mutable_incumbent() = job_.results(0);
  job_.clear_results();
  job_.set_state(v1::Job::SEARCHING);
  EXPECT_EQ(MakeExportInput(job_, false, Fetch()).status().code(),
            absl::StatusCode::kFailedPrecondition);
  const auto input = MakeExportInput(job_, true, Fetch());
  ASSERT_TRUE(input.ok()) << input.status();
  EXPECT_TRUE(input->incumbent);
}

}  // namespace
}  // namespace evopress::client
