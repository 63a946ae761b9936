#include "app/machine/machine.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>

#include "base/thread_pool.h"
#include "kernels/probe.h"
#include "kernels/registry.h"

namespace sentinel {
namespace {

double memory_bytes() {
  return static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

bool huge_pages_available() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string modes;
  std::getline(file, modes);
  return modes.find("[always]") != std::string::npos ||
         modes.find("[madvise]") != std::string::npos;
}

}  // namespace

MachineDescription describe_machine() {
  const CpuFeatures features = detect_cpu_features();
  MachineDescription machine;
  machine.cpu_model = features.model_name;
  machine.cores = ThreadPool::available_cores();
  machine.memory_gb = memory_bytes() / 1e9;
  utsname name{};
  if (uname(&name) == 0) {
    machine.system = std::string(name.sysname) + " " + name.release + " " + name.machine;
  }
  machine.caches = cache_sizes();
  machine.cpu_features = features.names();
  machine.isas = available_isas(features);
  machine.huge_pages = huge_pages_available();
  return machine;
}

std::vector<MachineSpeed> measure_machine(const std::vector<int>& threads, const std::string& isa,
                                          int rounds, const std::atomic<bool>* cancel,
                                          const std::function<void(double)>& progress,
                                          double max_footprint_mb) {
  const double limit_mb = std::min(max_footprint_mb, memory_bytes() / 4 / (1 << 20));
  std::vector<std::unique_ptr<MachineProbe>> probes;
  std::vector<MachineSpeed> speeds;
  for (const int t : threads) {
    probes.push_back(std::make_unique<MachineProbe>(t, isa));
    speeds.push_back({t, probes.back()->isa(), 0, 0, 0, {}});
    for (double mb = 1; mb <= limit_mb; mb *= 2) speeds.back().read.push_back({mb, 0});
  }
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < probes.size(); ++i) {
      MachineProbe& probe = *probes[i];
      const auto raise = [&](double& best, WeightType type) {
        best = std::max(best, probe.arithmetic_gops(type));
      };
      raise(speeds[i].fma_gflops, WeightType::f32);
      raise(speeds[i].bf16_gflops, WeightType::bf16);
      raise(speeds[i].int8_gops, WeightType::int8);
      for (BandwidthPoint& point : speeds[i].read) {
        if (cancel && cancel->load()) return speeds;
        const auto bytes = static_cast<size_t>(point.footprint_mb * (1 << 20));
        point.gbps = std::max(point.gbps, probe.read_gbps(bytes));
      }
      probe.release();
      if (progress) {
        progress(static_cast<double>(round * probes.size() + i + 1) /
                 static_cast<double>(rounds * probes.size()));
      }
    }
  }
  return speeds;
}

}  // namespace sentinel
