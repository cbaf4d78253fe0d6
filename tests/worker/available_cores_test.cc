#include "worker/available_cores.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace evopress::worker {
namespace {

class Cgroups : public testing::Test {
 protected:
  void SetUp() override {
    std::string name =
        (std::filesystem::temp_directory_path() / "cgroup_XXXXXX").string();
    root_ = ::mkdtemp(name.data());
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + "/" + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  double Cores() const { return CgroupCores(root_ + "/self", root_ + "/fs"); }

  std::string root_;
};

TEST_F(Cgroups, TheTightestQuotaFromTheGroupUpwardsCounts) {
  Write("self", "0::/slurm/job\n");
  Write("fs/slurm/job/cpu.max", "400000 100000\n");
  EXPECT_EQ(Cores(), 4);
  Write("fs/slurm/cpu.max", "250000 100000\n");
  EXPECT_EQ(Cores(), 2.5);
  Write("fs/slurm/cpu.max", "max 100000\n");
  EXPECT_EQ(Cores(), 4);
  Write("fs/cpu.max", "100000 100000\n");
  EXPECT_EQ(Cores(), 1);
}

TEST_F(Cgroups, VersionOneHasAFileForQuotaAndPeriod) {
  Write("self", "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n");
  Write("fs/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "150000\n");
  Write("fs/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Cores(), 1.5);
  Write("fs/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(Cores(), 0);
}

TEST_F(Cgroups, WhatCannotBeReadLimitsNothing) {
  EXPECT_EQ(Cores(), 0);
  Write("self", "nonsense\n0::/gone\n::\n0::relative\n");
  EXPECT_EQ(Cores(), 0);
  Write("self", "0::/a\n");
  Write("fs/a/cpu.max", "many 100000\n");
  EXPECT_EQ(Cores(), 0);
  Write("fs/a/cpu.max", "100000 0\n");
  EXPECT_EQ(Cores(), 0);
  EXPECT_GE(AvailableCores(), 1);
}

}  // namespace
}  // namespace evopress::worker
