// Level and menu names: the text by which compression choices are known in
// the CLI, the protocol, files and reports.
//
//   level   := "keep" | "drop" | method (":" option)*
//   option  := letter digits ("b3", "g64") | word ("asym", "actorder")
//   menu    := entry ("," entry)*
//   entry   := level, where "bN-M" or "N-M" stands for all widths N…M
//
// Examples: "gptq:b3:g64:asym", "rtn:b4:g32:sym", menu "gptq:2-6:g64" =
// {gptq:b2:g64:asym, …, gptq:b6:g64:asym}.
#ifndef EVOPRESS_SEARCH_LEVEL_NAME_H_
#define EVOPRESS_SEARCH_LEVEL_NAME_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace evopress::search {

// A parsed level. Quantizer options have defaults, so two spellings of one
// level have one canonical name.
struct LevelName {
  std::string method;      // "keep", "drop", "rtn", "gptq"
  int bits = 16;           // 2…8 for quantizers
  int group_size = 0;      // weights that share scale and zero; 0 = whole row
  bool symmetric = false;  // "sym"; default "asym"
  bool act_order = false;  // "actorder": columns by falling Hessian diagonal
  bool scale_search = false;  // "search": clip range chosen by error

  bool operator==(const LevelName&) const = default;
};

// InvalidArgument with the offending word and what is legal.
absl::StatusOr<LevelName> ParseLevel(const std::string& text);

// Canonical text; ParseLevel(Format(x)) == x.
std::string Format(const LevelName& level);

// Expands a menu into levels in rising order of bits ("drop" first, "keep"
// last), without doubles.
absl::StatusOr<std::vector<LevelName>> ParseMenu(const std::string& text);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_LEVEL_NAME_H_
