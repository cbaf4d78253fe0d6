#include "client/loss_chart.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/svg.h"
#include "client/text_table.h"

namespace evopress::client {
namespace {

constexpr double kWidth = 960;
constexpr double kHeight = 380;
constexpr double kLeft = 64;
constexpr double kRight = 190;  // labels of the results
constexpr double kTop = 20;
constexpr double kBottom = 46;
constexpr char kDark[] = "#102a52";
constexpr char kGrid[] = "#e4e4e4";
constexpr char kDots[] = "#8ecabe";
constexpr char kBest[] = "#2a78a0";
constexpr char kAccepted[] = "#c8502d";
constexpr double kRowHeight = 24;

bool Drawable(double loss) { return std::isfinite(loss) && loss > 0; }

// Losses span orders of magnitude.
class LogScale {
 public:
  void Include(double value) {
    if (!Drawable(value)) return;
    low_ = any_ ? std::min(low_, value) : value;
    high_ = any_ ? std::max(high_, value) : value;
    any_ = true;
  }
  bool any() const { return any_; }
  // Some air around what was included.
  void Widen() {
    low_ /= 1.1;
    high_ *= 1.1;
  }
  // 0 (lowest) … 1.
  double Share(double value) const {
    return std::log(value / low_) / std::log(high_ / low_);
  }
  // 1, 2 and 5 times the powers of ten; of a short range, the numbers of three
  // digits at about every fourth of it.
  std::vector<double> Ticks() const {
    std::vector<double> ticks;
    if (high_ < 5 * low_) {
      const double unit =
          std::pow(10, std::floor(std::log10((high_ - low_) / 4)));
      const double step = unit * std::ceil((high_ - low_) / 4 / unit);
      for (double tick = std::ceil(low_ / step) * step; tick <= high_;
           tick += step) {
        ticks.push_back(tick);
      }
      return ticks;
    }
    for (double power = std::pow(10, std::floor(std::log10(low_)));
         power <= high_; power *= 10) {
      for (double digit : {1, 2, 5}) {
        const double tick = digit * power;
        if (tick >= low_ && tick <= high_) ticks.push_back(tick);
      }
    }
    return ticks;
  }

 private:
  double low_ = 1;
  double high_ = 1;
  bool any_ = false;
};

std::string Open(double width, double height) {
  return absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" "
      "width=\"%g\" height=\"%g\" font-family=\"sans-serif\">\n",
      width, height, width, height);
}

// About five round numbers from 0 to `most`.
std::vector<int64_t> TokenTicks(int64_t most) {
  int64_t step = 1;
  for (int64_t power = 1; step * 5 < most; power *= 10) {
    for (int64_t digit : {1, 2, 5}) {
      step = digit * power;
      if (step * 5 >= most) break;
    }
  }
  std::vector<int64_t> ticks;
  for (int64_t tick = 0; tick <= most; tick += step) ticks.push_back(tick);
  return ticks;
}

std::string ShortCount(int64_t value) {
  const double number = static_cast<double>(value);
  if (value >= 1'000'000) return absl::StrFormat("%.3gM", number / 1e6);
  if (value >= 1'000) return absl::StrFormat("%.3gk", number / 1e3);
  return absl::StrCat(value);
}

}  // namespace

std::string DrawSearch(const SearchStory& story, const ResultTable& results) {
  const bool beside = story.metric == "KL";
  LogScale scale;
  for (const StoryRound& round : story.rounds) {
    for (double loss : round.losses) scale.Include(loss);
    scale.Include(round.incumbent.value_or(0));
  }
  if (!scale.any()) return "";
  for (const ResultRow& row : results.rows) {
    for (const DomainResult& domain : row.domains) {
      if (beside && domain.kl.has_value() && row.name != "reference") {
        scale.Include(domain.kl->mean);
      }
    }
  }
  scale.Widen();
  const int64_t tokens = std::max<int64_t>(1, story.rounds.back().tokens);
  const double plot = kWidth - kLeft - kRight;
  const double floor = kHeight - kBottom;
  const auto x = [&](int64_t at) {
    return kLeft + plot * static_cast<double>(at) / static_cast<double>(tokens);
  };
  const auto y = [&](double loss) {
    return floor - (floor - kTop) * scale.Share(loss);
  };

  std::string svg = Open(kWidth, kHeight);
  for (double tick : scale.Ticks()) {
    absl::StrAppend(&svg,
                    SvgLine(kLeft, y(tick), kLeft + plot, y(tick), kGrid, 1),
                    SvgText(kLeft - 8, y(tick) + 4, "end", "#555555", 11,
                            absl::StrFormat("%g", tick)));
  }
  for (int64_t tick : TokenTicks(tokens)) {
    absl::StrAppend(&svg, SvgLine(x(tick), kTop, x(tick), floor, kGrid, 1),
                    SvgText(x(tick), floor + 18, "middle", "#555555", 11,
                            ShortCount(tick)));
  }
  absl::StrAppend(&svg,
                  SvgText(kLeft + plot / 2, kHeight - 8, "middle", kDark, 12,
                          "tokens asked for"),
                  SvgText(kLeft, kTop - 6, "start", kDark, 12,
                          absl::StrCat(story.metric, ", ", story.unit)));
  // One path of dots for all candidates keeps large searches small.
  std::string dots;
  std::string line;
  std::string changes;
  for (const StoryRound& round : story.rounds) {
    const double at = x(round.tokens);
    for (double loss : round.losses) {
      if (Drawable(loss))
        absl::StrAppendFormat(&dots, "M%.1f %.1fh0", at, y(loss));
    }
    if (!round.incumbent.has_value() || !Drawable(*round.incumbent)) continue;
    const double level = y(*round.incumbent);
    if (line.empty()) {
      absl::StrAppendFormat(&line, "M%.1f %.1f", at, level);
    } else {  // what was best before held until now
      absl::StrAppendFormat(&line, "H%.1fV%.1f", at, level);
    }
    if (round.changed) {
      absl::StrAppendFormat(
          &changes,
          "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"><title>round "
          "%d, %s: %.5g</title></circle>\n",
          at, y(*round.incumbent), kAccepted, round.index,
          EscapeXml(round.purpose), *round.incumbent);
    }
  }
  absl::StrAppendFormat(&svg,
                        "<path d=\"%s\" stroke=\"%s\" stroke-width=\"4\" "
                        "stroke-linecap=\"round\" fill=\"none\"/>\n",
                        dots, kDots);
  if (!line.empty()) {
    absl::StrAppendFormat(
        &svg,
        "<path d=\"%s\" stroke=\"%s\" stroke-width=\"1.5\" fill=\"none\"/>\n",
        line, kBest);
  }
  absl::StrAppend(&svg, changes);
  // Labels that would lie upon each other move apart.
  struct Label {
    double at;
    std::string text;
  };
  std::vector<Label> labels;
  for (const ResultRow& row : results.rows) {
    for (const DomainResult& domain : row.domains) {
      if (!beside || row.name == "reference" || !domain.kl.has_value() ||
          !Drawable(domain.kl->mean)) {
        continue;
      }
      const double at = y(domain.kl->mean);
      absl::StrAppend(&svg,
                      SvgLine(kLeft + plot, at, kLeft + plot + 12, at,
                              row.name == "winner" ? kAccepted : kDark, 2));
      labels.push_back({at, absl::StrCat(row.name, ", ", domain.domain)});
    }
  }
  std::sort(labels.begin(), labels.end(),
            [](const Label& a, const Label& b) { return a.at < b.at; });
  double last = -kRowHeight;
  for (const Label& label : labels) {
    last = std::max(label.at, last + 13);
    absl::StrAppend(&svg, SvgText(kLeft + plot + 16, last + 4, "start", kDark,
                                  11, label.text));
  }
  return svg + "</svg>\n";
}

std::string DrawResults(const ResultTable& results) {
  struct Mark {
    std::string label;
    double mean = 0;
    double error = 0;
    bool winner = false;
  };
  std::vector<Mark> marks;
  LogScale scale;
  for (const ResultRow& row : results.rows) {
    for (const DomainResult& domain : row.domains) {
      if (row.name == "reference" || !domain.kl.has_value() ||
          !Drawable(domain.kl->mean)) {
        continue;
      }
      Mark mark{absl::StrCat(domain.domain, ", ", row.name), domain.kl->mean,
                domain.kl->standard_error.value_or(0), row.name == "winner"};
      scale.Include(mark.mean + mark.error);
      scale.Include(mark.mean - mark.error);
      scale.Include(mark.mean);
      marks.push_back(std::move(mark));
    }
  }
  if (marks.empty()) return "";
  std::stable_sort(marks.begin(), marks.end(),
                   [](const Mark& a, const Mark& b) {
                     return a.label.substr(0, a.label.find(", ")) <
                            b.label.substr(0, b.label.find(", "));
                   });
  scale.Widen();
  const double left = 220;
  const double plot = kWidth - left - 90;
  const double height = kTop + kRowHeight * static_cast<double>(marks.size());
  const auto x = [&](double loss) { return left + plot * scale.Share(loss); };
  std::string svg = Open(kWidth, height + kBottom);
  for (double tick : scale.Ticks()) {
    absl::StrAppend(&svg, SvgLine(x(tick), kTop, x(tick), height, kGrid, 1),
                    SvgText(x(tick), height + 16, "middle", "#555555", 11,
                            absl::StrFormat("%g", tick)));
  }
  absl::StrAppend(&svg,
                  SvgText(left + plot / 2, height + 36, "middle", kDark, 12,
                          "held-out KL ± standard error, nats per "
                          "token"));
  for (size_t i = 0; i < marks.size(); ++i) {
    const Mark& mark = marks[i];
    const double y = kTop + kRowHeight * (static_cast<double>(i) + 0.5);
    const char* color = mark.winner ? kAccepted : kBest;
    absl::StrAppend(&svg,
                    SvgText(left - 12, y + 4, "end", kDark, 12, mark.label));
    if (mark.error > 0 && mark.error < mark.mean) {
      absl::StrAppend(&svg, SvgLine(x(mark.mean - mark.error), y,
                                    x(mark.mean + mark.error), y, color, 2));
    }
    absl::StrAppendFormat(
        &svg, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\" fill=\"%s\"/>\n",
        x(mark.mean), y, color);
    absl::StrAppend(&svg, SvgText(kWidth - 84, y + 4, "start", kDark, 11,
                                  absl::StrFormat("%.4g", mark.mean)));
  }
  return svg + "</svg>\n";
}

}  // namespace evopress::client
