#include <cstring>

#include "kernels/probe_kernels.h"

namespace sentinel {
namespace {

constexpr int kWords = 8;
constexpr int kLanes = 32;  // independent sums: enough to hide an addition's latency

uint64_t read(const std::byte* data, size_t bytes) {
  uint64_t sum[kWords] = {};
  for (size_t offset = 0; offset < bytes; offset += sizeof sum) {
    uint64_t words[kWords];
    std::memcpy(words, data + offset, sizeof words);
    for (int i = 0; i < kWords; ++i) sum[i] += words[i];
  }
  uint64_t total = 0;
  for (const uint64_t s : sum) total += s;
  return total;
}

float multiply_add(int64_t iterations) {
  float sum[kLanes];
  for (int i = 0; i < kLanes; ++i) sum[i] = static_cast<float>(i);
  for (int64_t n = 0; n < iterations; ++n) {
    for (float& s : sum) s = s * 0.999F + 0.001F;
  }
  float total = 0;
  for (const float s : sum) total += s;
  return total;
}

constexpr ProbeKernels kProbe{"scalar", read, read, multiply_add, 2 * kLanes};

}  // namespace

const ProbeKernels& scalar_probe() { return kProbe; }

}  // namespace sentinel
