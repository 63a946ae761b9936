// Long sequences in parts that something can take at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sentinel {

// One after the other, `length` (from 1) each; the rest is a window too where it has at least
// `least` (from 1). They point into `values`.
std::vector<std::span<const int32_t>> cut_windows(std::span<const int32_t> values, size_t length,
                                                  size_t least);

}  // namespace sentinel
