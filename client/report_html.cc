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
      html.AddRow(cells, row.name == "winner" || !row.target.empty());
      any = true;
    }
  }
  if (!any) return "<p>No held-out text was given.</p>\n";
  return absl::StrCat(DrawResults(table), html.Html());
}

// What the search itself knew of its best candidate.
std::string Standing(const v1::Job& job, const v1::Candidate& best) {
  std::string html;
  HtmlTable table({"calibration text", ">weight", ">sequences", ">fitness"});
  const std::vector<DomainValue> values = CalibrationOf(job, best);
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
  if (const std::string lead = LeadText(best); !lead.empty()) {
    absl::StrAppend(&html, "<p>Lead: ", EscapeXml(lead), ".</p>\n");
  }
  return html;
}

std::string Standings(const v1::Job& job) {
  std::string html;
  for (const v1::Candidate* best : BestsOf(job)) {
    const std::string one = Standing(job, *best);
    if (one.empty()) continue;
    if (!best->target().empty()) {
      absl::StrAppend(&html, "<h3>", EscapeXml(best->name()), "</h3>\n");
    }
    absl::StrAppend(&html, one);
  }
  return html;
}

// What every budget of several got, and from whom.
std::string Budgets(const std::vector<ExportInput>& inputs,
                    const ResultTable& table) {
  if (inputs.size() < 2) return "";
  HtmlTable html({"budget", ">limit", ">cost", ">per weight", "found by",
                  "text", ">KL ± s.e.", ">KL / uniform [95 %]",
                  "compared with"});
  int anchors = 0;
  for (const ExportInput& input : inputs) {
    const search::Budget& budget = input.space.budgets[0];
    const int64_t cost = Cost(input.space, input.assignment, budget.kind);
    const double weights = static_cast<double>(TotalWeights(input.space));
    std::vector<std::string> cells = {
        input.candidate.target(), FormatCount(budget.limit), FormatCount(cost),
        IsBits(budget.kind) && weights > 0
            ? absl::StrFormat("%.4f", static_cast<double>(cost) / weights)
            : "",
        input.candidate.anchor().empty() ? "search" : input.candidate.anchor()};
    anchors += !input.candidate.anchor().empty();
    const size_t costs = cells.size();
    for (const ResultRow& row : table.rows) {
      if (row.target != input.candidate.target()) continue;
      for (const DomainResult& domain : row.domains) {
        cells.insert(cells.end(), {domain.domain, WithError(domain.kl),
                                   WithRange(domain.kl_ratio), row.baseline});
        html.AddRow(cells, costs == cells.size() - 4 && !cells[0].empty());
        cells.assign(costs, "");
      }
    }
    if (!cells[0].empty()) html.AddRow(cells);
  }
  return absl::StrCat(
      "<p>One search served ", inputs.size(), " budgets. ",
      anchors == 0 ? std::string("In none of them a plain solution won.")
                   : absl::StrCat("In ", anchors,
                                  " of them a plain solution won: the search "
                                  "found nothing that is surely better."),
      "</p>\n", html.Html());
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

absl::StatusOr<std::string> Provenance(const std::vector<ExportInput>& inputs) {
  const ExportInput& input = inputs.front();
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
  for (const std::string& history : job.spec().start_from()) {
    html.AddRow({"started from the history", history});
  }
  for (const ExportInput& each : inputs) {
    html.AddRow({absl::StrCat("assignment hash, ", each.candidate.name()),
                 search::Hash(each.assignment)});
  }
  html.AddRow({"created", absl::StrCat(TimeText(job.create_time()), " UTC")});
  html.AddRow({"time", absl::StrFormat("%.1f s building, %.1f s measuring",
                                       Seconds(job.build_time()),
                                       Seconds(job.measure_time()))});
  for (const auto& [key, value] : job.spec().labels()) {
    html.AddRow({key, value});
  }
  std::string recipes;
  for (const ExportInput& each : inputs) {
    auto one = MakeRecipe(each);
    if (!one.ok()) return one.status();
    absl::StrAppend(
        &recipes, "<details><summary>the whole recipe of the ",
        EscapeXml(each.candidate.name()), "</summary><pre>",
        EscapeXml(
            one->dump(1, ' ', false, nlohmann::json::error_handler_t::replace)),
        "</pre></details>\n");
  }
  return absl::StrCat(html.Html(), recipes);
}

std::string Summary(const ExportInput& input, const SearchStory& story) {
  const v1::Job& job = input.job;
  std::string html = absl::StrCat(
      "<h1>", EscapeXml(job.spec().display_name()), "</h1>\n<p class=\"sub\">",
      EscapeXml(job.name()), ", ", StateName(job.state()), ", ",
      story.rounds.size(), " rounds, ", LedgerText(job), "</p>\n");
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
  return WriteReport(std::vector<ExportInput>{input}, story);
}

absl::StatusOr<std::string> WriteReport(const std::vector<ExportInput>& inputs,
                                        const SearchStory& story) {
  const ExportInput& first = inputs.front();
  auto table = MakeResultTable(first.job);
  if (!table.ok()) return table.status();
  auto provenance = Provenance(inputs);
  if (!provenance.ok()) return provenance.status();
  std::string pictures, costs;
  for (const ExportInput& input : inputs) {
    absl::StrAppend(
        &pictures, "<div class=\"scroll\">",
        DrawAssignment(
            input.space, input.assignment,
            absl::StrCat(input.candidate.name(),
                         ": code bits per weight of every layer, by block")),
        "</div>\n");
    if (inputs.size() > 1) {
      absl::StrAppend(&costs, "<h3>", EscapeXml(input.candidate.name()),
                      "</h3>\n");
    }
    absl::StrAppend(&costs, Costs(input));
  }
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n",
      "<title>", EscapeXml(first.job.spec().display_name()),
      "</title>\n<style>", kStyle, "</style></head><body>\n",
      Summary(first, story), Section("Budgets", Budgets(inputs, *table)),
      Section("Results", Results(*table)),
      Section("On the calibration texts, as the search last measured it",
              Standings(first.job)),
      Section("Levels", pictures), Section("Costs and budgets", costs),
      Section("The search", DrawSearch(story, *table)),
      Section("Rounds", Rounds(story)), Section("Provenance", *provenance),
      "</body></html>\n");
}

}  // namespace evopress::client
