// y = x W + b for int4 panels (layout: ref/linear_low.h): 64 bytes give two rows of 64 nibbles
// w + 8, each one VPDPBUSD. A group of 32 inputs shares a weight scale; its integer sum starts at
// -8 * (sum of its inputs), which undoes the offset. Many rows run over panels expanded to int8.
#include "kernels/x86/avx512/vec16.h"
//
#include "kernels/x86/avx512/dot_runs.h"
#include "kernels/x86/avx512/expand.h"
#include "kernels/x86/avx512vnni/int8_dot.h"
#include "kernels/x86/dot_kernels.h"

namespace sentinel {
namespace {

inline __m512i quad_at(const std::byte* p) {
  int word;
  __builtin_memcpy(&word, p, 4);
  return _mm512_set1_epi32(word);
}

// The 32 inputs of a group as eight times four, for 16 outputs.
struct Group {
  explicit Group(const std::byte* w, const std::byte* scales)
      : scale(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(scales)))) {
    const __m512i nibble = _mm512_set1_epi8(0x0f);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m512i both = _mm512_loadu_si512(w + 64 * j);
      quads[2 * j] = _mm512_and_si512(both, nibble);
      quads[2 * j + 1] = _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble);
    }
  }
  __m512i quads[8];
  __m512 scale;
};

// Sums of R rows: `part` of a block of inputs, which has one input scale, `total` of those before.
template <int R>
struct RowSums {
  __m512 part[R], total[R];
  int block = -1;

  void start(int next) {
    block = next;
    for (__m512& v : part) v = _mm512_setzero_ps();
  }
  void finish(const LinearArgs& a, int row) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const float scale = a.x.scales[(row + r) * a.x.scales_stride + block];
      total[r] = _mm512_fmadd_ps(part[r], _mm512_set1_ps(scale), total[r]);
    }
  }
};

// A row after the other over the group's quads: registers hold these and the sums of 16 rows.
template <int R>
inline void add_group(const LinearArgs& a, int row, int k, const Group& group, __m512 (&part)[R]) {
  const std::byte* x = a.x.data + row * a.x.stride + k;
  const int32_t* starts = a.x.starts + row * a.x.starts_stride + k / kSumBlock;
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r, x += a.x.stride, starts += a.x.starts_stride) {
    __m512i acc = _mm512_set1_epi32(*starts);
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) acc = _mm512_dpbusd_epi32(acc, group.quads[j], quad_at(x + 4 * j));
    part[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc), group.scale, part[r]);
  }
}

// As add_group() for half a step of kInt4Step inputs, whose input k of an operand is the first;
// asks for the weights that are read `ahead` bytes on.
template <int R>
inline void add_half(const LinearArgs& a, int row, int k, const std::byte* step, int half,
                     int64_t ahead, __m512 (&part)[R]) {
  for (int line = 0; line < 256; line += 64) {
    _mm_prefetch(step + 256 * half + line + ahead, _MM_HINT_T0);
  }
  if (half) _mm_prefetch(step + 512 + ahead, _MM_HINT_T0);
  add_group<R>(a, row, k, Group(step + 256 * half, step + 512 + 32 * half), part);
}

template <int R>
[[gnu::noinline]] void panel_rows(const LinearArgs& a, int row, int64_t panel) {
  const std::byte* base = a.weights + panel * a.panel_stride;
  RowSums<R> sums;
  for (__m512& v : sums.total) v = _mm512_setzero_ps();
  for (int s = 0; s < a.n_segments; ++s) {
    const std::byte* step = base + a.segments[s].weight_offset;
    int k = a.segments[s].x_offset;
    const int end = k + a.segments[s].k;
    const int64_t ahead =
        bytes_ahead(a, s, a.segments[s].k * kInt4StepBytes / kInt4Step, kPrefetchIntegers);
    int half = 0;
    while (k < end) {
      const int next = k / kQuantBlock;
      if (next != sums.block) {
        if (sums.block >= 0) sums.finish(a, row);
        sums.start(next);
      }
      const int block_end = (next + 1) * kQuantBlock;
      const int stop = end < block_end ? end : block_end;
      for (; k < stop; k += kSumBlock) {
        add_half<R>(a, row, k, step, half, ahead, sums.part);
        step += half * kInt4StepBytes;
        half ^= 1;
      }
    }
  }
  if (sums.block >= 0) sums.finish(a, row);
  const int64_t column = panel * kPanel;
  for (int r = 0; r < R; ++r) {
    quick_finish(a, {sums.total[r]}, a.bias ? a.bias + column : nullptr,
                 a.y + (row + r) * a.y_stride + column, a.n_out - column);
  }
}

// One row over n <= kRunPanels panels from `first` on whose weights lie in runs (dot_runs.h).
void run_rows(const LinearArgs& a, int64_t first, int n) {
  RowSums<1> sums[kRunPanels];
  for (int p = 0; p < n; ++p) sums[p].total[0] = _mm512_setzero_ps();
  const auto finish = [&] {
    for (int p = 0; p < n && sums[p].block >= 0; ++p) sums[p].finish(a, 0);
  };
  const auto start = [&](int block) {
    finish();
    for (int p = 0; p < n; ++p) sums[p].start(block);
  };
  for_each_run(a, kQuantBlock, start, [&](int s, int from, int to) {
    const Segment& segment = a.segments[s];
    const RunsAhead ahead(a, s, n, int64_t{segment.k + kSumBlock} / kInt4Step * kInt4StepBytes,
                          kPrefetchIntegers);
    for (int p = 0; p < n; ++p) {
      const std::byte* panel =
          a.weights + panel_index(a, first + p) * a.panel_stride + segment.weight_offset;
      const std::byte* step = panel + from / kInt4Step * kInt4StepBytes;
      __m512 part[1] = {sums[p].part[0]};
      int k = from;
      if (k % kInt4Step != 0) {
        add_half<1>(a, 0, segment.x_offset + k, step, 1, ahead.bytes(p), part);
        step += kInt4StepBytes;
        k += kSumBlock;
      }
      for (; k + kInt4Step <= to; k += kInt4Step, step += kInt4StepBytes) {
        add_half<1>(a, 0, segment.x_offset + k, step, 0, ahead.bytes(p), part);
        add_half<1>(a, 0, segment.x_offset + k + kSumBlock, step, 1, ahead.bytes(p), part);
      }
      if (k < to) add_half<1>(a, 0, segment.x_offset + k, step, 0, ahead.bytes(p), part);
      sums[p].part[0] = part[0];
    }
  });
  finish();
  for (int p = 0; p < n; ++p) {
    const int64_t column = panel_index(a, first + p) * kPanel;
    quick_finish(a, {sums[p].total[0]}, a.bias ? a.bias + column : nullptr, a.y + column,
                 a.n_out - column);
  }
}

// All rows over an expanded piece of P panels. The activation needs the whole sum.
template <int P>
void run_piece(const LinearArgs& a, const ExpandedPiece& piece, const int64_t* indices, bool first,
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
  if (a.rows > kDirectRows) {
    for_each_pair(a, begin, end, [&]<int P>(const int64_t* panels) {
      for_each_piece<ExpandInt4, P>(a, panels,
                                    [&](const ExpandedPiece& piece, bool first, bool last) {
                                      run_piece<P>(a, piece, panels, first, last);
                                    });
    });
    return;
  }
  if (a.rows == 1 && a.n_segments > 1) {
    for (int64_t i = begin; i < end; i += kRunPanels) {
      run_rows(a, i, static_cast<int>(end - i < kRunPanels ? end - i : kRunPanels));
    }
    return;
  }
  for (int64_t i = begin; i < end; ++i) {
    const int64_t panel = panel_index(a, i);
    tile_of<kDirectRows>(a.rows, 0, [&]<int R>(int row) { panel_rows<R>(a, row, panel); });
  }
}

}  // namespace sentinel
