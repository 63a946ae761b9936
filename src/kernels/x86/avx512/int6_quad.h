// Weights of int6 panels (layout: ref/linear_low.h) as bytes.
#pragma once

#include <immintrin.h>

#include "kernels/types.h"

namespace sentinel {
namespace {

// w + 32 of 16 outputs and the four inputs of quad 0 to 7 of the group of 32 inputs at `group`.
// `quad` is known once the loop around the call is unrolled.
inline __m512i int6_quad(const std::byte* group, int quad) {
  const __m512i two_quads = _mm512_loadu_si512(group + quad / 2 * 64);
  const __m512i four_quads = _mm512_loadu_si512(group + 256 + quad / 4 * 64);
  const __m512i lower = quad % 2 ? _mm512_srli_epi16(two_quads, 4) : two_quads;
  const __m512i upper = quad % 4 == 3   ? _mm512_srli_epi16(four_quads, 2)
                        : quad % 4 == 2 ? four_quads
                        : quad % 4 == 1 ? _mm512_slli_epi16(four_quads, 2)
                                        : _mm512_slli_epi16(four_quads, 4);
  constexpr int kAandBorC = 0xea;
  return _mm512_ternarylogic_epi32(lower, _mm512_set1_epi8(0x0f),
                                   _mm512_and_si512(upper, _mm512_set1_epi8(0x30)), kAandBorC);
}

}  // namespace
}  // namespace sentinel
