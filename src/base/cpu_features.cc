#include "base/cpu_features.h"

#include <fstream>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace sentinel {

std::vector<std::string> CpuFeatures::names() const {
  std::vector<std::string> out;
  if (avx2) out.emplace_back("avx2");
  if (avx512) out.emplace_back("avx512");
  if (avx512_vnni) out.emplace_back("avx512_vnni");
  if (avx512_bf16) out.emplace_back("avx512_bf16");
  if (amx) out.emplace_back("amx");
  return out;
}

namespace {

#if defined(__x86_64__)

struct CpuidResult {
  unsigned a = 0, b = 0, c = 0, d = 0;
};

CpuidResult cpuid(unsigned leaf, unsigned subleaf = 0) {
  CpuidResult r;
  if (!__get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d)) return {};
  return r;
}

bool bit(unsigned word, int index) { return (word >> index) & 1; }

unsigned long long enabled_register_state() {
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<unsigned long long>(high) << 32) | low;
}

// Linux hands out the 8 KiB tile state only to processes that ask (Documentation/arch/x86/xstate).
bool request_tile_permission() {
  constexpr int kArchReqXcompPerm = 0x1023, kXfeatureXtiledata = 18;
  return syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureXtiledata) == 0;
}

void detect_x86(CpuFeatures& f) {
  const CpuidResult leaf1 = cpuid(1), leaf7 = cpuid(7), leaf7_1 = cpuid(7, 1);
  if (!bit(leaf1.c, 27)) return;  // no XSAVE in use
  const unsigned long long state = enabled_register_state();
  const bool ymm = (state & 0x6) == 0x6, zmm = (state & 0xe6) == 0xe6;
  const bool tiles = (state & 0x60000) == 0x60000;
  f.avx2 = ymm && bit(leaf7.b, 5) && bit(leaf1.c, 12) && bit(leaf1.c, 29);
  f.avx512 =
      f.avx2 && zmm && bit(leaf7.b, 16) && bit(leaf7.b, 17) && bit(leaf7.b, 30) && bit(leaf7.b, 31);
  f.avx512_vnni = f.avx512 && bit(leaf7.c, 11);
  f.avx512_bf16 = f.avx512 && bit(leaf7_1.a, 5);
  f.amx = f.avx512_vnni && f.avx512_bf16 && tiles && bit(leaf7.d, 22) && bit(leaf7.d, 24) &&
          bit(leaf7.d, 25) && request_tile_permission();
#ifdef SENTINEL_EMULATE  // kernels/x86/emulated
  f.avx512 = f.avx512_vnni = f.avx512_bf16 = f.amx = f.avx2;
#endif
}
#endif

std::string cpu_model_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) == 0) {
      const auto colon = line.find(": ");
      if (colon != std::string::npos) return line.substr(colon + 2);
    }
  }
  return "unknown";
}

}  // namespace

CpuFeatures detect_cpu_features() {
  CpuFeatures features;
#if defined(__x86_64__)
  detect_x86(features);
#endif
  features.model_name = cpu_model_name();
  return features;
}

std::vector<CacheSize> cache_sizes() {
  std::vector<CacheSize> sizes;
  for (int index = 0; index < 8; ++index) {
    const std::string dir =
        "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    std::ifstream level(dir + "level"), type(dir + "type"), size(dir + "size");
    std::string l, t, s;
    if (!(level >> l) || !(type >> t) || !(size >> s)) break;
    if (t == "Instruction") continue;
    const size_t unit = s.back() == 'K' ? 1024 : s.back() == 'M' ? 1024 * 1024 : 1;
    sizes.push_back({"L" + l + (t == "Data" ? "d" : ""), std::stoul(s) * unit});
  }
  return sizes;
}

}  // namespace sentinel
