// y = x W + b for int8 panels [k / 4][16][4] of unsigned w + 128: one VPDPBUSD multiplies 64
// weights. Integer sums run over a block of 256 inputs, which share one input scale; the
// accumulator starts at -128 * (sum of the block's inputs), which undoes the weights' offset.
#include "kernels/x86/avx512/vec16.h"
//
#include "kernels/generic/operand.h"
#include "kernels/x86/avx512/quick.h"
#include "kernels/x86/dot_kernels.h"

namespace sentinel {
namespace {

inline __m512i quad_at(const std::byte* p) {
  int word;
  __builtin_memcpy(&word, p, 4);
  return _mm512_set1_epi32(word);
}

template <int R, int U>
struct BlockSums {
  __m512i acc[R][U];
  __m512 total[R];
  int block = -1;

  void start(const LinearArgs& a, int row, int next) {
    block = next;
    for (int r = 0; r < R; ++r) {
      const int32_t sum = a.x.block_sums[(row + r) * a.x.scales_stride + next];
      acc[r][0] = _mm512_set1_epi32(-128 * sum);
      for (int u = 1; u < U; ++u) acc[r][u] = _mm512_setzero_si512();
    }
  }
  void flush(const LinearArgs& a, int row) {
    if (block < 0) return;
    for (int r = 0; r < R; ++r) {
      for (int u = 1; u < U; ++u) acc[r][0] = _mm512_add_epi32(acc[r][0], acc[r][u]);
      const float scale = a.x.scales[(row + r) * a.x.scales_stride + block];
      total[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[r][0]), _mm512_set1_ps(scale), total[r]);
    }
  }
};

template <int R, int U>
[[gnu::noinline]] void panel_rows(const LinearArgs& a, int row, int64_t panel) {
  const std::byte* base = a.weights + panel * a.panel_stride;
  const std::byte* x = a.x.data + row * a.x.stride;
  BlockSums<R, U> sums;
  for (__m512& v : sums.total) v = _mm512_setzero_ps();
  for (int s = 0; s < a.n_segments; ++s) {
    const std::byte* w = base + a.segments[s].weight_offset;
    int k = a.segments[s].x_offset;
    const int end = k + a.segments[s].k;
    while (k < end) {
      const int block = k / kQuantBlock;
      if (block != sums.block) {
        sums.flush(a, row);
        sums.start(a, row, block);
      }
      const int block_end = (block + 1) * kQuantBlock;
      const int stop = end < block_end ? end : block_end;
      for (; k < stop; k += 4 * U, w += 64 * U) {
#pragma GCC unroll 4
        for (int u = 0; u < U; ++u) {
          _mm_prefetch(w + 64 * u + kPrefetchIntegers, _MM_HINT_T0);
          const __m512i weight = _mm512_loadu_si512(w + 64 * u);
#pragma GCC unroll 8
          for (int r = 0; r < R; ++r) {
            sums.acc[r][u] = _mm512_dpbusd_epi32(sums.acc[r][u], weight,
                                                 quad_at(x + r * a.x.stride + k + 4 * u));
          }
        }
      }
    }
  }
  sums.flush(a, row);
  const int64_t column = panel * kPanel;
  const Vec16 scale = Vec16::load(a.weight_scales + column);
  const Vec16 bias = a.bias ? Vec16::load(a.bias + column) : Vec16::zero();
  for (int r = 0; r < R; ++r) {
    // One rounding, as on tiles (amx/quads.h): the results are the same whatever the row count.
    quick_finish(a, fma({sums.total[r]}, scale, bias), nullptr,
                 a.y + (row + r) * a.y_stride + column, a.n_out - column);
  }
}

}  // namespace

void prepare_int8_quads(const PrepareArgs& a) { prepare_int8<false>(a); }

void linear_int8_vnni(const LinearArgs& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const int64_t panel = panel_index(a, i);
    int row = 0;
    for (; row + 8 <= a.rows; row += 8) panel_rows<8, 1>(a, row, panel);
    for (; row + 4 <= a.rows; row += 4) panel_rows<4, 2>(a, row, panel);
    for (; row + 2 <= a.rows; row += 2) panel_rows<2, 4>(a, row, panel);
    for (; row < a.rows; ++row) panel_rows<1, 4>(a, row, panel);
  }
}

}  // namespace sentinel
