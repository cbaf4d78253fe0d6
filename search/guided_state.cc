#include "search/guided_state.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

#include "search/digest.h"

namespace evopress::search {
namespace {

using nlohmann::json;

json Levels(const std::vector<Assignment>& assignments) {
  json levels = json::array();
  for (const Assignment& each : assignments) levels.push_back(each.levels);
  return levels;
}

}  // namespace

json GuidedState::Save() const {
  return {{"phase", static_cast<int>(phase)},
          {"race", race},
          {"rung", rung},
          {"misses", misses},
          {"reach", Bits(reach)},
          {"descent", descent},
          {"stand", stand.levels},
          {"pivot", pivot.levels},
          {"anchors", Levels(anchors)},
          {"anchor_names", anchor_names},
          {"contestants", Levels(contestants)},
          {"raced", Levels(raced)},
          {"measured", measured.Save()}};
}

absl::Status GuidedState::Load(const SearchSpace& space,
                               const GuidedOptions& options,
                               const json& saved) {
  const int saved_phase = saved.at("phase").get<int>();
  race = saved.at("race").get<int>();
  rung = saved.at("rung").get<size_t>();
  misses = saved.at("misses").get<int>();
  reach = FromBits(saved.at("reach").get<uint64_t>());
  descent = saved.at("descent").get<int>();
  bool sound = saved_phase >= 0 &&
               saved_phase <= static_cast<int>(GuidedPhase::kDecision) &&
               race >= 0 && race <= options.races &&
               rung < options.samples.size() && reach >= 0 && reach <= 1 &&
               descent >= 0 && descent <= kDescentSteps;
  phase = static_cast<GuidedPhase>(saved_phase);
  const auto load = [&](const json& levels, Assignment& assignment) {
    assignment.levels = levels.get<std::vector<uint16_t>>();
    sound = sound && Validate(space, assignment).ok();
  };
  if (phase != GuidedPhase::kAnchors) {
    load(saved.at("stand"), stand);
    load(saved.at("pivot"), pivot);
  }
  for (const auto& [name, list] :
       {std::pair{"anchors", &anchors}, std::pair{"contestants", &contestants},
        std::pair{"raced", &raced}}) {
    list->clear();
    for (const json& levels : saved.at(name))
      load(levels, list->emplace_back());
  }
  anchor_names = saved.at("anchor_names").get<std::vector<std::string>>();
  sound = sound && anchor_names.size() == anchors.size();
  if (!sound || anchors.empty()) {
    return absl::DataLossError("snapshot holds an impossible guided state");
  }
  return measured.Load(space, saved.at("measured"));
}

}  // namespace evopress::search
