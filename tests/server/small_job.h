// A small job and what a fake model says to it: numbers from hashes.
#ifndef EVOPRESS_TESTS_SERVER_SMALL_JOB_H_
#define EVOPRESS_TESTS_SERVER_SMALL_JOB_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "evopress/v1/jobs.pb.h"
#include "evopress/v1/tasks.pb.h"
#include "proto/conversions.h"
#include "search/sha256.h"
#include "search/space.h"
#include "server/model_scores.h"

namespace evopress::server {

inline constexpr int kUnits = 6;
inline constexpr int kSequences = 16;
inline constexpr int kHeldOut = 3;

// The bytes of the artifacts that SmallSpec() refers to.
inline std::vector<std::string> SpecArtifacts() {
  return {"the model", "statistics tokens", "search tokens", "held-out tokens"};
}

inline v1::JobSpec SmallSpec(uint64_t seed = 1, int generations = 4) {
  v1::JobSpec spec;
  spec.set_display_name("small");
  const std::vector<std::string> bytes = SpecArtifacts();
  spec.mutable_model()->set_entry("model.gguf");
  v1::ModelRef::File& file = *spec.mutable_model()->add_files();
  file.set_name("model.gguf");
  file.set_size_bytes(static_cast<int64_t>(bytes[0].size()));
  file.set_sha256(search::Sha256Hex(bytes[0]));
  // The canonical text of quant/model_hash.h.
  spec.mutable_model()->set_hash(search::Sha256Hex(
      absl::StrCat("evopress model 1\n", file.sha256(), " ", file.size_bytes(),
                   " ", file.name(), "\n")));
  for (const char* kind : {"code_bits", "stored_bits"}) {
    spec.mutable_space()->add_cost_kinds()->set_name(kind);
  }
  for (int u = 0; u < kUnits; ++u) {
    v1::Unit& unit = *spec.mutable_space()->add_units();
    // Blocks 0, 7, 14 …: several build tasks.
    unit.set_name(absl::StrCat("model.layers.", u * 7, ".mlp.down_proj"));
    unit.add_layers(unit.name());
    unit.set_weights(100);
    for (int bits = 2; bits <= 5; ++bits) {
      v1::LevelChoice& level = *unit.add_menu();
      level.set_name(absl::StrCat("rtn:b", bits, ":g32:asym"));
      level.add_costs(bits * 100);
      level.add_costs(bits * 100 + 25);
    }
  }
  spec.mutable_space()->add_budgets()->set_limit(kUnits * 300);
  const v1::TokenSetRef::Role roles[] = {v1::TokenSetRef::STATISTICS,
                                         v1::TokenSetRef::SEARCH,
                                         v1::TokenSetRef::HELD_OUT};
  for (int i = 0; i < 3; ++i) {
    v1::TokenSetRef& set = *spec.add_data();
    set.set_role(roles[i]);
    set.set_sha256(search::Sha256Hex(bytes[i + 1]));
    set.set_sequences(i == 2 ? kHeldOut : kSequences);
    set.set_length(1024);
    set.set_domain(i == 2 ? "wiki" : "c4");
  }
  v1::EvoPressOptions& options = *spec.mutable_strategy()->mutable_evopress();
  options.set_generations(generations);
  options.set_offspring(8);
  const int stages[][2] = {{4, 1}, {2, 2}, {1, 4}};
  for (const auto& stage : stages) {
    v1::EvoPressOptions::Stage& out = *options.add_stages();
    out.set_survivors(stage[0]);
    out.set_samples(stage[1]);
  }
  options.set_max_switches(2);
  options.set_initial_candidates(4);
  options.set_initial_samples(2);
  options.set_fitness(v1::KL);
  spec.set_seed(seed);
  v1::NamedAssignment& uniform = *spec.add_report();
  uniform.set_name("uniform");
  uniform.mutable_assignment()->set_levels(
      proto::PackLevels({std::vector<uint16_t>(kUnits, 1)}));
  return spec;
}

// SmallSpec() with levels that prune and a budget of what stays.
inline v1::JobSpec SparseSpec(uint64_t seed = 1) {
  v1::JobSpec spec = SmallSpec(seed);
  spec.mutable_space()->mutable_cost_kinds(0)->set_name("nonzeros");
  for (auto& unit : *spec.mutable_space()->mutable_units()) {
    for (int l = 0; l < unit.menu_size(); ++l) {
      v1::LevelChoice& level = *unit.mutable_menu(l);
      const int kept = 20 * (l + 1);  // of 100 weights
      level.set_name(absl::StrCat("wanda:z", 100 - kept));
      level.set_costs(0, kept);
      level.set_costs(1, 100 + 16 * kept);
    }
  }
  spec.mutable_space()->mutable_budgets(0)->set_limit(kUnits * 50);
  return spec;
}

// Attention and MLP of three blocks, of which three may stay; no other levels.
inline v1::JobSpec DropSpec(uint64_t seed = 1) {
  v1::JobSpec spec = SmallSpec(seed);
  v1::SearchSpace& space = *spec.mutable_space();
  space.clear_cost_kinds();
  space.add_cost_kinds()->set_name("modules");
  space.clear_units();
  for (const bool module : {false, true}) {
    for (int b = 0; b < kUnits / 2; ++b) {
      for (const char* const kind : {"self_attn", "mlp"}) {
        const std::string name = absl::StrCat("model.layers.", b, ".", kind);
        v1::Unit& unit = *space.add_units();
        unit.set_name(module ? name
                             : absl::StrCat(name, kind[0] == 'm' ? ".down_proj"
                                                                 : ".o_proj"));
        unit.add_layers(unit.name());
        if (!module) {
          unit.set_weights(100);
          unit.set_module(name);
        }
        for (int kept = module ? 0 : 1; kept < 2; ++kept) {
          v1::LevelChoice& level = *unit.add_menu();
          level.set_name(kept ? search::kKeep : search::kDrop);
          level.add_costs(module ? kept : 0);
        }
      }
    }
  }
  space.mutable_budgets(0)->set_limit(kUnits / 2);
  std::vector<uint16_t> whole(kUnits, 0);
  whole.resize(2 * kUnits, 1);
  spec.mutable_report(0)->mutable_assignment()->set_levels(
      proto::PackLevels({whole}));
  return spec;
}

// What the fake model says: a number from the blobs' hashes.
inline v1::SampleSums FakeSums(const std::string& what) {
  const std::string digest = search::Sha256Hex(what);
  v1::SampleSums sums;
  sums.set_kl(std::stoul(digest.substr(0, 8), nullptr, 16) / 1e9);
  sums.set_topk_kl(sums.kl() / 3);
  sums.set_nll(2 + sums.kl());
  sums.set_positions(1023);
  return sums;
}

// A profile of blocks 0 to 35, each of an attention and an MLP: numbers from
// the modules' names.
inline v1::ModelProfile FakeProfile() {
  v1::ModelProfile profile;
  const int blocks = kUnits * 7 - 6;
  for (int b = 0; b < blocks; ++b) {
    const std::string name = absl::StrCat("model.layers.", b);
    v1::ModelProfile::Block& block = *profile.add_blocks();
    block.set_outlier_share(FakeSums(name).kl() / 50);
    for (const char* const kind : {".self_attn", ".mlp"}) {
      v1::ModelProfile::Module& module = *block.add_modules();
      module.set_name(name + kind);
      module.mutable_flow()->set_cosine(1 - FakeSums(module.name()).kl() / 5);
      module.mutable_flow()->set_magnitude(FakeSums(module.name()).topk_kl());
      block.add_layers(absl::StrCat(module.name(),
                                    kind[1] == 'm' ? ".down_proj" : ".o_proj"));
    }
    for (int n = 0; n < blocks - b; ++n) {
      block.add_windows()->set_angle(FakeSums(absl::StrCat(name, n)).kl() / 5);
    }
  }
  return profile;
}

// What a fake worker answers to a task. `upload` stores an artifact.
inline v1::TaskResult FakeResult(
    const v1::Task& task,
    const std::function<void(const std::string& bytes)>& upload) {
  v1::TaskResult result;
  if (task.has_build() && task.build().step() == kProfileStep) {
    *result.mutable_build()->mutable_profile() = FakeProfile();
    return result;
  }
  if (task.has_build()) {
    *result.mutable_build()->mutable_units() = task.build().units();
    for (auto& unit :
         *result.mutable_build()->mutable_units()->mutable_units()) {
      for (auto& level : *unit.mutable_levels()) {
        for (const std::string& layer : unit.layers()) {
          const std::string bytes = absl::StrCat(layer, "@", level.name());
          upload(bytes);
          v1::LevelTable::Blob& blob = *level.add_blobs();
          blob.set_sha256(search::Sha256Hex(bytes));
          blob.set_size_bytes(static_cast<int64_t>(bytes.size()));
          blob.set_relative_error(0.1);
        }
      }
    }
    return result;
  }
  const v1::EvaluateTask& work = task.evaluate();
  for (const std::string& levels : work.assignments()) {
    for (const int32_t sequence : work.sequences()) {
      *result.mutable_evaluate()->add_sums() = FakeSums(
          absl::StrCat(levels, "/", work.data().sha256(), "/", sequence));
    }
  }
  return result;
}

}  // namespace evopress::server

#endif  // EVOPRESS_TESTS_SERVER_SMALL_JOB_H_
