#include "client/export_evopress.h"

#include "absl/strings/str_cat.h"
#include "search/assignment_text.h"
#include "search/drop_text.h"
#include "search/level_name.h"

namespace evopress::client {
namespace {

bool Prunes(const ExportInput& input) {
  for (size_t u = 0; u < input.space.units.size(); ++u) {
    const auto level = search::ParseLevel(
        input.space.units[u].menu[input.assignment.levels[u]].name);
    if (level.ok() && level->sparsity.kind != search::Sparsity::Kind::kNone) {
      return true;
    }
  }
  return false;
}

absl::Status WriteAndVerify(const ExportInput& input, const char* file,
                            const std::string& text, OutputDir& out) {
  auto read = search::ParseAssignment(input.space, text);
  if (!read.ok()) return read.status();
  if (*read != input.assignment) {
    return absl::InternalError(
        absl::StrCat(file, " does not give back the assignment"));
  }
  return out.Write(file, text);
}

}  // namespace

absl::Status ExportEvoPress(const ExportInput& input, bool strict,
                            OutputDir& out) {
  // EvoPress writes drops or bits; it has no words for both at once.
  const bool drops = search::OnlyDrops(input.space);
  const bool joint = !drops && search::HasModules(input.space);
  auto bits = drops ? search::FormatDrops(input.space, input.assignment)
                    : search::FormatNominalBits(input.space, input.assignment);
  if (bits.ok() && !joint) {
    if (absl::Status s = WriteAndVerify(input, kEvoPressFile, *bits, out);
        !s.ok()) {
      return s;
    }
  } else if (strict && !joint && !Prunes(input)) {
    return bits.status();
  }
  return WriteAndVerify(input, kLevelsFile,
                        search::FormatLevels(input.space, input.assignment),
                        out);
}

}  // namespace evopress::client
