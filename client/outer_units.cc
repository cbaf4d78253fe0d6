#include "client/outer_units.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "quant/compressor.h"

namespace evopress::client {
namespace {

bool Has(const std::vector<quant::TensorInfo>& tensors,
         const std::string& layer) {
  return std::any_of(
      tensors.begin(), tensors.end(), [&](const quant::TensorInfo& tensor) {
        return tensor.name == layer + ".weight" && tensor.shape.size() == 2;
      });
}

}  // namespace

absl::StatusOr<OuterRule> ParseOuterRule(const std::string& text) {
  OuterRule rule;
  for (const absl::string_view word :
       absl::StrSplit(text, ',', absl::SkipEmpty())) {
    if (word == "embed") {
      rule.embedding = true;
    } else if (word == "head") {
      rule.head = true;
    } else {
      return absl::InvalidArgumentError(absl::StrCat(
          "--units \"", word.substr(0, 64), "\" is not embed or head"));
    }
  }
  return rule;
}

bool IsTied(const std::vector<quant::TensorInfo>& tensors) {
  return !Has(tensors, kHeadLayer);
}

absl::StatusOr<std::vector<std::string>> OuterLayers(
    const OuterRule& rule, const std::vector<quant::TensorInfo>& tensors) {
  std::vector<std::string> layers;
  const bool tied = IsTied(tensors);
  if (rule.embedding || (rule.head && tied)) layers.push_back(kEmbeddingLayer);
  if (rule.head && !tied) layers.push_back(kHeadLayer);
  for (const std::string& layer : layers) {
    if (Has(tensors, layer)) continue;
    return absl::NotFoundError(
        absl::StrCat("--units: the model has no ", layer));
  }
  return layers;
}

absl::StatusOr<std::vector<search::LevelName>> OuterMenu(
    const std::string& layer, bool tied,
    const std::vector<search::LevelName>& menu) {
  if (layer != kEmbeddingLayer || tied) return menu;
  std::vector<search::LevelName> own;
  for (search::LevelName level : menu) {
    if (level.method == "gptq") {
      level.method = "rtn";
      level.act_order = false;
    } else if (level.method != "keep" && level.method != "drop") {
      auto compressor = quant::FindCompressor(level.method);
      if (!compressor.ok()) return compressor.status();
      if ((*compressor)->needs_gram()) {
        return absl::InvalidArgumentError(absl::StrCat(
            "level ", search::Format(level),
            " needs statistics of the layer's inputs, and an embedding has "
            "none; leave embed out of --units, or use rtn, gptq or magnitude"));
      }
    }
    if (std::find(own.begin(), own.end(), level) == own.end()) {
      own.push_back(level);
    }
  }
  return own;
}

}  // namespace evopress::client
