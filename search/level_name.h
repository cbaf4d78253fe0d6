// Level and menu names: the text by which compression choices are known in
// the CLI, the protocol, files and reports.
//
//   level   := "keep" | "drop" | quantizer (":" option)*
//            | pruner ":" sparsity (":" option)*
//   option  := letter digits ("b3", "g64") | word ("asym", "actorder")
//   menu    := entry ("," entry)*
//   entry   := level, where "bN-M" (of a quantizer also "N-M") stands for all
//              widths N…M, and of a pruner
//              "30-70/10" for 30, 40, 50, 60 and 70 percent,
//              ":stepsNxZ" after the sparsity for it and up to N steps of Z
//              zeros more and fewer, as far as the layer goes
//
// Pruners leave the kept weights in 16 bits, or quantize them too if a width is
// given. sparsity.h says how sparsities are written; "2:4" is "2of4".
//
// Examples: "gptq:b3:g64:asym", "rtn:b4:g32:sym", menu "gptq:2-6:g64" =
// {gptq:b2:g64:asym, …, gptq:b6:g64:asym}, "sparsegpt:50",
// "wanda:2of4:b4:g64:asym", menu "sparsegpt:50:steps1x16384" for a layer of
// 331,776 weights = {sparsegpt:z182272, sparsegpt:50, sparsegpt:z149504}.
#ifndef EVOPRESS_SEARCH_LEVEL_NAME_H_
#define EVOPRESS_SEARCH_LEVEL_NAME_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "search/sparsity.h"

namespace evopress::search {

// A parsed level. Quantizer options have defaults, so two spellings of one
// level have one canonical name.
struct LevelName {
  std::string method;      // "keep", "drop", "rtn", "gptq", "sparsegpt", …
  int bits = 16;           // 2…8 where weights are quantized
  int group_size = 0;      // weights that share scale and zero; 0 = whole row
  bool symmetric = false;  // "sym"; default "asym"
  bool act_order = false;  // "actorder": columns by falling Hessian diagonal
  bool scale_search = false;  // "search": clip range chosen by error
  Sparsity sparsity;          // of pruners

  bool operator==(const LevelName&) const = default;
};

// InvalidArgument with the offending word and what is legal.
absl::StatusOr<LevelName> ParseLevel(const std::string& text);

// Canonical text; ParseLevel(Format(x)) == x.
std::string Format(const LevelName& level);

// Expands the menu of a layer of `weights` weights into levels in rising order
// of bits ("drop" first, "keep" last), without doubles. InvalidArgument also
// for a number of zeros that the layer does not have.
absl::StatusOr<std::vector<LevelName>> ParseMenu(const std::string& text,
                                                 int64_t weights);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_LEVEL_NAME_H_
