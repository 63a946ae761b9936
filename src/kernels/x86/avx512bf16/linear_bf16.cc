// y = x W + b for bf16 panels [k / 2][16][2]: one VDPBF16PS multiplies 32 weights.
#include "kernels/x86/avx512/vec16.h"
//
#include "kernels/generic/operand.h"
#include "kernels/x86/avx512/quick.h"
#include "kernels/x86/dot_kernels.h"

namespace sentinel {
namespace {

// The pair of inputs at p, in every lane.
inline __m512bh pair_at(const std::byte* p) {
  int word;
  __builtin_memcpy(&word, p, 4);
  return (__m512bh)_mm512_set1_epi32(word);
}

// R rows, one panel, U accumulators a row so that latency does not set the pace of one row.
template <int R, int U>
[[gnu::noinline]] void panel_rows(const LinearArgs& a, int row, int64_t panel) {
  const std::byte* base = a.weights + panel * a.panel_stride;
  const std::byte* x = a.x.data + row * a.x.stride;
  __m512 acc[R][U];
  for (auto& lane : acc) {
    for (__m512& v : lane) v = _mm512_setzero_ps();
  }
  for (int s = 0; s < a.n_segments; ++s) {
    const std::byte* w = base + a.segments[s].weight_offset;
    const std::byte* in = x + 2 * a.segments[s].x_offset;
    for (int k = 0; k < a.segments[s].k; k += 2 * U, w += 64 * U, in += 4 * U) {
#pragma GCC unroll 8
      for (int u = 0; u < U; ++u) {
        _mm_prefetch(w + 64 * u + kPrefetchBf16, _MM_HINT_T0);
        const auto weight = (__m512bh)_mm512_loadu_si512(w + 64 * u);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
          acc[r][u] = _mm512_dpbf16_ps(acc[r][u], weight, pair_at(in + r * a.x.stride + 4 * u));
        }
      }
    }
  }
  const int64_t column = panel * kPanel;
  for (int r = 0; r < R; ++r) {
    for (int u = 1; u < U; ++u) acc[r][0] = _mm512_add_ps(acc[r][0], acc[r][u]);
    quick_finish(a, {acc[r][0]}, a.bias ? a.bias + column : nullptr,
                 a.y + (row + r) * a.y_stride + column, a.n_out - column);
  }
}

}  // namespace

void prepare_bf16_pairs(const PrepareArgs& a) { prepare_bf16<false>(a); }

void linear_bf16_dot(const LinearArgs& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const int64_t panel = panel_index(a, i);
    int row = 0;
    for (; row + 8 <= a.rows; row += 8) panel_rows<8, 1>(a, row, panel);
    for (; row + 4 <= a.rows; row += 4) panel_rows<4, 2>(a, row, panel);
    for (; row + 2 <= a.rows; row += 2) panel_rows<2, 4>(a, row, panel);
    for (; row < a.rows; ++row) panel_rows<1, 8>(a, row, panel);
  }
}

// Every row has the eight accumulators of a single row.
void window_bf16_dot(const LinearArgs& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const int64_t panel = panel_index(a, i);
    int row = 0;
    for (; row + 3 <= a.rows; row += 3) panel_rows<3, 8>(a, row, panel);
    for (; row + 2 <= a.rows; row += 2) panel_rows<2, 8>(a, row, panel);
    for (; row < a.rows; ++row) panel_rows<1, 8>(a, row, panel);
  }
}

}  // namespace sentinel
