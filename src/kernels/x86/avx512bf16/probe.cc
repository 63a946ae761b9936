// VDPBF16PS at full speed: 32 products of bf16 an instruction.
#include <immintrin.h>

#include "kernels/probe_kernels.h"

namespace sentinel {
namespace {

constexpr int kAccumulators = 24;

float dot_products(int64_t iterations) {
  const auto weights = (__m512bh)_mm512_setzero_si512();
  __m512i inputs = _mm512_setzero_si512();
  __m512 sum[kAccumulators];
  for (auto& s : sum) s = _mm512_setzero_ps();
  for (int64_t n = 0; n < iterations; ++n) {
#pragma GCC unroll 24
    for (int i = 0; i < kAccumulators; ++i) {
      sum[i] = _mm512_dpbf16_ps(sum[i], weights, (__m512bh)inputs);
    }
    keep_unknown(inputs);
  }
  for (int i = 1; i < kAccumulators; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  return _mm512_reduce_add_ps(sum[0]);
}

}  // namespace

ArithmeticProbe dot_bf16_probe() { return {dot_products, kAccumulators * 32 * 2}; }

}  // namespace sentinel
