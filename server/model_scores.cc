#include "server/model_scores.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "search/digest.h"
#include "server/level_build.h"

namespace evopress::server {
namespace {

bool IsFinite(const v1::ModelProfile::Flow& flow) {
  return std::isfinite(flow.cosine()) && std::isfinite(flow.angle()) &&
         std::isfinite(flow.magnitude());
}

// Rounding may leave a cosine of more than 1.
double ScoreOf(const v1::ModelProfile::Flow& flow, search::ModelScore score) {
  switch (score) {
    case search::ModelScore::kCosine:
      return std::max(0.0, 1 - flow.cosine());
    case search::ModelScore::kMagnitude:
      return std::max(0.0, flow.magnitude());
    default:
      return std::max(0.0, flow.angle());
  }
}

// Where layers and modules of the profile are.
class Index {
 public:
  explicit Index(const v1::ModelProfile& profile) : profile_(profile) {
    for (int b = 0; b < profile.blocks_size(); ++b) {
      const v1::ModelProfile::Block& block = profile.blocks(b);
      for (const std::string& layer : block.layers()) blocks_[layer] = b;
      for (const v1::ModelProfile::Module& module : block.modules()) {
        blocks_[module.name()] = b;
        flows_[module.name()] = &module.flow();
      }
    }
  }

  absl::StatusOr<int> BlockOf(const std::string& name) const {
    const auto found = blocks_.find(name);
    if (found != blocks_.end()) return found->second;
    return absl::FailedPreconditionError(
        absl::StrCat("the model's profile does not know \"", name, "\""));
  }

  absl::StatusOr<double> Outliers(const search::Unit& unit) const {
    double sum = 0;
    for (const std::string& layer : unit.layers) {
      auto block = BlockOf(layer);
      if (!block.ok()) return block.status();
      sum += profile_.blocks(*block).outlier_share();
    }
    return sum / static_cast<double>(unit.layers.size());
  }

  // Of the whole block if all its modules go together.
  absl::StatusOr<double> Module(const search::Unit& unit,
                                search::ModelScore score) const {
    auto block = BlockOf(unit.layers.front());
    if (!block.ok()) return block.status();
    const v1::ModelProfile::Block& whole = profile_.blocks(*block);
    if (IsBlock(unit, whole)) return ScoreOf(whole.windows(0), score);
    double sum = 0;
    for (const std::string& name : unit.layers) {
      const auto flow = flows_.find(name);
      if (flow == flows_.end()) return BlockOf(name).status();
      sum += ScoreOf(*flow->second, score);
    }
    return sum / static_cast<double>(unit.layers.size());
  }

  std::vector<double> Windows(int first) const {
    std::vector<double> angles;
    for (const auto& flow : profile_.blocks(first).windows()) {
      angles.push_back(ScoreOf(flow, search::ModelScore::kWindows));
    }
    return angles;
  }

 private:
  static bool IsBlock(const search::Unit& unit,
                      const v1::ModelProfile::Block& block) {
    return static_cast<int>(unit.layers.size()) == block.modules_size() &&
           std::all_of(block.modules().begin(), block.modules().end(),
                       [&](const v1::ModelProfile::Module& module) {
                         return std::count(unit.layers.begin(),
                                           unit.layers.end(), module.name());
                       });
  }

  const v1::ModelProfile& profile_;
  std::map<std::string, int> blocks_;
  std::map<std::string, const v1::ModelProfile::Flow*> flows_;
};

}  // namespace

std::string ProfileKey(const v1::JobSpec& spec,
                       const std::string& numeric_class) {
  const v1::TokenSetRef* const statistics = StatisticsOf(spec);
  search::CanonicalWriter key("evopress.profile.1");
  key.Text(numeric_class);
  key.Text(spec.model().hash());
  key.Text(statistics == nullptr ? "" : statistics->sha256());
  return key.Sha256();
}

v1::BuildTask PlanProfile(const v1::JobSpec& spec) {
  v1::BuildTask task = BareBuild(spec);
  task.set_step(kProfileStep);
  return task;
}

absl::Status CheckProfile(const v1::ModelProfile& profile) {
  for (int b = 0; b < profile.blocks_size(); ++b) {
    const v1::ModelProfile::Block& block = profile.blocks(b);
    const bool valid =
        std::isfinite(block.outlier_share()) && block.outlier_share() >= 0 &&
        block.windows_size() == profile.blocks_size() - b &&
        std::all_of(block.windows().begin(), block.windows().end(), IsFinite) &&
        std::all_of(block.modules().begin(), block.modules().end(),
                    [](const v1::ModelProfile::Module& module) {
                      return IsFinite(module.flow());
                    });
    if (!valid) {
      return absl::InvalidArgumentError(
          absl::StrCat("profile: block ", b, " of ", profile.blocks_size(),
                       " lacks windows or has numbers that are not finite"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::vector<double>>> UnitScores(
    const search::SearchSpace& space, const v1::ModelProfile& profile,
    search::ModelScore score) {
  const Index index(profile);
  const std::vector<std::vector<size_t>> members =
      search::MembersOfModules(space);
  std::vector<std::vector<double>> scores(space.units.size(), {0.0});
  int after = -1;  // block of the module before
  for (size_t u = 0; u < space.units.size(); ++u) {
    const search::Unit& unit = space.units[u];
    if (score == search::ModelScore::kOutliers) {
      auto share = index.Outliers(unit);
      if (!share.ok()) return share.status();
      scores[u] = {*share};
    } else if (members[u].empty()) {
      continue;  // nothing is said of layers
    } else if (score == search::ModelScore::kWindows) {
      auto block = index.BlockOf(unit.layers.front());
      if (!block.ok()) return block.status();
      if (after >= 0 && *block != after + 1) {
        return absl::FailedPreconditionError(
            absl::StrCat("windows are runs of blocks, and \"", unit.name,
                         "\" does not follow the module before it"));
      }
      after = *block;
      scores[u] = index.Windows(*block);
    } else {
      auto flow = index.Module(unit, score);
      if (!flow.ok()) return flow.status();
      scores[u] = {*flow};
    }
  }
  return scores;
}

}  // namespace evopress::server
