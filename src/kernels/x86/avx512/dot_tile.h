// Tiles of products by instructions that multiply the 4 bytes of a lane and add them up (VPDPBUSD,
// VPDPBF16PS). A format says what a lane holds:
//   Sum              sums of one block of inputs
//   kWordInputs      inputs in four bytes
//   kTurnWords       words that lie together in a panel, bytes(k) of k inputs of a panel
//   word(w, u)       word u of those at w
//   kBlock           inputs whose sums end together
//   kPrefetch        bytes of weights to ask for ahead
//   start()          a row's sum before a block; finish_block() adds it to the row's total
//   dot(), plus()    sum + weights * inputs, sum + sum
//   Scales::scaled() a total as output
//   to_inputs()      outputs as inputs of a product of this format
// Up to 24 rows memory sets the pace: one panel at a time, a single stream of weights that is read
// once, with as many sums a row as registers hold so that latency does not count. More rows take
// two panels at a time, which halves the loads of inputs.
#pragma once

#include "kernels/x86/avx512/vec16.h"
//
#include "kernels/x86/avx512/quick.h"

namespace sentinel {
namespace {

constexpr int kDotSums = 24;               // beside 2 weights and one broadcast: 27 of 32 registers
constexpr int kDotBlockBytes = 512 << 10;  // of inputs that stay in L2 while panels pass

// Where P panels are and where their sums go.
template <int P>
struct DotPanels {
  const std::byte* weights[P];
  const float* scales[P];  // [16] each, or null
  const float* bias[P];    // [16] each, or null
  int64_t column[P];
};

template <int P>
inline DotPanels<P> dot_panels(const LinearArgs& a, int64_t i) {
  DotPanels<P> panels;
  for (int p = 0; p < P; ++p) {
    const int64_t panel = panel_index(a, i + p);
    panels.column[p] = panel * kPanel;
    panels.weights[p] = a.weights + panel * a.panel_stride;
    panels.scales[p] = a.weight_scales ? a.weight_scales + panels.column[p] : nullptr;
    panels.bias[p] = a.bias ? a.bias + panels.column[p] : nullptr;
  }
  return panels;
}

// sum[r][p][u]: of row r and panel p, the u-th of U that take turns.
template <typename F, int R, int P, int U>
inline void start_block(const LinearArgs& a, int row, int block, typename F::Sum (&sum)[R][P][U]) {
#pragma GCC unroll 24
  for (int r = 0; r < R; ++r) {
    const typename F::Sum start = F::start(a, row + r, block);
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 8
      for (int u = 0; u < U; ++u) sum[r][p][u] = u == 0 ? start : F::zero();
    }
  }
}

template <typename F, int R, int P, int U>
inline void finish_block(const LinearArgs& a, int row, int block, typename F::Sum (&sum)[R][P][U],
                         Vec16 (&total)[R][P]) {
#pragma GCC unroll 24
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 8
      for (int u = 1; u < U; ++u) sum[r][p][0] = F::plus(sum[r][p][0], sum[r][p][u]);
      total[r][p] = F::finish_block(a, row + r, block, sum[r][p][0], total[r][p]);
    }
  }
}

// Whole columns have no masks, and addition no switch: what a tile costs beside its products counts
// where K is short.
template <typename F, int R, int P>
inline void finish_dot_tile(const LinearArgs& a, int row, const DotPanels<P>& panels,
                            const Vec16 (&total)[R][P]) {
  for (int p = 0; p < P; ++p) {
    const typename F::Scales scales(panels.scales[p], panels.bias[p]);
    const int64_t left = a.n_out - panels.column[p];
    float* y = a.y + row * a.y_stride + panels.column[p];
    for (int r = 0; r < R; ++r, y += a.y_stride) {
      const Vec16 value = scales.scaled(total[r][p]);
      if (left < kPanel) {
        quick_finish(a, value, nullptr, y, left);
      } else if (a.epilogue == Epilogue::add) {
        (value + Vec16::load(y)).store(y);
      } else {
        quick_activate(a.epilogue, value).store(y);
      }
    }
  }
}

template <typename F, int R, int P, int U>
[[gnu::noinline]] void dot_tile(const LinearArgs& a, int row, const DotPanels<P>& panels) {
  static_assert(R * P * U <= kDotSums);
  constexpr int kTurnWords = U > F::kTurnWords ? U : F::kTurnWords;
  constexpr auto kTurnBytes = static_cast<int>(F::bytes(kTurnWords * F::kWordInputs));
  typename F::Sum sum[R][P][U];
  Vec16 total[R][P];
  for (auto& of_row : total) {
    for (Vec16& v : of_row) v = Vec16::zero();
  }
  int block = -1;
  for (int s = 0; s < a.n_segments; ++s) {
    const std::byte* w[P];
    for (int p = 0; p < P; ++p) w[p] = panels.weights[p] + a.segments[s].weight_offset;
    int k = a.segments[s].x_offset;
    const int end = k + a.segments[s].k;
    const int64_t ahead = bytes_ahead(a, s, F::bytes(a.segments[s].k), F::kPrefetch);
    while (k < end) {
      const int next = k / F::kBlock;
      if (next != block) {
        if (block >= 0) finish_block<F>(a, row, block, sum, total);
        start_block<F>(a, row, next, sum);
        block = next;
      }
      const int64_t block_end = int64_t{next + 1} * F::kBlock;
      const int stop = end < block_end ? end : static_cast<int>(block_end);
      const int64_t stride = a.x.stride;
      const std::byte* x[(R + 2) / 3];  // of every third row, as in gemm_step()
      for (int g = 0; g < (R + 2) / 3; ++g) {
        x[g] = a.x.data + (row + 3 * g) * stride + k * (4 / F::kWordInputs);
      }
      for (; k < stop; k += kTurnWords * F::kWordInputs) {
#pragma GCC unroll 8
        for (int u = 0; u < kTurnWords; ++u) {
          __m512i weights[P];
#pragma GCC unroll 2
          for (int p = 0; p < P; ++p) {
            if (P == 1 && 64 * u < kTurnBytes) _mm_prefetch(w[p] + 64 * u + ahead, _MM_HINT_T0);
            weights[p] = F::word(w[p], u);
          }
#pragma GCC unroll 24
          for (int r = 0; r < R; ++r) {
            int word;
            __builtin_memcpy(&word, x[r / 3] + (r % 3) * stride + 4 * u, 4);
            const __m512i inputs = _mm512_set1_epi32(word);
#pragma GCC unroll 2
            for (int p = 0; p < P; ++p) {
              sum[r][p][u % U] = F::dot(sum[r][p][u % U], weights[p], inputs);
            }
          }
        }
        for (auto& of_rows : x) of_rows += 4 * kTurnWords;
        for (auto& panel : w) panel += kTurnBytes;
      }
    }
  }
  if (block >= 0) finish_block<F>(a, row, block, sum, total);
  finish_dot_tile<F>(a, row, panels, total);
}

// As many sums a row as there are registers for, up to 8.
constexpr int sums_per_row(int rows) { return rows <= 3 ? 8 : rows <= 6 ? 4 : rows <= 12 ? 2 : 1; }

// Rows [row, end) over P panels.
template <typename F, int P>
inline void dot_rows(const LinearArgs& a, int row, int end, const DotPanels<P>& panels) {
  even_tiles<kDotSums / 2>(row, end, [&]<int R>(int r) { dot_tile<F, R, P, 1>(a, r, panels); });
}

// Rows [row, last) over panels [begin, end).
template <typename F>
inline void dot_panel_pairs(const LinearArgs& a, int row, int last, int64_t begin, int64_t end) {
  int64_t i = begin;
  for (; i + 2 <= end; i += 2) dot_rows<F, 2>(a, row, last, dot_panels<2>(a, i));
  if (i < end) dot_rows<F, 1>(a, row, last, dot_panels<1>(a, i));
}

// Few rows: each panel once.
template <typename F>
inline void dot_gemv(const LinearArgs& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const auto panel = dot_panels<1>(a, i);
    tile_of<kDotSums>(a.rows, 0,
                      [&]<int R>(int row) { dot_tile<F, R, 1, sums_per_row(R)>(a, row, panel); });
  }
}

template <typename F>
inline void dot_gemm(const LinearArgs& a, int64_t begin, int64_t end) {
  if (a.rows <= kDotSums) {
    dot_gemv<F>(a, begin, end);
    return;
  }
  int64_t bytes = 1;
  for (int s = 0; s < a.n_segments; ++s) bytes += a.segments[s].k * (4 / F::kWordInputs);
  const int64_t fit = kDotBlockBytes / bytes;
  const int64_t block = fit > 2 * kDotSums ? fit : 2 * kDotSums;
  for (int64_t first = 0; first < a.rows; first += block) {
    const auto row = static_cast<int>(first);
    const auto last = static_cast<int>(first + block < a.rows ? first + block : a.rows);
    dot_panel_pairs<F>(a, row, last, begin, end);
  }
}

// As dot_gemm(), but leaves the results in `out`, as inputs of the next product: those of a group
// of panels, for as many rows as fit into L1 and L2 beside the weights, before they are converted.
template <typename F>
inline void dot_to_inputs(const LinearArgs& a, const Operand& out, int64_t begin, int64_t end) {
  constexpr int kRows = 2 * kDotSums, kStride = kQuantBlock + kPanel;
  alignas(64) float group[kRows * kStride];
  for (int64_t first = begin; first < end; first += kInputPanels) {
    const int64_t last = first + kInputPanels < end ? first + kInputPanels : end;
    const int64_t column = first * kPanel;
    const int n = static_cast<int>((last * kPanel < a.n_out ? last * kPanel : a.n_out) - column);
    for (int row = 0; row < a.rows; row += kRows) {
      LinearArgs part = a;
      part.rows = a.rows - row < kRows ? a.rows - row : kRows;
      part.x.data += row * a.x.stride;
      part.x.scales += row * a.x.scales_stride;
      part.x.block_sums += row * a.x.scales_stride;
      part.weights += first * a.panel_stride;
      if (a.weight_scales) part.weight_scales += column;
      if (a.bias) part.bias += column;
      part.y = group;
      part.y_stride = kStride;
      part.n_out = n;
      if (a.rows <= kDotSums) {
        dot_gemv<F>(part, 0, last - first);
      } else {
        dot_panel_pairs<F>(part, 0, part.rows, 0, last - first);
      }
      for (int r = 0; r < part.rows; ++r)
        F::to_inputs(group + r * kStride, out, row + r, column, n);
    }
  }
}

}  // namespace
}  // namespace sentinel
