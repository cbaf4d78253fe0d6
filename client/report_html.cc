#include "client/report_html.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "client/export_json.h"
#include "client/export_picture.h"
#include "client/job_text.h"
#include "client/loss_chart.h"
#include "client/result_table.h"
#include "client/space_builder.h"
#include "client/standing_text.h"
#include "client/svg.h"
#include "client/text_table.h"

namespace evopress::client {
namespace {

constexpr char kStyle[] = R"css(
body { font: 15px/1.5 sans-serif; color: #222; background: #fff;
       max-width: 1000px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; margin-bottom: 0; color: #102a52; }
h2 { font-size: 1.15em; margin-top: 2em; color: #102a52; }
p.sub { color: #666; margin-top: 0.2em; }
p.warn { background: #fbe9e3; border-left: 4px solid #c8502d;
         padding: 0.6em 1em; }
table { border-collapse: collapse; font-size: 0.92em; }
th, td { padding: 0.25em 0.9em 0.25em 0; text-align: left;
         border-bottom: 1px solid #e4e4e4; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
tr.win td { font-weight: bold; }
svg { max-width: 100%; height: auto; }
pre { background: #f6f6f6; padding: 1em; overflow-x: auto; font-size: 0.85em; }
.scroll { overflow-x: auto; }
)css";

// A table whose columns with ">" are numbers.
class HtmlTable {
 public:
  explicit HtmlTable(const std::vector<std::string>& headers) {
    html_ = "<div class=\"scroll\"><table><tr>";
    for (const std::string& header : headers) {
      numbers_.push_back(header[0] == '>');
      absl::StrAppend(&html_, "<th", Class(numbers_.size() - 1), ">",
                      EscapeXml(header.substr(numbers_.back() ? 1 : 0)),
                      "</th>");
    }
    absl::StrAppend(&html_, "</tr>\n");
  }

  void AddRow(const std::vector<std::string>& cells, bool strong = false) {
    absl::StrAppend(&html_, strong ? "<tr class=\"win\">" : "<tr>");
    for (size_t c = 0; c < cells.size(); ++c) {
      absl::StrAppend(&html_, "<td", Class(c), ">", EscapeXml(cells[c]),
                      "</td>");
    }
    absl::StrAppend(&html_, "</tr>\n");
  }

  std::string Html() const { return html_ + "</table></div>\n"; }

 private:
  std::string Class(size_t column) const {
    return numbers_[column] ? " class=\"n\"" : "";
  }

  std::string html_;
  std::vector<bool> numbers_;
};

std::string Section(const std::string& title, const std::string& body) {
  if (body.empty()) return "";
  return absl::StrCat("<h2>", EscapeXml(title), "</h2>\n", body);
}

std::string WithError(const std::optional<Estimate>& estimate) {
  if (!estimate.has_value()) return "-";
  std::string text = absl::StrFormat("%.5g", estimate->mean);
  if (estimate->standard_error.has_value()) {
    absl::StrAppendFormat(&text, " ± %.2g", *estimate->standard_error);
  }
  return text;
}

std::string WithRange(const std::optional<Interval>& interval) {
  if (!interval.has_value()) return "";
  std::string text = absl::StrFormat("%.3f", interval->value);
  if (interval->low.has_value() && interval->high.has_value()) {
    absl::StrAppendFormat(&text, " [%.3f, %.3f]", *interval->low,
                          *interval->high);
  }
  return text;
}

std::string Results(const ResultTable& table) {
  if (table.rows.empty()) return "";
  std::vector<std::string> headers = {"text", "assignment", ">KL ± s.e.",
                                      ">perplexity"};
  if (!table.baseline.empty()) {
    headers.push_back(absl::StrCat(">KL / ", table.baseline, " [95 %]"));
  }
  HtmlTable html(headers);
  bool any = false;
  for (const ResultRow& row : table.rows) {
    for (const DomainResult& domain : row.domains) {
      std::vector<std::string> cells = {
          domain.domain, row.name, WithError(domain.kl),
          domain.nll.has_value() ? FormatFixed(std::exp(domain.nll->mean), 3)
                                 : "-"};
      if (!table.baseline.empty()) cells.push_back(WithRange(domain.kl_ratio));
      html.AddRow(cells, row.name == "winner");
      any = true;
    }
  }
  if (!any) return "<p>No held-out text was given.</p>\n";
  return absl::StrCat(DrawResults(table), html.Html());
}

// What the search itself knew of its best candidate.
std::string Standing(const v1::Job& job) {
  const v1::Candidate* const best = BestOf(job);
  if (best == nullptr) return "";
  std::string html;
  HtmlTable table({"calibration text", ">weight", ">sequences", ">fitness"});
  const std::vector<DomainValue> values = CalibrationOf(job, *best);
  double total = 0;
  for (const auto& domain : job.spec().calibration().domains()) {
    total += domain.weight();
  }
  for (size_t d = 0; d < values.size(); ++d) {
    std::vector<std::string> cells = {values[d].domain, "1", ""};
    if (total > 0) {
      const auto& domain =
          job.spec().calibration().domains(static_cast<int>(d));
      cells[1] = absl::StrFormat("%.3g", domain.weight() / total);
      cells[2] = FormatCount(domain.sequences());
    }
    cells.push_back(FormatFixed(values[d].value, 5));
    table.AddRow(cells);
  }
  if (!values.empty()) html = table.Html();
  if (const std::string lead = LeadText(*best); !lead.empty()) {
    absl::StrAppend(&html, "<p>Lead: ", EscapeXml(lead), ".</p>\n");
  }
  return html;
}

std::string Costs(const ExportInput& input) {
  HtmlTable html(
      {"cost", ">total", ">per weight", ">budget", ">unspent", ">spent"});
  const search::SearchSpace& space = input.space;
  const int64_t weights = TotalWeights(space);
  for (size_t k = 0; k < space.cost_kinds.size(); ++k) {
    const int kind = static_cast<int>(k);
    const int64_t cost = Cost(space, input.assignment, kind);
    std::vector<std::string> cells = {
        space.cost_kinds[k], FormatCount(cost),
        IsBits(kind) && weights > 0
            ? absl::StrFormat("%.4f", static_cast<double>(cost) /
                                          static_cast<double>(weights))
            : ""};
    bool limited = false;
    for (const search::Budget& budget : space.budgets) {
      if (budget.kind != kind) continue;
      limited = true;
      std::vector<std::string> row = cells;
      row.push_back(FormatCount(budget.limit));
      row.push_back(FormatCount(budget.limit - cost));
      row.push_back(budget.limit > 0
                        ? absl::StrFormat("%.3f %%",
                                          100.0 * static_cast<double>(cost) /
                                              static_cast<double>(budget.limit))
                        : "");
      html.AddRow(row);
    }
    if (!limited) {
      cells.insert(cells.end(), {"", "", ""});
      html.AddRow(cells);
    }
  }
  return html.Html();
}

std::string Rounds(const SearchStory& story) {
  if (story.rounds.empty()) return "";
  HtmlTable html({">round", "purpose", ">candidates", ">samples", ">tokens",
                  ">best " + story.metric, ">incumbent", "incumbent changed"});
  int64_t changes = 0;
  for (const StoryRound& round : story.rounds) {
    double best = std::numeric_limits<double>::infinity();
    for (double loss : round.losses) best = std::min(best, loss);
    changes += round.changed;
    html.AddRow(
        {absl::StrCat(round.index), round.purpose,
         absl::StrCat(round.losses.size()), FormatCount(round.samples),
         FormatCount(round.tokens), FormatFixed(best, 5),
         round.incumbent.has_value() ? FormatFixed(*round.incumbent, 5) : "",
         !story.replayed ? "unknown"
         : round.changed ? "yes"
                         : "no"},
        round.changed);
  }
  return absl::StrCat(
      story.replayed
          ? absl::StrCat("<p>Checked by replay: the strategy, told these "
                         "results, asks for exactly these rounds. The "
                         "incumbent changed in ",
                         changes, " of ", story.rounds.size(), " rounds.</p>\n")
          : "<p>The strategy of this program asks for other rounds than the "
            "journal holds (another version?), so incumbents are unknown.</p>"
            "\n",
      html.Html());
}

absl::StatusOr<std::string> Provenance(const ExportInput& input) {
  auto recipe = MakeRecipe(input);
  if (!recipe.ok()) return recipe.status();
  HtmlTable html({"what", "value"});
  const v1::Job& job = input.job;
  html.AddRow({"job", job.name()});
  html.AddRow({"model", absl::StrCat(job.spec().model().display_name(),
                                     ", SHA-256 ", job.spec().model().hash())});
  html.AddRow({"menu", recipe->value("menu", "")});
  html.AddRow({"seed", absl::StrCat(job.spec().seed())});
  html.AddRow({"numeric class", job.numeric_class()});
  html.AddRow({"history hash", job.history_hash()});
  html.AddRow({"assignment hash", search::Hash(input.assignment)});
  html.AddRow({"created", absl::StrCat(TimeText(job.create_time()), " UTC")});
  html.AddRow({"time", absl::StrFormat("%.1f s building, %.1f s measuring",
                                       Seconds(job.build_time()),
                                       Seconds(job.measure_time()))});
  for (const auto& [key, value] : job.spec().labels()) {
    html.AddRow({key, value});
  }
  const std::string json =
      recipe->dump(1, ' ', false, nlohmann::json::error_handler_t::replace);
  return absl::StrCat(html.Html(),
                      "<details><summary>the whole recipe</summary><pre>",
                      EscapeXml(json), "</pre></details>\n");
}

std::string Summary(const ExportInput& input, const SearchStory& story) {
  const v1::Job& job = input.job;
  std::string html = absl::StrCat(
      "<h1>", EscapeXml(job.spec().display_name()), "</h1>\n<p class=\"sub\">",
      EscapeXml(job.name()), ", ", StateName(job.state()), ", ",
      story.rounds.size(), " rounds, ", FormatCount(job.search_tokens()),
      " tokens asked for, ", FormatCount(job.evaluated_tokens()),
      " measured</p>\n");
  if (const std::string stopped = StopText(job); !stopped.empty()) {
    absl::StrAppend(&html, "<p class=\"warn\">", EscapeXml(stopped), "</p>\n");
  }
  if (input.incumbent) {
    absl::StrAppend(&html,
                    "<p class=\"warn\">The job has not succeeded: this shows "
                    "its incumbent, the best so far, not a winner.</p>\n");
  }
  if (!job.error().empty()) {
    absl::StrAppend(&html, "<p class=\"warn\">", EscapeXml(job.error()),
                    "</p>\n");
  }
  return html;
}

}  // namespace

absl::StatusOr<std::string> WriteReport(const ExportInput& input,
                                        const SearchStory& story) {
  auto table = MakeResultTable(input.job);
  if (!table.ok()) return table.status();
  auto provenance = Provenance(input);
  if (!provenance.ok()) return provenance.status();
  const std::string picture = absl::StrCat(
      "<div class=\"scroll\">",
      DrawAssignment(
          input.space, input.assignment,
          absl::StrCat(input.candidate.name(),
                       ": code bits per weight of every layer, by block")),
      "</div>\n");
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n",
      "<title>", EscapeXml(input.job.spec().display_name()),
      "</title>\n<style>", kStyle, "</style></head><body>\n",
      Summary(input, story), Section("Results", Results(*table)),
      Section("On the calibration texts, as the search last measured it",
              Standing(input.job)),
      Section("Levels", picture), Section("Costs and budgets", Costs(input)),
      Section("The search", DrawSearch(story, *table)),
      Section("Rounds", Rounds(story)), Section("Provenance", *provenance),
      "</body></html>\n");
}

}  // namespace evopress::client
