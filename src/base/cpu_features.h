// What this CPU and its operating system offer.
#pragma once

#include <string>
#include <vector>

namespace sentinel {

struct CpuFeatures {
  bool avx2 = false;    // AVX2 + FMA + F16C
  bool avx512 = false;  // F, BW, DQ, VL
  bool avx512_vnni = false;
  bool avx512_bf16 = false;
  bool amx = false;                        // tile, bf16, int8, and the OS grants the tile state
  std::string model_name;                  // "Intel(R) Xeon(R) Processor"
  std::vector<std::string> names() const;  // {"avx2", "avx512", ...}
};

// CPUID, XGETBV and (for AMX) the permission asked of the kernel. Computed on each call.
CpuFeatures detect_cpu_features();

struct CacheSize {
  std::string level;  // "L1d", "L2", "L3"
  size_t bytes;
};
std::vector<CacheSize> cache_sizes();

}  // namespace sentinel
