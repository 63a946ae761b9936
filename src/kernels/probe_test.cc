#include "kernels/probe.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "kernels/registry.h"

namespace sentinel {
namespace {

TEST(Probe, EveryIsaReadsEveryByte) {
  AlignedBuffer buffer(8 * kProbeStep);
  for (const std::string& isa : available_isas(detect_cpu_features())) {
    const ProbeKernels& kernels = select_probe(detect_cpu_features(), isa);
    std::memset(buffer.data(), 0, buffer.size());
    EXPECT_EQ(kernels.read(buffer.data(), buffer.size()), 0U) << isa;
    EXPECT_EQ(kernels.read_sparsely(buffer.data(), buffer.size()), 0U) << isa;
    for (size_t at = 0; at < buffer.size(); at += 8) {
      std::memset(buffer.data(), 0, buffer.size());
      const uint64_t word = at + 1;
      std::memcpy(buffer.data() + at, &word, 8);
      ASSERT_EQ(kernels.read(buffer.data(), buffer.size()), word) << isa;
      ASSERT_EQ(kernels.read_sparsely(buffer.data(), buffer.size()), word) << isa;
    }
  }
}

TEST(Probe, EveryIsaDoesTheArithmetic) {
  for (const std::string& isa : available_isas(detect_cpu_features())) {
    const ProbeKernels& kernels = select_probe(detect_cpu_features(), isa);
    // Every lane tends to x = 0.999 x + 0.001, that is to 1.
    const auto lanes = static_cast<double>(kernels.flops_per_iteration) / 2;
    EXPECT_NEAR(kernels.multiply_add(50'000) / lanes, 1, 1e-2) << isa;
    EXPECT_TRUE(std::isfinite(kernels.multiply_add(0)));
  }
}

TEST(Probe, FootprintsOfAnySizeWork) {
  MachineProbe probe(3, "");
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{100'000}}) {
    EXPECT_GT(probe.read_gbps(bytes, 1), 0);
  }
  const size_t held = probe.held_bytes();
  EXPECT_GE(held, 100'000U);
  EXPECT_GT(probe.read_gbps(1000, 1), 0);
  EXPECT_EQ(probe.held_bytes(), held);
  probe.release();
  EXPECT_EQ(probe.held_bytes(), 0U);
  const std::vector<std::byte> memory(100'000);
  EXPECT_GT(probe.read_gbps(memory, 1), 0);
  EXPECT_EQ(probe.read_gbps(std::span(memory).first(3 * kProbeStep - 1), 1), 0);
  EXPECT_EQ(probe.held_bytes(), 0U);
  for (const WeightType type : {WeightType::f32, WeightType::bf16, WeightType::int8}) {
    EXPECT_GT(probe.arithmetic_gops(type, 1), 0);
  }
}

}  // namespace
}  // namespace sentinel
