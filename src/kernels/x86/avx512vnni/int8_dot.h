// The format of int8 panels [k / 4][16][4] of unsigned w + 128 for dot_tile(): integer sums over a
// block of 256 inputs, which share one input scale. They start at -128 * (sum of the block's
// inputs), which undoes the weights' offset.
#pragma once

#include "kernels/x86/avx512/dot_tile.h"
#include "kernels/x86/avx512/to_inputs.h"
#include "kernels/x86/dot_kernels.h"

namespace sentinel {
namespace {

struct Int8Dot {
  using Sum = __m512i;
  static constexpr int kWordInputs = 4, kTurnWords = 4;
  static constexpr int kBlock = kQuantBlock;
  static constexpr int kPrefetch = kPrefetchIntegers;

  static constexpr int64_t bytes(int64_t k) { return k * kPanel; }
  static __m512i word(const std::byte* w, int u) { return _mm512_loadu_si512(w + 64 * u); }
  static Sum start(const LinearArgs& a, int row, int block) {
    return _mm512_set1_epi32(-128 * a.x.block_sums[row * a.x.scales_stride + block]);
  }
  static Sum zero() { return _mm512_setzero_si512(); }
  static Sum plus(Sum a, Sum b) { return _mm512_add_epi32(a, b); }
  static Sum dot(Sum sum, __m512i weights, __m512i inputs) {
    return _mm512_dpbusd_epi32(sum, weights, inputs);
  }
  static Vec16 finish_block(const LinearArgs& a, int row, int block, Sum sum, Vec16 total) {
    const Vec16 scale = Vec16::set1(a.x.scales[row * a.x.scales_stride + block]);
    return fma({_mm512_cvtepi32_ps(sum)}, scale, total);
  }
  // One rounding, as on tiles (amx/quads.h): the results are the same whatever the row count.
  struct Scales {
    Scales(const float* scales, const float* biases)
        : scale(Vec16::load(scales)), bias(biases ? Vec16::load(biases) : Vec16::zero()) {}
    Vec16 scaled(Vec16 sum) const { return fma(sum, scale, bias); }
    Vec16 scale, bias;
  };
  static void to_inputs(const float* x, const Operand& out, int64_t row, int64_t column, int n) {
    int8_to_inputs(x, out, row, column, n);
  }
};

}  // namespace
}  // namespace sentinel
