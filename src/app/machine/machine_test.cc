#include "app/machine/machine.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace sentinel {
namespace {

TEST(Machine, IsDescribed) {
  const MachineDescription machine = describe_machine();
  EXPECT_GE(machine.cores, 1);
  EXPECT_GT(machine.memory_gb, 0.1);
  EXPECT_FALSE(machine.system.empty());
  ASSERT_FALSE(machine.isas.empty());
  EXPECT_EQ(machine.isas.back(), "scalar");
}

TEST(Machine, EveryIsaIsMeasuredAtEveryFootprint) {
  for (const std::string& isa : describe_machine().isas) {
    const auto speeds = measure_machine({1, 2}, isa, 1, nullptr, {}, 4);
    ASSERT_EQ(speeds.size(), 2U);
    for (const MachineSpeed& speed : speeds) {
      EXPECT_EQ(speed.isa, isa == "amx" ? "avx512" : isa);  // tiles load at its width
      EXPECT_GT(speed.fma_gflops, 0);
      ASSERT_EQ(speed.read.size(), 3U);
      for (const BandwidthPoint& point : speed.read) EXPECT_GT(point.gbps, 0);
    }
  }
}

TEST(Machine, NonsenseIsRefusedAndACancelFlagStops) {
  EXPECT_THROW(measure_machine({0}, ""), Error);
  EXPECT_THROW(measure_machine({1}, "sse9"), Error);
  const std::atomic<bool> cancel{true};
  EXPECT_EQ(measure_machine({1}, "", 1, &cancel).front().read.front().gbps, 0);
}

}  // namespace
}  // namespace sentinel
