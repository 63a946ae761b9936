// y = x W + b for int4 panels (layout: ref/linear_low.h): 64 bytes give two rows of 64 nibbles
// w + 8, each one VPDPBUSD. A group of 32 inputs shares a weight scale; its accumulator starts at
// -8 * (sum of its inputs), which undoes the offset. Many rows run over panels expanded to int8.
#include "kernels/x86/avx512/vec16.h"
//
#include "kernels/x86/avx512/expand_int4.h"
#include "kernels/x86/avx512vnni/int8_dot.h"
#include "kernels/x86/dot_kernels.h"

namespace sentinel {
namespace {

inline __m512i quad_at(const std::byte* p) {
  int word;
  __builtin_memcpy(&word, p, 4);
  return _mm512_set1_epi32(word);
}

// One group of 32 inputs of R rows.
template <int R>
inline void add_group(const LinearArgs& a, int row, int k, const std::byte* w,
                      const std::byte* scales, __m512 (&total)[R]) {
  const std::byte* x = a.x.data + row * a.x.stride + k;
  const __m512i nibble = _mm512_set1_epi8(0x0f);
  __m512i acc[R];
  for (int r = 0; r < R; ++r) {
    acc[r] = _mm512_set1_epi32(-8 * a.x.sums[(row + r) * a.x.sums_stride + k / kSumBlock]);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m512i both = _mm512_loadu_si512(w + 64 * j);
    const __m512i low = _mm512_and_si512(both, nibble);
    const __m512i high = _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const std::byte* in = x + r * a.x.stride + 8 * j;
      acc[r] = _mm512_dpbusd_epi32(acc[r], low, quad_at(in));
      acc[r] = _mm512_dpbusd_epi32(acc[r], high, quad_at(in + 4));
    }
  }
  const __m512 scale =
      _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(scales)));
  for (int r = 0; r < R; ++r) {
    const float input = a.x.scales[(row + r) * a.x.scales_stride + k / kQuantBlock];
    total[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[r]),
                               _mm512_mul_ps(scale, _mm512_set1_ps(input)), total[r]);
  }
}

template <int R>
[[gnu::noinline]] void panel_rows(const LinearArgs& a, int row, int64_t panel) {
  const std::byte* base = a.weights + panel * a.panel_stride;
  __m512 total[R];
  for (__m512& v : total) v = _mm512_setzero_ps();
  for (int s = 0; s < a.n_segments; ++s) {
    const std::byte* w = base + a.segments[s].weight_offset;
    const int offset = a.segments[s].x_offset;
    for (int k = 0; k < a.segments[s].k; k += kInt4Step, w += kStepBytes) {
      for (int line = 0; line < kStepBytes; line += 64) {
        _mm_prefetch(w + line + kPrefetchIntegers, _MM_HINT_T0);
      }
      add_group<R>(a, row, offset + k, w, w + 512, total);
      if (k + 32 < a.segments[s].k) {
        add_group<R>(a, row, offset + k + 32, w + 256, w + 544, total);
      }
    }
  }
  const int64_t column = panel * kPanel;
  for (int r = 0; r < R; ++r) {
    quick_finish(a, {total[r]}, a.bias ? a.bias + column : nullptr,
                 a.y + (row + r) * a.y_stride + column, a.n_out - column);
  }
}

// All rows over an expanded piece of P panels. The activation needs the whole sum.
template <int P>
void run_piece(const LinearArgs& a, const Int4Piece& piece, const int64_t* indices, bool first,
               bool last) {
  LinearArgs part = a;
  part.segments = piece.segments;
  part.n_segments = piece.n;
  if (!first) {
    part.epilogue = Epilogue::add;
  } else if (!last && a.epilogue != Epilogue::add) {
    part.epilogue = Epilogue::store;
  }
  DotPanels<P> panels{};
  for (int p = 0; p < P; ++p) {
    panels.weights[p] = piece.weights[p];
    panels.scales[p] = piece.scales[p];
    panels.column[p] = indices[p] * kPanel;
    panels.bias[p] = first && a.bias ? a.bias + panels.column[p] : nullptr;
  }
  dot_rows<Int8Dot>(part, 0, a.rows, panels);
  if (!last || part.epilogue == a.epilogue) return;
  for (int row = 0; row < a.rows; ++row) {
    for (int p = 0; p < P; ++p) {
      const int64_t left = a.n_out - panels.column[p];
      const int n = left < kPanel ? static_cast<int>(left) : kPanel;
      float* y = a.y + row * a.y_stride + panels.column[p];
      quick_activate(a.epilogue, Vec16::load_n(y, n)).store_n(y, n);
    }
  }
}

}  // namespace

void linear_int4_vnni(const LinearArgs& a, int64_t begin, int64_t end) {
  if (a.rows > kDirectInt4Rows) {
    for_each_pair(a, begin, end, [&]<int P>(const int64_t* panels) {
      for_each_piece<P>(a, panels, [&](const Int4Piece& piece, bool first, bool last) {
        run_piece<P>(a, piece, panels, first, last);
      });
    });
    return;
  }
  for (int64_t i = begin; i < end; ++i) {
    const int64_t panel = panel_index(a, i);
    int row = 0;
    for (; row + 8 <= a.rows; row += 8) panel_rows<8>(a, row, panel);
    for (; row + 4 <= a.rows; row += 4) panel_rows<4>(a, row, panel);
    for (; row < a.rows; ++row) panel_rows<1>(a, row, panel);
  }
}

}  // namespace sentinel
