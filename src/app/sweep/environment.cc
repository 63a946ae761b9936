#include "app/sweep/environment.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "base/build_info.h"
#include "base/cpu_features.h"
#include "base/thread_pool.h"

namespace sentinel {
namespace {

using nlohmann::json;

// Distinct (package, core) pairs; the logical count where /sys does not tell.
int physical_cores(int logical) {
  std::set<std::pair<int, int>> cores;
  for (int cpu = 0; cpu < logical; ++cpu) {
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    int package = 0, core = 0;
    if ((std::ifstream(folder + "physical_package_id") >> package) &&
        (std::ifstream(folder + "core_id") >> core)) {
      cores.insert({package, core});
    }
  }
  return cores.empty() ? logical : static_cast<int>(cores.size());
}

std::string formatted(std::time_t seconds, const char* format) {
  std::tm parts{};
  localtime_r(&seconds, &parts);
  char text[64];
  const size_t n = std::strftime(text, sizeof text, format, &parts);
  return {text, n};
}

std::string operating_system() {
  utsname name{};
  if (uname(&name) != 0) return "unknown";
  return std::string(name.sysname) + " " + name.release + " " + name.machine;
}

}  // namespace

Moment current_moment() {
  const double seconds =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const auto whole = static_cast<std::time_t>(seconds);
  return {seconds, formatted(whole, "%Y-%m-%dT%H:%M:%S%z"), formatted(whole, "%Y%m%d_%H%M%S")};
}

json describe_environment(const Moment& moment) {
  const int logical = static_cast<int>(sysconf(_SC_NPROCESSORS_CONF));
  const CpuFeatures cpu = detect_cpu_features();
  json caches = json::array();
  for (const auto& cache : cache_sizes()) {
    caches.push_back({{"level", cache.level}, {"bytes", cache.bytes}});
  }
  const double memory = static_cast<double>(sysconf(_SC_PHYS_PAGES)) *
                        static_cast<double>(sysconf(_SC_PAGESIZE));
  return {{"timestamp", moment.seconds},
          {"date", moment.iso},
          {"device", "cpu"},
          {"cpu_info",
           {{"count", physical_cores(logical)},
            {"logical_count", logical},
            {"usable_count", ThreadPool::available_cores()}}},
          {"memory_total_gb", memory / 1e9},
          {"cpu_model", cpu.model_name},
          {"caches", caches},
          {"instruction_sets", cpu.names()},
          {"operating_system", operating_system()},
          {"compiler", build_compiler()},
          {"build_type", build_type()},
          {"commit", build_commit()}};
}

}  // namespace sentinel
