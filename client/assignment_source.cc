#include "client/assignment_source.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/calibration_text.h"
#include "client/export_evopress.h"
#include "client/space_builder.h"
#include "search/assignment_text.h"
#include "search/level_name.h"

namespace evopress::client {
namespace {

namespace fs = std::filesystem;

constexpr char kUniform[] = "uniform:";

absl::StatusOr<NamedText> UniformText(const std::string& level,
                                      const quant::Checkpoint& model,
                                      const OuterRule& outer) {
  const bool width = level.find_first_not_of("0123456789") == std::string::npos;
  NamedText text;
  text.name = width ? absl::StrCat("uniform ", level, "-bit")
                    : absl::StrCat("uniform ", level);
  for (const quant::TensorInfo& tensor : model.tensors()) {
    if (!IsSearched(tensor)) continue;
    absl::StrAppend(&text.text, absl::StripSuffix(tensor.name, ".weight"), ": ",
                    level, "\n");
  }
  auto layers = OuterLayers(outer, model.tensors());
  if (!layers.ok()) return layers.status();
  for (const std::string& layer : *layers) {
    std::string own = level;
    const auto name = search::ParseLevel(level);
    if (!width && name.ok()) {
      auto menu = OuterMenu(layer, IsTied(model.tensors()), {*name});
      if (!menu.ok()) return menu.status();
      own = search::Format(menu->front());
    }
    absl::StrAppend(&text.text, layer, ": ", own, "\n");
  }
  return text;
}

}  // namespace

absl::StatusOr<NamedText> ReadAssignmentSource(const std::string& source,
                                               const quant::Checkpoint& model,
                                               const OuterRule& outer) {
  if (absl::StartsWith(source, kUniform)) {
    return UniformText(source.substr(sizeof(kUniform) - 1), model, outer);
  }
  const NamedFile named = ParseNamedFile(source);
  std::error_code error;
  fs::path path = fs::path(named.path).lexically_normal();
  if (path.filename().empty()) path = path.parent_path();
  const std::string name =
      named.path == source ? path.stem().string() : named.name;
  if (fs::is_directory(path, error)) path /= kLevelsFile;
  if (!fs::is_regular_file(path, error) ||
      fs::file_size(path, error) > search::kMaxAssignmentText) {
    return absl::NotFoundError(absl::StrCat(
        "assignment \"", source,
        "\" is neither a text file of \"layer: level\" lines, nor a directory "
        "with ",
        kLevelsFile, ", nor uniform:BITS"));
  }
  std::ifstream in(path, std::ios::binary);
  NamedText text{name, {std::istreambuf_iterator<char>(in), {}}};
  if (!in) {
    return absl::UnavailableError(absl::StrCat("cannot read ", path.string()));
  }
  return text;
}

}  // namespace evopress::client
