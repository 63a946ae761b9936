// bfloat16: the upper half of a float.
#pragma once

#include <bit>
#include <cstdint>

namespace sentinel {

// Rounds to nearest, ties to even. Finite input.
inline uint16_t to_bf16(float x) {
  const auto word = std::bit_cast<uint32_t>(x);
  return static_cast<uint16_t>((word + 0x7fffU + ((word >> 16) & 1U)) >> 16);
}

inline float from_bf16(uint16_t half) { return std::bit_cast<float>(uint32_t{half} << 16); }

}  // namespace sentinel
