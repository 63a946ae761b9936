#include "base/cpu_quota.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

namespace sentinel {
namespace {

namespace fs = std::filesystem;

// "QUOTA PERIOD" in microseconds of a group's folder; "max" and -1 are no quota.
std::optional<double> quota_of(const fs::path& folder, bool v2) {
  double quota = -1, period = 0;
  if (v2) {
    std::ifstream(folder / "cpu.max") >> quota >> period;
  } else {
    std::ifstream(folder / "cpu.cfs_quota_us") >> quota;
    std::ifstream(folder / "cpu.cfs_period_us") >> period;
  }
  if (quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

// Of the group and of all above it. A container may see its own group as the root while its name
// is the host's: what does not exist is passed over.
void lower(std::optional<double>& least, const fs::path& root, std::string_view group, bool v2) {
  fs::path below = fs::path(group).relative_path();
  while (true) {
    if (const auto quota = quota_of(root / below, v2))
      least = std::min(least.value_or(*quota), *quota);
    if (below.empty()) return;
    below = below.parent_path();
  }
}

bool names_cpu(std::string_view controllers) {
  for (size_t begin = 0; begin <= controllers.size();) {
    const size_t end = std::min(controllers.find(',', begin), controllers.size());
    if (controllers.substr(begin, end - begin) == "cpu") return true;
    begin = end + 1;
  }
  return false;
}

}  // namespace

std::optional<int> quota_cores(const fs::path& mount, std::string_view groups) {
  std::optional<double> least;
  while (!groups.empty()) {  // ID:CONTROLLERS:GROUP
    const size_t end = std::min(groups.find('\n'), groups.size());
    const std::string_view line = groups.substr(0, end);
    groups.remove_prefix(std::min(end + 1, groups.size()));
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const std::string_view group = line.substr(second + 1);
    if (controllers.empty()) lower(least, mount, group, true);
    if (names_cpu(controllers)) lower(least, mount / "cpu", group, false);
  }
  if (!least) return std::nullopt;
  return std::max(1, static_cast<int>(std::ceil(std::min(*least, 1e6))));
}

}  // namespace sentinel
