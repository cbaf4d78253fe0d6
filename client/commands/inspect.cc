// evopress inspect: what is in a model, and what could be searched.
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/commands/command.h"
#include "client/exit_code.h"
#include "client/job_flags.h"
#include "client/job_plan.h"
#include "client/progress_line.h"
#include "client/space_builder.h"
#include "client/text_table.h"
#include "search/budget.h"
#include "search/grouping.h"

namespace evopress::client {
namespace {

struct InspectFlags {
  std::string model;
  bool layers = false;
  bool json = false;
};

std::string ShapeText(const quant::TensorInfo& tensor) {
  return absl::StrJoin(tensor.shape, " x ");
}

// "model.layers.0.mlp.down_proj.weight" -> "mlp.down_proj.weight".
std::string RoleOf(const quant::TensorInfo& tensor) {
  return absl::StartsWith(tensor.name, "model.layers.")
             ? absl::StrCat("*.", search::RoleName(tensor.name))
             : tensor.name;
}

// What is written in the column "searched".
std::string SearchedText(const quant::TensorInfo& tensor) {
  if (IsSearched(tensor)) return "yes";
  for (const auto& [layer, flag] :
       {std::pair{kEmbeddingLayer, "with --units embed"},
        std::pair{kHeadLayer, "with --units head"}}) {
    if (tensor.name == absl::StrCat(layer, ".weight")) return flag;
  }
  return "";
}

void PrintText(const InspectFlags& flags, const quant::Checkpoint& model,
               const v1::ModelRef& ref, int64_t searched, int64_t all) {
  int64_t bytes = 0;
  for (const auto& file : ref.files()) bytes += file.size_bytes();
  const auto& config = model.config();
  std::printf(
      "%s\n  architecture   %s, %lld blocks, hidden %lld\n  hash           "
      "%s\n  files          %d, %s\n  parameters     %s, of which %s in "
      "searched layers\n\n",
      flags.model.c_str(), config.value("model_type", "?").c_str(),
      static_cast<long long>(config.value("num_hidden_layers", int64_t{0})),
      static_cast<long long>(config.value("hidden_size", int64_t{0})),
      ref.hash().c_str(), ref.files_size(), search::FormatSize(bytes).c_str(),
      FormatCount(all).c_str(), FormatCount(searched).c_str());
  if (flags.layers) {
    TextTable table({"tensor", ">shape", "type", ">bytes", "searched"});
    for (const auto& tensor : model.tensors()) {
      table.AddRow({tensor.name, ShapeText(tensor), tensor.source_type,
                    FormatCount(tensor.bytes), SearchedText(tensor)});
    }
    std::printf("%s", table.Format(UseColor()).c_str());
    return;
  }
  struct Kind {
    int count = 0;
    int64_t parameters = 0;
    std::string searched;
  };
  std::map<std::tuple<std::string, std::string, std::string>, Kind> kinds;
  for (const auto& tensor : model.tensors()) {
    Kind& kind = kinds[{RoleOf(tensor), ShapeText(tensor), tensor.source_type}];
    ++kind.count;
    kind.parameters += tensor.elements();
    kind.searched = SearchedText(tensor);
  }
  TextTable table(
      {"tensors", ">count", ">shape", "type", ">parameters", "searched"});
  for (const auto& [key, kind] : kinds) {
    table.AddRow({std::get<0>(key), absl::StrCat(kind.count), std::get<1>(key),
                  std::get<2>(key), FormatCount(kind.parameters),
                  kind.searched});
  }
  std::printf("%s", table.Format(UseColor()).c_str());
}

absl::Status RunInspect(const InspectFlags& flags) {
  auto model = OpenModel(flags.model);
  if (!model.ok()) return model.status();
  auto ref = MakeModelRef(flags.model, **model);
  if (!ref.ok()) return ref.status();
  int64_t searched = 0;
  int64_t all = 0;
  for (const auto& tensor : (*model)->tensors()) {
    all += tensor.elements();
    if (IsSearched(tensor)) searched += tensor.elements();
  }
  const auto warnings = ModelWarnings(**model);
  if (!flags.json) {
    PrintText(flags, **model, *ref, searched, all);
    for (const auto& warning : warnings) {
      std::printf("\nwarning: %s\n", warning.c_str());
    }
    return absl::OkStatus();
  }
  nlohmann::json tensors = nlohmann::json::array();
  for (const auto& tensor : (*model)->tensors()) {
    tensors.push_back({{"name", tensor.name},
                       {"shape", tensor.shape},
                       {"type", tensor.source_type},
                       {"bytes", tensor.bytes},
                       {"searched", IsSearched(tensor)}});
  }
  nlohmann::json files = nlohmann::json::array();
  for (const auto& file : ref->files()) {
    files.push_back({{"name", file.name()},
                     {"size_bytes", file.size_bytes()},
                     {"sha256", file.sha256()}});
  }
  const nlohmann::json json = {
      {"model", flags.model}, {"hash", ref->hash()},
      {"files", files},       {"config", (*model)->config()},
      {"parameters", all},    {"searched_parameters", searched},
      {"tensors", tensors},   {"warnings", warnings}};
  std::printf("%s\n",
              json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
                  .c_str());
  return absl::OkStatus();
}

}  // namespace

void AddInspectCommand(CLI::App& app, RunCommand& run) {
  auto flags = std::make_shared<InspectFlags>();
  CLI::App* command = app.add_subcommand(
      "inspect",
      "Shows architecture, tensors, parameter counts and the hash of a "
      "model.\n\nExample:\n  evopress inspect smol.gguf --layers\n");
  command
      ->add_option("MODEL", flags->model, "GGUF file or Hugging Face directory")
      ->required();
  command->add_flag("--layers", flags->layers,
                    "Every tensor instead of a summary by role");
  AddJsonFlag(*command, flags->json);
  command->callback([flags, &run] {
    run = [flags] { return ReportError(RunInspect(*flags), flags->json); };
  });
}

}  // namespace evopress::client
