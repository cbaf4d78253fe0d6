// A picture of an assignment: a cell for every layer, darker the more bits.
#ifndef EVOPRESS_CLIENT_EXPORT_PICTURE_H_
#define EVOPRESS_CLIENT_EXPORT_PICTURE_H_

#include <string>

#include "absl/status/status.h"
#include "client/export_input.h"
#include "client/output_dir.h"

namespace evopress::client {

inline constexpr char kPictureFile[] = "assignment.svg";

// Blocks from left to right and the kinds of layers below one another; layers
// outside of blocks stand in a column of their own.
// A cell says the code bits per weight of its layer, its tooltip the level.
// Returns a self-contained SVG document.
std::string DrawAssignment(const search::SearchSpace& space,
                           const search::Assignment& assignment,
                           const std::string& title);

absl::Status ExportPicture(const ExportInput& input, OutputDir& out);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_EXPORT_PICTURE_H_
