// What our pictures are made of.
#ifndef EVOPRESS_CLIENT_SVG_H_
#define EVOPRESS_CLIENT_SVG_H_

#include <string>

#include "absl/strings/string_view.h"

namespace evopress::client {

// Safe as text and as a quoted attribute of XML and HTML.
std::string EscapeXml(absl::string_view text);

// One line of text; `anchor` is "start", "middle" or "end".
std::string SvgText(double x, double y, absl::string_view anchor,
                    absl::string_view fill, int size, absl::string_view text);

std::string SvgLine(double x1, double y1, double x2, double y2,
                    absl::string_view stroke, double width);

// "#rrggbb" from pale sand (0) to deep blue (1).
std::string HeatColor(double share);

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_SVG_H_
