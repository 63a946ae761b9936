// n outputs of one row, from `column` on, as inputs of the next product, which takes 32 at a time:
// n is a multiple of 16, and zeros fill the last 32.
#pragma once

#include "kernels/x86/avx512/vec16.h"
//
#include "kernels/generic/operand.h"

namespace sentinel {
namespace {

inline void bf16_to_inputs(const float* x, const Operand& out, int64_t row, int64_t column, int n) {
  std::byte* to = out.data + row * out.stride + 2 * column;
  for (int i = 0; i < n; i += 16) store_bf16(Vec16::load(x + i), to + 2 * i);
  if (n % 32 != 0) _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 2 * n), __m256i{});
}

// A whole block of kQuantBlock, or the last: as quantize_block().
inline void int8_to_inputs(const float* x, const Operand& out, int64_t row, int64_t column, int n) {
  Vec16 high = abs(Vec16::load(x));
  for (int i = 16; i < n; i += 16) high = max(high, abs(Vec16::load(x + i)));
  const BlockScale block(high.highest());
  const Vec16 inverse = Vec16::set1(block.inverse);
  std::byte* to = out.data + row * out.stride + column;
  __m512i sum = _mm512_setzero_si512();
  for (int i = 0; i < n; i += 16) {
    const __m512i q = _mm512_cvtps_epi32((Vec16::load(x + i) * inverse).v);
    sum = _mm512_add_epi32(sum, q);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), _mm512_cvtsepi32_epi8(q));
  }
  if (n % 32 != 0) _mm_storeu_si128(reinterpret_cast<__m128i*>(to + n), __m128i{});
  const int64_t entry = row * out.scales_stride + column / kQuantBlock;
  out.scales[entry] = block.scale;
  out.block_sums[entry] = _mm512_reduce_add_epi32(sum);
}

}  // namespace
}  // namespace sentinel
