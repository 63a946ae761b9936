// How much of the processor a container may use: cgroups limit time, not the cores that are seen.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

namespace sentinel {

// Cores that the quota of this process's group, or of one above it, is worth, rounded up; empty
// without a quota. `mount`: where cgroups are mounted (v2, or v1's folder "cpu" in it); `groups`:
// what /proc/self/cgroup says.
std::optional<int> quota_cores(const std::filesystem::path& mount, std::string_view groups);

}  // namespace sentinel
