// For readers that take a path: a file or folder of this process, and what stands in two of them.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

#include "sentinel/error.h"

namespace sentinel {

inline std::filesystem::path scratch_path(const std::string& name) {
  return std::filesystem::temp_directory_path() /
         ("sentinel_fuzz_" + name + std::to_string(getpid()));
}

// Without the fsync of write_file_atomic(), which would take most of the time.
inline void write_scratch(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// What stands before and behind the first NUL byte.
inline std::pair<std::string_view, std::string_view> split_at_nul(std::string_view input) {
  const size_t nul = std::min(input.find('\0'), input.size());
  return {input.substr(0, nul), input.substr(std::min(nul + 1, input.size()))};
}

// False if the input was refused, as it may be; anything but an Error is a finding.
template <typename Action>
bool accepted(const Action& action) {
  try {
    action();
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace sentinel
