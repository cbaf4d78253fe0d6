#include "client/export_picture.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/space_builder.h"
#include "client/svg.h"

namespace evopress::client {
namespace {

constexpr int kCell = 24;
constexpr int kLeft = 112;
constexpr int kTop = 56;
constexpr int kNoBlock = -1;

struct Cell {
  int block = kNoBlock;
  int row = 0;
  double bits = 0;
  bool dropped = false;
  std::string layer;
  std::string level;
};

struct Grid {
  std::vector<Cell> cells;
  std::vector<std::string> rows;
  std::vector<int> blocks;  // one a column
};

// "model.layers.3.mlp.up_proj" is the row "mlp.up_proj" of block 3.
std::pair<int, std::string> BlockAndKind(const std::string& layer) {
  const std::vector<std::string> parts = absl::StrSplit(layer, '.');
  for (size_t i = 0; i < parts.size(); ++i) {
    int block = 0;
    if (absl::SimpleAtoi(parts[i], &block) && block >= 0) {
      return {block, absl::StrJoin(parts.begin() + i + 1, parts.end(), ".")};
    }
  }
  return {kNoBlock, layer};
}

size_t Rank(const std::string& row) {
  constexpr std::array<const char*, 7> kOrder = {
      "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
      "self_attn.o_proj", "mlp.gate_proj",    "mlp.up_proj",
      "mlp.down_proj"};
  return std::find(kOrder.begin(), kOrder.end(), row) - kOrder.begin();
}

Grid MakeGrid(const search::SearchSpace& space,
              const search::Assignment& assignment) {
  Grid grid;
  std::map<std::string, int> row_of;
  const auto members = search::MembersOfModules(space);
  for (size_t u = 0; u < space.units.size(); ++u) {
    if (!members[u].empty()) continue;
    const search::Unit& unit = space.units[u];
    const search::LevelChoice& choice = unit.menu[assignment.levels[u]];
    for (const std::string& layer : unit.layers) {
      Cell cell;
      std::string name;
      std::tie(cell.block, name) = BlockAndKind(layer);
      const auto [it, inserted] = row_of.try_emplace(name, grid.rows.size());
      if (inserted) grid.rows.push_back(name);
      cell.row = it->second;
      if (choice.costs.size() > kCodeBits && unit.weights > 0) {
        cell.bits = static_cast<double>(choice.costs[kCodeBits]) / unit.weights;
      }
      cell.layer = layer;
      cell.level = choice.name;
      cell.dropped = !IsActive(space, assignment, u);
      grid.blocks.push_back(cell.block);
      grid.cells.push_back(std::move(cell));
    }
  }
  // The layers that every transformer has come in the order they are run.
  std::vector<int> order(grid.rows.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return Rank(grid.rows[a]) < Rank(grid.rows[b]);
  });
  std::vector<int> place(order.size());
  std::vector<std::string> rows;
  for (size_t i = 0; i < order.size(); ++i) {
    place[order[i]] = static_cast<int>(i);
    rows.push_back(grid.rows[order[i]]);
  }
  grid.rows = std::move(rows);
  for (Cell& cell : grid.cells) cell.row = place[cell.row];
  std::sort(grid.blocks.begin(), grid.blocks.end());
  grid.blocks.erase(std::unique(grid.blocks.begin(), grid.blocks.end()),
                    grid.blocks.end());
  return grid;
}

void DrawDropped(const Cell& cell, double x, double y, std::string& svg) {
  absl::StrAppendFormat(
      &svg,
      "<g><title>%s: dropped</title><rect x=\"%g\" y=\"%g\" width=\"%d\" "
      "height=\"%d\" rx=\"3\" fill=\"white\" stroke=\"#bbbbbb\" "
      "stroke-dasharray=\"2 2\"/>\n",
      EscapeXml(cell.layer), x + 1.5, y + 1.5, kCell - 3, kCell - 3);
  absl::StrAppend(
      &svg,
      SvgText(x + kCell / 2.0, y + kCell * 0.66, "middle", "#999999", 10, "×"),
      "</g>\n");
}

}  // namespace

std::string DrawAssignment(const search::SearchSpace& space,
                           const search::Assignment& assignment,
                           const std::string& title) {
  const Grid grid = MakeGrid(space, assignment);
  double most = 0;
  double least = std::numeric_limits<double>::infinity();
  for (const Cell& cell : grid.cells) {
    if (cell.dropped) continue;
    most = std::max(most, cell.bits);
    least = std::min(least, cell.bits);
  }
  const int width =
      kLeft + kCell * std::max<int>(grid.blocks.size(), 16) + kCell;
  const int height = kTop + kCell * (grid.rows.size() + 1);
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
      "viewBox=\"0 0 %d %d\" font-family=\"sans-serif\">\n"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
      width, height, width, height);
  absl::StrAppend(&svg, SvgText(kCell / 2, 22, "start", "#102a52", 14, title));
  for (size_t c = 0; c < grid.blocks.size(); ++c) {
    const std::string label =
        grid.blocks[c] == kNoBlock ? "other" : absl::StrCat(grid.blocks[c]);
    absl::StrAppend(&svg, SvgText(kLeft + kCell * (c + 0.5), kTop - 8, "middle",
                                  "#555555", 10, label));
  }
  for (size_t r = 0; r < grid.rows.size(); ++r) {
    const auto name = absl::StripPrefix(
        absl::StripPrefix(absl::StripPrefix(grid.rows[r], "self_attn."),
                          "mlp."),
        "model.");
    absl::StrAppend(&svg, SvgText(kLeft - 8, kTop + kCell * (r + 0.66), "end",
                                  "#333333", 11, std::string(name)));
  }
  for (const Cell& cell : grid.cells) {
    const size_t column =
        std::lower_bound(grid.blocks.begin(), grid.blocks.end(), cell.block) -
        grid.blocks.begin();
    if (cell.dropped) {
      DrawDropped(cell, kLeft + kCell * column, kTop + kCell * cell.row, svg);
      continue;
    }
    const double share =
        most > least ? (cell.bits - least) / (most - least) : 0.5;
    const double x = kLeft + kCell * column;
    const double y = kTop + kCell * cell.row;
    absl::StrAppendFormat(
        &svg,
        "<g><title>%s: %s, %.4g bits</title><rect x=\"%g\" y=\"%g\" "
        "width=\"%d\" height=\"%d\" rx=\"3\" fill=\"%s\"/>\n",
        EscapeXml(cell.layer), EscapeXml(cell.level), cell.bits, x + 1, y + 1,
        kCell - 2, kCell - 2, HeatColor(share));
    absl::StrAppend(&svg,
                    SvgText(x + kCell / 2.0, y + kCell * 0.66, "middle",
                            share > 0.45 ? "white" : "#102a52", 10,
                            absl::StrFormat("%.3g", cell.bits)),
                    "</g>\n");
  }
  absl::StrAppend(&svg, "</svg>\n");
  return svg;
}

absl::Status ExportPicture(const ExportInput& input, OutputDir& out) {
  const std::string title = absl::StrCat(
      std::filesystem::path(input.job.spec().model().display_name())
          .filename()
          .string(),
      ", ", input.candidate.name(),
      ": code bits per weight of every layer, block by block");
  return out.Write(kPictureFile,
                   DrawAssignment(input.space, input.assignment, title));
}

}  // namespace evopress::client
