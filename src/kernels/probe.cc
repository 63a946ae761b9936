#include "kernels/probe.h"

#include <algorithm>
#include <cstring>

#include "base/clock.h"
#include "base/error.h"
#include "kernels/registry.h"

namespace sentinel {
namespace {

// A pass reads at least this much, so that starting the threads does not count.
constexpr size_t kBytesPerPass = size_t{64} << 20;
constexpr double kOpsPerPass = 200e6;  // of one thread: 0.03 to 2 ms

struct alignas(64) Sink {
  volatile double value = 0;  // keeps results alive
};

}  // namespace

const ProbeKernels& select_probe(const CpuFeatures& features, const std::string& isa) {
  const std::string chosen = select_kernels(features, isa).isa;
#if defined(__x86_64__)
  if (chosen == "avx512" || chosen == "amx") return avx512_probe();
  if (chosen == "avx2") return avx2_probe();
#endif
  return scalar_probe();
}

ArithmeticProbe select_arithmetic(const CpuFeatures& features, const std::string& isa,
                                  WeightType type) {
  const std::string chosen = select_kernels(features, isa).isa;
#if defined(__x86_64__)
  const bool wide = chosen == "avx512" || chosen == "amx";
  const bool integers = type != WeightType::f32 && type != WeightType::bf16;
  if (chosen == "amx" && type == WeightType::bf16) return amx_bf16_probe();
  if (chosen == "amx" && integers) return amx_int8_probe();
  if (wide && type == WeightType::bf16 && features.avx512_bf16) return dot_bf16_probe();
  if (wide && integers && features.avx512_vnni) return vnni_int8_probe();
  if (chosen != "scalar" && type == WeightType::int8) return avx2_words_probe();
  if (chosen != "scalar" && integers) return avx2_bytes_probe();
#endif
  const ProbeKernels& plain = select_probe(features, chosen);
  return {plain.multiply_add, plain.flops_per_iteration};
}

MachineProbe::MachineProbe(int threads, const std::string& isa)
    : features_(detect_cpu_features()),
      kernels_(select_probe(features_, isa)),
      isa_(select_kernels(features_, isa).isa),
      pool_(threads) {}

// Every thread writes its own share first: pages that were never written are all one page of
// zeros, which would be read from the cache.
void MachineProbe::fill(size_t share) {
  buffer_.renew(share * static_cast<size_t>(pool_.size()));
  pool_.run([&](int thread) {
    std::memset(buffer_.data() + share * static_cast<size_t>(thread), thread + 1, share);
  });
}

double MachineProbe::read_gbps(size_t footprint, int passes) {
  const auto threads = static_cast<size_t>(pool_.size());
  const size_t unit = threads * kProbeStep;
  const size_t bytes = std::max<size_t>(1, (footprint + unit - 1) / unit) * unit;
  if (buffer_.size() < bytes) fill(bytes / threads);
  return read_gbps(std::span<const std::byte>(buffer_.data(), bytes), passes);
}

double MachineProbe::read_gbps(std::span<const std::byte> memory, int passes) {
  const auto threads = static_cast<size_t>(pool_.size());
  const size_t share = memory.size() / (threads * kProbeStep) * kProbeStep;
  const size_t bytes = share * threads;
  if (bytes == 0) return 0;
  const size_t repeats = std::max<size_t>(1, kBytesPerPass / bytes);
  Sink sinks[1024];
  double best = 0;
  for (int pass = 0; pass <= passes; ++pass) {
    const auto read = pass % 2 ? kernels_.read : kernels_.read_sparsely;
    const double start = now_s();
    pool_.run([&](int thread) {
      uint64_t sum = 0;
      for (size_t i = 0; i < repeats; ++i) {
        sum += read(memory.data() + share * static_cast<size_t>(thread), share);
      }
      sinks[thread].value = static_cast<double>(sum);
    });
    const double seconds = now_s() - start;
    // The first pass warms caches and wakes the threads.
    if (pass > 0) best = std::max(best, static_cast<double>(bytes * repeats) / seconds / 1e9);
  }
  return best;
}

void MachineProbe::release() { buffer_ = AlignedBuffer(); }

double MachineProbe::arithmetic_gops(WeightType type, int passes) {
  const ArithmeticProbe probe = select_arithmetic(features_, isa_, type);
  const auto iterations =
      static_cast<int64_t>(kOpsPerPass / static_cast<double>(probe.ops_per_iteration));
  const double ops =
      static_cast<double>(iterations * probe.ops_per_iteration) * static_cast<double>(pool_.size());
  Sink sinks[1024];
  double best = 0;
  for (int pass = 0; pass <= passes; ++pass) {
    const double start = now_s();
    pool_.run([&](int thread) { sinks[thread].value = probe.run(iterations); });
    const double seconds = now_s() - start;
    if (pass > 0) best = std::max(best, ops / seconds / 1e9);
  }
  return best;
}

}  // namespace sentinel
