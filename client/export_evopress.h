// The text formats of IST-DASLab/EvoPress: "<layer>: <bits>" a line, layers
// under their Hugging Face names; or, where modules alone are searched, what is
// dropped of every block (search/drop_text.h).
#ifndef EVOPRESS_CLIENT_EXPORT_EVOPRESS_H_
#define EVOPRESS_CLIENT_EXPORT_EVOPRESS_H_

#include "absl/status/status.h"
#include "client/export_input.h"
#include "client/output_dir.h"

namespace evopress::client {

inline constexpr char kEvoPressFile[] = "evopress.txt";
inline constexpr char kLevelsFile[] = "levels.txt";

// Writes evopress.txt and, with full level names, levels.txt, and reads both
// back. Where two levels of a menu have the same bits, the first cannot say
// which is meant and is left out; InvalidArgument if `strict`. Where layers are
// pruned, or modules are searched with levels, bits do not say all, and
// levels.txt is the format.
absl::Status ExportEvoPress(const ExportInput& input, bool strict,
                            OutputDir& out);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_EXPORT_EVOPRESS_H_
