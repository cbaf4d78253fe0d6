#include "client/svg.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace evopress::client {

std::string EscapeXml(absl::string_view text) {
  return absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

std::string SvgText(double x, double y, absl::string_view anchor,
                    absl::string_view fill, int size, absl::string_view text) {
  return absl::StrFormat(
      "<text x=\"%g\" y=\"%g\" text-anchor=\"%s\" fill=\"%s\" "
      "font-size=\"%d\">%s</text>\n",
      x, y, anchor, fill, size, EscapeXml(text));
}

std::string SvgLine(double x1, double y1, double x2, double y2,
                    absl::string_view stroke, double width) {
  return absl::StrFormat(
      "<line x1=\"%.5g\" y1=\"%.5g\" x2=\"%.5g\" y2=\"%.5g\" stroke=\"%s\" "
      "stroke-width=\"%g\"/>\n",
      x1, y1, x2, y2, stroke, width);
}

std::string HeatColor(double share) {
  constexpr std::array<std::array<double, 3>, 4> kStops = {
      {{253, 240, 213}, {142, 202, 190}, {42, 120, 160}, {16, 42, 82}}};
  const double at = std::clamp(share, 0.0, 1.0) * (kStops.size() - 1);
  const size_t stop = std::min<size_t>(at, kStops.size() - 2);
  std::array<int, 3> rgb;
  for (int c = 0; c < 3; ++c) {
    rgb[c] = static_cast<int>(
        kStops[stop][c] +
        (at - stop) * (kStops[stop + 1][c] - kStops[stop][c]) + 0.5);
  }
  return absl::StrFormat("#%02x%02x%02x", rgb[0], rgb[1], rgb[2]);
}

}  // namespace evopress::client
