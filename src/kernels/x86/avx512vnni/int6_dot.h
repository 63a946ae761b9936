// The format of int6 panels for dot_tile(): int8's, with words that are put together on the way.
#pragma once

#include "kernels/x86/avx512/int6_quad.h"
#include "kernels/x86/avx512vnni/int8_dot.h"

namespace sentinel {
namespace {

struct Int6Dot : Int8Dot {
  static constexpr int kTurnWords = 8;
  static constexpr int64_t bytes(int64_t k) { return k / kInt6Group * kInt6GroupBytes; }

  static __m512i word(const std::byte* w, int u) {
    return int6_quad(w + u / 8 * kInt6GroupBytes, u % 8);
  }
  static Sum start(const LinearArgs& a, int row, int block) {
    return _mm512_set1_epi32(-32 * a.x.block_sums[row * a.x.scales_stride + block]);
  }
};

}  // namespace
}  // namespace sentinel
