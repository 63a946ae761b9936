#include "app/sweep/environment.h"

#include <unistd.h>

#include <fmt/format.h>
#include <chrono>
#include <cmath>
#include <ctime>
#include <fstream>
#include <set>
#include <string>

#include "app/machine/machine.h"
#include "base/build_info.h"

namespace sentinel {
namespace {

using nlohmann::json;

// Distinct (package, core) pairs; the logical count where /sys does not tell.
int physical_cores(int logical) {
  std::set<std::pair<int, int>> cores;
  for (int cpu = 0; cpu < logical; ++cpu) {
    const std::string folder = fmt::format("/sys/devices/system/cpu/cpu{}/topology/", cpu);
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

}  // namespace

Moment current_moment() {
  const double seconds =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const auto whole = static_cast<std::time_t>(seconds);
  // A colon in the zone's offset, without which some readers of ISO 8601 refuse it.
  std::string iso = formatted(whole, "%Y-%m-%dT%H:%M:%S%z");
  iso.insert(iso.size() - 2, 1, ':');
  return {seconds, iso, formatted(whole, "%Y%m%d_%H%M%S")};
}

json describe_environment(const Moment& moment) {
  const int logical = static_cast<int>(sysconf(_SC_NPROCESSORS_CONF));
  const MachineDescription machine = describe_machine();
  json caches = json::array();
  for (const auto& cache : machine.caches) {
    caches.push_back({{"level", cache.level}, {"bytes", cache.bytes}});
  }
  return {{"timestamp", moment.seconds},
          {"date", moment.iso},
          {"device", "cpu"},
          {"cpu_info",
           {{"count", physical_cores(logical)},
            {"logical_count", logical},
            {"usable_count", machine.cores}}},
          {"memory_total_gb", machine.memory_gb},
          {"cpu_model", machine.cpu_model},
          {"caches", caches},
          {"instruction_sets", machine.cpu_features},
          {"kernel_sets", machine.isas},
          {"huge_pages", machine.huge_pages},
          {"operating_system", machine.system},
          {"compiler", build_compiler()},
          {"build_type", build_type()},
          {"commit", build_commit()}};
}

json to_json(const MachineSpeed& speed) {
  json points = json::array();
  for (const auto& point : speed.read) {
    points.push_back({{"footprint_bytes", std::llround(point.footprint_mb * (1 << 20))},
                      {"bytes_per_second", point.gbps * 1e9}});
  }
  return {{"threads", speed.threads},       {"isa", speed.isa},
          {"fma_gflops", speed.fma_gflops}, {"bf16_gflops", speed.bf16_gflops},
          {"int8_gops", speed.int8_gops},   {"read", points}};
}

MachineSpeed read_machine_speed(const json& object) {
  MachineSpeed speed{};
  object.at("threads").get_to(speed.threads);
  object.at("isa").get_to(speed.isa);
  object.at("fma_gflops").get_to(speed.fma_gflops);
  object.at("bf16_gflops").get_to(speed.bf16_gflops);
  object.at("int8_gops").get_to(speed.int8_gops);
  for (const json& point : object.at("read")) {
    speed.read.push_back({point.at("footprint_bytes").get<double>() / (1 << 20),
                          point.at("bytes_per_second").get<double>() / 1e9});
  }
  return speed;
}

double bandwidth_for(const MachineSpeed& speed, int64_t bytes) {
  for (const auto& point : speed.read) {
    if (point.footprint_mb * (1 << 20) >= static_cast<double>(bytes)) return point.gbps * 1e9;
  }
  return speed.read.empty() ? 0 : speed.read.back().gbps * 1e9;
}

}  // namespace sentinel
