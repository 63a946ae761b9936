#include "base/cpu_quota.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace sentinel {
namespace {

namespace fs = std::filesystem;

class CpuQuotaTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::remove_all(root_); }
  void TearDown() override { fs::remove_all(root_); }
  void put(const std::string& file, const std::string& text) {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  const fs::path root_ =
      fs::path(::testing::TempDir()) / ("sentinel_cpu_quota_" + std::to_string(getpid()));
};

TEST_F(CpuQuotaTest, TheLeastOfAGroupAndThoseAboveItCounts) {
  EXPECT_EQ(quota_cores(root_, "0::/pod/box\n"), std::nullopt);
  put("pod/cpu.max", "max 100000\n");
  EXPECT_EQ(quota_cores(root_, "0::/pod/box\n"), std::nullopt);
  put("pod/box/cpu.max", "350000 100000\n");
  EXPECT_EQ(quota_cores(root_, "0::/pod/box\n"), 4);
  EXPECT_EQ(quota_cores(root_, "0::/pod\n"), std::nullopt);
  put("pod/cpu.max", "50000 100000\n");
  EXPECT_EQ(quota_cores(root_, "0::/pod/box\n"), 1);
}

TEST_F(CpuQuotaTest, AContainerSeesItsOwnGroupAsTheRoot) {
  put("cpu.max", "200000 100000\n");
  EXPECT_EQ(quota_cores(root_, "0::/system.slice/docker-1234.scope\n"), 2);
}

TEST_F(CpuQuotaTest, TheFirstVersionHasAFolderForEachController) {
  put("cpu/box/cpu.cfs_quota_us", "150000\n");
  put("cpu/box/cpu.cfs_period_us", "50000\n");
  put("cpu/cpu.cfs_quota_us", "-1\n");
  put("cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota_cores(root_, "4:memory:/box\n3:cpuset:/box\n2:cpu,cpuacct:/box\n0::/\n"), 3);
  EXPECT_EQ(quota_cores(root_, "4:memory:/box\n3:cpuset:/box\n"), std::nullopt);
}

TEST_F(CpuQuotaTest, NonsenseIsNoQuota) {
  put("cpu.max", "many of them\n");
  for (const char* groups : {"", ":", "0::", "0:", "\n\n", "0::/\n"}) {
    EXPECT_EQ(quota_cores(root_, groups), std::nullopt) << groups;
  }
}

}  // namespace
}  // namespace sentinel
