// This machine: what it is, and what it was measured to do.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "base/cpu_features.h"

namespace sentinel {

struct MachineDescription {
  std::string cpu_model;
  int cores = 0;         // that this process may use
  double memory_gb = 0;  // 10^9 bytes of RAM
  std::string system;    // "Linux 6.1.0 x86_64"
  std::vector<CacheSize> caches;
  std::vector<std::string> cpu_features;
  std::vector<std::string> isas;  // kernel sets that can run here, best first
  bool huge_pages = false;        // transparent huge pages can be asked for
};
MachineDescription describe_machine();

struct BandwidthPoint {
  double footprint_mb;  // 2^20 bytes
  double gbps;          // 10^9 bytes per second
};
struct MachineSpeed {
  int threads;
  std::string isa;
  // 10^9 operations per second of all threads, by what is multiplied (narrower weights as int8).
  double fma_gflops, bf16_gflops, int8_gops;
  std::vector<BandwidthPoint> read;
};

// Measures each thread count in `rounds` interleaved rounds and keeps the best: the machine's
// limit, not its average. Footprints double from 1 MB to `max_footprint_mb`, or to a quarter of the
// memory. What was not measured when cancelled stands at 0. Error (usage): bad threads or isa.
std::vector<MachineSpeed> measure_machine(const std::vector<int>& threads, const std::string& isa,
                                          int rounds = 3, const std::atomic<bool>* cancel = nullptr,
                                          const std::function<void(double share)>& progress = {},
                                          double max_footprint_mb = 512);

}  // namespace sentinel
