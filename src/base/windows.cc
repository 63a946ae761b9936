#include "base/windows.h"

#include <algorithm>

namespace sentinel {

std::vector<std::span<const int32_t>> cut_windows(std::span<const int32_t> values, size_t length,
                                                  size_t least) {
  std::vector<std::span<const int32_t>> windows;
  for (size_t begin = 0; begin + least <= values.size(); begin += length) {
    windows.push_back(values.subspan(begin, std::min(length, values.size() - begin)));
  }
  return windows;
}

}  // namespace sentinel
