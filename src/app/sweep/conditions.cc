#include "app/sweep/conditions.h"

#include <fmt/format.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/clock.h"

namespace sentinel {
namespace {

using nlohmann::json;

std::vector<int> usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

struct BusyTime {
  double busy = -1, stolen = -1;
};

// Lines "cpu3 user nice system idle iowait irq softirq steal ..." in ticks.
BusyTime busy_time(const std::vector<int>& cpus) {
  std::ifstream file("/proc/stat");
  BusyTime sum;
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    double user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0;
    if (!(words >> name >> user >> nice >> system >> idle >> wait >> irq >> soft >> steal))
      continue;
    const bool ours = std::any_of(cpus.begin(), cpus.end(),
                                  [&](int cpu) { return name == fmt::format("cpu{}", cpu); });
    if (!ours) continue;
    sum.busy = std::max(sum.busy, 0.0) + (user + nice + system + irq + soft) / ticks;
    sum.stolen = std::max(sum.stolen, 0.0) + steal / ticks;
  }
  return sum;
}

double load_average() {
  double load = -1;
  return getloadavg(&load, 1) == 1 ? load : -1;
}

// Mean over the cpus that tell; -1 where none does.
double frequency_mhz(const std::vector<int>& cpus) {
  double sum = 0;
  int count = 0;
  for (const int cpu : cpus) {
    std::ifstream file(fmt::format("/sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq", cpu));
    double khz = 0;
    if (!(file >> khz)) continue;
    sum += khz / 1e3;
    ++count;
  }
  if (count > 0) return sum / count;
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("cpu MHz")) continue;
    // Not by atof, which takes the decimal point of the process's locale.
    const char* const end = line.c_str() + line.size();
    const char* const begin =
        line.c_str() + std::min(line.find_first_of("0123456789"), line.size());
    double mhz = 0;
    if (std::from_chars(begin, end, mhz).ec != std::errc()) continue;
    sum += mhz;
    ++count;
  }
  return count > 0 ? sum / count : -1;
}

std::string governor(const std::vector<int>& cpus) {
  std::string name;
  if (cpus.empty()) return name;
  std::ifstream file(
      fmt::format("/sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor", cpus.front()));
  file >> name;
  return name;
}

json known(double value) { return value >= 0 ? json(value) : json(nullptr); }

}  // namespace

Conditions::Conditions()
    : wall_(now_s()),
      own_cpu_(process_cpu_s()),
      load_(load_average()),
      frequency_(frequency_mhz(usable_cpus())) {
  const BusyTime time = busy_time(usable_cpus());
  busy_ = time.busy;
  stolen_ = time.stolen;
}

json Conditions::finish(const char* stage) const {
  const auto cpus = usable_cpus();
  const BusyTime time = busy_time(cpus);
  const double seconds = now_s() - wall_;
  const double whole = seconds * static_cast<double>(cpus.size());
  const double own = process_cpu_s() - own_cpu_;
  json neighbours = nullptr, steal = nullptr;
  if (busy_ >= 0 && time.busy >= 0 && whole > 0) {
    neighbours = std::clamp(100 * (time.busy - busy_ - own) / whole, 0.0, 100.0);
    steal = std::clamp(100 * (time.stolen - stolen_) / whole, 0.0, 100.0);
  }
  const std::string name = governor(cpus);
  return {{"stage", stage},
          {"seconds", seconds},
          {"cpus", cpus},
          {"pinned", static_cast<long>(cpus.size()) < sysconf(_SC_NPROCESSORS_ONLN)},
          {"own_cpu_percent", whole > 0 ? json(100 * own / whole) : json(nullptr)},
          {"neighbours_cpu_percent", neighbours},
          {"steal_percent", steal},
          {"load_average", {{"begin", known(load_)}, {"end", known(load_average())}}},
          {"frequency_mhz", {{"begin", known(frequency_)}, {"end", known(frequency_mhz(cpus))}}},
          {"governor", name.empty() ? json(nullptr) : json(name)}};
}

}  // namespace sentinel
