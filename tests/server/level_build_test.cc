#include "server/level_build.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "proto/conversions.h"
#include "tests/server/fake_fleet.h"

namespace evopress::server {
namespace {

// Blocks so heavy that each is a task of its own.
v1::JobSpec HeavySpec() {
  v1::JobSpec spec = SmallSpec();
  for (v1::Unit& unit : *spec.mutable_space()->mutable_units()) {
    unit.set_weights(kWeightsPerBuildTask);
  }
  return spec;
}

KnownBlobs Known(const std::vector<BlobName>& names) {
  KnownBlobs known;
  for (const BlobName& name : names) {
    known[name].set_sha256(
        search::Sha256Hex(absl::StrCat(name.layer, name.level)));
  }
  return known;
}

std::vector<BlobName> BlobsOfTask(const v1::BuildTask& task) {
  std::vector<BlobName> names;
  for (const auto& unit : task.units().units()) {
    for (const auto& level : unit.levels()) {
      for (const auto& layer : unit.layers()) {
        names.push_back({layer, level.name()});
      }
    }
  }
  return names;
}

TEST(LevelBuild, OnlyMissingBlobsAreBuilt) {
  const v1::JobSpec spec = SmallSpec();
  std::vector<BlobName> names = BlobsOf(spec);
  const BlobName missing = names[5];
  names.erase(names.begin() + 5);
  const auto tasks = PlanBuilds(spec, Known(names));
  ASSERT_EQ(tasks.size(), 1u);
  EXPECT_THAT(BlobsOfTask(tasks[0]), testing::ElementsAre(missing));
  EXPECT_TRUE(PlanBuilds(spec, Known(BlobsOf(spec))).empty());
}

// Tasks are recorded whole: whichever are done when a coordinator restarts,
// the rest must be what workers are busy with already.
TEST(LevelBuild, WhatIsLeftAfterARestartAreTheSameTasks) {
  const v1::JobSpec spec = HeavySpec();
  const auto all = PlanBuilds(spec, {});
  ASSERT_EQ(all.size(), size_t{kUnits});
  for (uint32_t done = 0; done < (1u << kUnits); ++done) {
    std::vector<BlobName> known;
    std::vector<std::string> left;
    for (int t = 0; t < kUnits; ++t) {
      if ((done >> t & 1) == 0) {
        left.push_back(proto::DeterministicBytes(all[t]));
        continue;
      }
      for (const BlobName& name : BlobsOfTask(all[t])) known.push_back(name);
    }
    std::vector<std::string> planned;
    for (const auto& task : PlanBuilds(spec, Known(known))) {
      planned.push_back(proto::DeterministicBytes(task));
    }
    EXPECT_EQ(planned, left) << done;
  }
}

// What a head reads is known after the last block only: the task that walks
// all of them anyway makes its levels.
TEST(LevelBuild, WhatLiesInNoBlockIsBuiltLast) {
  v1::JobSpec spec = HeavySpec();
  spec.mutable_space()->mutable_units(0)->set_name("lm_head");
  const auto tasks = PlanBuilds(spec, {});
  ASSERT_EQ(tasks.size(), size_t{kUnits});
  EXPECT_EQ(tasks.back().units().units(0).name(), "lm_head");
}

TEST(LevelBuild, ErrorsOfBlobsAreNumbers) {
  v1::Task task;
  *task.mutable_build() = PlanBuilds(SmallSpec(), {}).front();
  const v1::BuildResult good =
      FakeResult(task, [](const std::string&) {}).build();
  EXPECT_TRUE(CheckBuildResult(task.build(), good).ok());
  for (const double error : {std::nan(""), HUGE_VAL, -0.5}) {
    v1::BuildResult bad = good;
    bad.mutable_units()
        ->mutable_units(0)
        ->mutable_levels(0)
        ->mutable_blobs(0)
        ->set_relative_error(error);
    EXPECT_THAT(std::string(CheckBuildResult(task.build(), bad).message()),
                testing::HasSubstr("without hash, size or error"))
        << error;
  }
}

TEST(LevelBuild, AKeyNamesWhatABlobIsMadeOfAndNothingElse) {
  const v1::JobSpec spec = SmallSpec();
  const BlobName name = BlobsOf(spec)[0];
  const std::string key = BlobKey(spec, "class", name);
  v1::JobSpec same = spec;
  same.set_seed(99);
  same.mutable_space()->mutable_units(0)->mutable_menu()->DeleteSubrange(1, 2);
  same.mutable_data(1)->set_sha256(search::Sha256Hex("another search set"));
  EXPECT_EQ(BlobKey(same, "class", name), key);
  v1::JobSpec other_model = spec, other_statistics = spec;
  other_model.mutable_model()->set_hash(search::Sha256Hex("another model"));
  other_statistics.mutable_data(0)->set_sha256(search::Sha256Hex("others"));
  const std::set<std::string> keys = {
      key,
      BlobKey(other_model, "class", name),
      BlobKey(other_statistics, "class", name),
      BlobKey(spec, "another class", name),
      BlobKey(spec, "class", {name.layer, "rtn:b9:g32:asym"}),
      BlobKey(spec, "class", {"another layer", name.level})};
  EXPECT_EQ(keys.size(), 6u);
}

}  // namespace
}  // namespace evopress::server
