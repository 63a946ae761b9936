// y = x W + b with float inputs, for f32 panels [k][16] and bf16 panels [k / 2][16][2]; few rows
// (decode) or many (prefill). Included after a vec16.h.
//
// Decode reads every weight once: one panel at a time, eight accumulators along K so that loads,
// not FMA latency, set the pace. Prefill keeps a tile of kTileRows x kTilePanels accumulators and
// blocks K and the rows so that the x block stays in L2, the panels there or nearer.
#pragma once

#include "kernels/generic/activation.h"
#include "kernels/types.h"

namespace sentinel {
namespace {

constexpr int kMaxSegments = 128;
constexpr int kPrefetchBytes = 2048;
constexpr int kFewTiles = 3;  // of rows: memory sets the pace, if it is kept busy

// The weights of one panel: kBytes for each input, kStep inputs interleaved.
struct F32Weights {
  static constexpr int kStep = 1;
  static constexpr int kBytes = 64;
  static Vec16 load(const std::byte* w, int k) {
    return Vec16::load(reinterpret_cast<const float*>(w + k * kBytes));
  }
};
struct Bf16Weights {
  static constexpr int kStep = 2;
  static constexpr int kBytes = 32;
  static Vec16 load(const std::byte* w, int k) {
    const std::byte* pair = w + k / 2 * 64;
    return k % 2 == 0 ? load_bf16_half<0>(pair) : load_bf16_half<1>(pair);
  }
};

inline const float* row_floats(const LinearArgs& a, int64_t row) {
  return reinterpret_cast<const float*>(a.x.data + row * a.x.stride);
}

inline const std::byte* panel_weights(const LinearArgs& a, int64_t panel) {
  return a.weights + panel * a.panel_stride;
}

// Rows R <= 4, one panel: U independent accumulators per row along K.
template <typename W, int R, int U>
inline void gemv_panel(const LinearArgs& a, int row, int64_t panel) {
  const std::byte* base = panel_weights(a, panel);
  const int64_t ld = a.x.stride / 4;
  Vec16 acc[R][U];
  for (auto& lane : acc) {
    for (Vec16& v : lane) v = Vec16::zero();
  }
  for (int s = 0; s < a.n_segments; ++s) {
    const Segment& segment = a.segments[s];
    const std::byte* w = base + segment.weight_offset;
    const float* x = row_floats(a, row) + segment.x_offset;
    const int64_t ahead = bytes_ahead(a, s, segment.k * W::kBytes, kPrefetchBytes);
    int k = 0;
    for (; k + U <= segment.k; k += U, w += U * W::kBytes) {
#pragma GCC unroll 8
      for (int u = 0; u < U; ++u) {
        if (u % W::kStep == 0) prefetch(w + u * W::kBytes + ahead);
        const Vec16 weight = W::load(w, u);
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) {
          acc[r][u] = fma(weight, Vec16::set1(x[r * ld + k + u]), acc[r][u]);
        }
      }
    }
    for (int u = 0; k + u < segment.k; ++u) {
      const Vec16 weight = W::load(w, u);
      for (int r = 0; r < R; ++r) {
        acc[r][0] = fma(weight, Vec16::set1(x[r * ld + k + u]), acc[r][0]);
      }
    }
  }
  const int64_t column = panel * kPanel;
  for (int r = 0; r < R; ++r) {
    for (int u = 1; u < U; ++u) acc[r][0] = acc[r][0] + acc[r][u];
    finish(a, acc[r][0], a.bias ? a.bias + column : nullptr, a.y + (row + r) * a.y_stride + column,
           a.n_out - column);
  }
}

// acc += x[rows][k] W[k] for W::kStep inputs from k on. `x` points to every third row: rows between
// are ld and 2 ld away, which x86 addresses without a register of their own.
template <typename W, int R, int P>
inline void gemm_step(const float* const* x, int64_t ld, const std::byte* const* w, int k,
                      Vec16 (&acc)[R][P]) {
#pragma GCC unroll 2
  for (int u = 0; u < W::kStep; ++u) {
    Vec16 weight[P];
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) weight[p] = W::load(w[p] + k * W::kBytes, u);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const Vec16 value = Vec16::set1(x[r / 3][(r % 3) * ld + k + u]);
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) acc[r][p] = fma(weight[p], value, acc[r][p]);
    }
  }
}

// Straight code for whole columns without an activation: what a tile costs beside its products
// counts where K is short, as in attention.
template <int R, int P>
inline void finish_tile(const LinearArgs& a, int row, const int64_t* panels,
                        const Vec16 (&acc)[R][P]) {
  float* y = a.y + row * a.y_stride;
  const bool adds = a.epilogue == Epilogue::add;
  bool plain = adds || a.epilogue == Epilogue::store;
  for (int p = 0; p < P; ++p) plain = plain && (panels[p] + 1) * kPanel <= a.n_out;
  if (plain) {
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) {
      const int64_t column = panels[p] * kPanel;
      const Vec16 bias = a.bias ? Vec16::load(a.bias + column) : Vec16::zero();
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        float* out = y + r * a.y_stride + column;
        const Vec16 sum = acc[r][p] + bias;
        (adds ? sum + Vec16::load(out) : sum).store(out);
      }
    }
    return;
  }
  Vec16 sums[R][P];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) sums[r][p] = acc[r][p];
  }
  for (int r = 0; r < R; ++r) {
    for (int p = 0; p < P; ++p) {
      const int64_t column = panels[p] * kPanel;
      finish(a, sums[r][p], a.bias ? a.bias + column : nullptr, y + r * a.y_stride + column,
             a.n_out - column);
    }
  }
}

// The panels that come next, one part of which every tile of the rows asks for while it multiplies:
// else memory would wait while the second tile takes the weights from the cache.
struct NextPanels {
  const int64_t* panels = nullptr;
  int part = 0, parts = 1;
};

// R x P tile of accumulators over all segments; `panels` are P panel indices.
template <typename W, int R, int P, bool kAhead>
[[gnu::noinline]] void gemm_tile(const LinearArgs& a, int row, const int64_t* panels,
                                 NextPanels next) {
  Vec16 acc[R][P];
  for (auto& lane : acc) {
    for (Vec16& v : lane) v = Vec16::zero();
  }
  const std::byte* base[P];
  for (int p = 0; p < P; ++p) base[p] = panel_weights(a, panels[p]);
  const int64_t ld = a.x.stride / 4;
  for (int s = 0; s < a.n_segments; ++s) {
    const Segment& segment = a.segments[s];
    const float* x[(R + 2) / 3];
    for (int g = 0; g < (R + 2) / 3; ++g) x[g] = row_floats(a, row + 3 * g) + segment.x_offset;
    const std::byte* w[P];
    for (int p = 0; p < P; ++p) w[p] = base[p] + segment.weight_offset;
    const std::byte* ahead[P] = {};
    const int64_t ahead_bytes = kAhead ? W::kBytes / next.parts : 0;  // for each input
    for (int p = 0; kAhead && p < P; ++p) {
      ahead[p] = panel_weights(a, next.panels[p]) + segment.weight_offset +
                 next.part * segment.k * ahead_bytes;
    }
    const auto step = [&](int k) {
      for (int p = 0; kAhead && p < P; ++p) prefetch(ahead[p] + k * ahead_bytes);
      gemm_step<W>(x, ld, w, k, acc);
    };
    if constexpr (W::kStep == 1) {
      // A loop's own instructions cost products where another thread has half of the issue slots.
#pragma GCC unroll 4
      for (int k = 0; k < segment.k; ++k) step(k);
    } else {
      for (int k = 0; k < segment.k; k += W::kStep) step(k);
    }
  }
  finish_tile(a, row, panels, acc);
}

// All rows of one block against P panels; `next` are those that follow.
template <typename W, int P>
inline void gemm_rows(const LinearArgs& a, int row, int end, const int64_t* panels,
                      const int64_t* next) {
  const int tiles = (end - row + kTileRows - 1) / kTileRows;
  if (tiles == 1 || tiles > kFewTiles) {
    even_tiles<kTileRows>(
        row, end, [&]<int R>(int first) { gemm_tile<W, R, P, false>(a, first, panels, {}); });
    return;
  }
  int part = 0;
  even_tiles<kTileRows>(row, end, [&]<int R>(int first) {
    gemm_tile<W, R, P, true>(a, first, panels, {next, part++, tiles});
  });
}

template <typename W>
inline void gemm_panels(const LinearArgs& a, int row, int end, int64_t panel_begin,
                        int64_t panel_end) {
  int64_t i = panel_begin;
  const auto panel = [&](int64_t n) { return panel_index(a, n < panel_end ? n : panel_end - 1); };
  for (; i + kTilePanels <= panel_end; i += kTilePanels) {
    int64_t panels[2 * kTilePanels];
    for (int p = 0; p < 2 * kTilePanels; ++p) panels[p] = panel(i + p);
    gemm_rows<W, kTilePanels>(a, row, end, panels, panels + kTilePanels);
  }
  for (; i < panel_end; ++i) {
    const int64_t panels[] = {panel(i), panel(i + 1)};
    gemm_rows<W, 1>(a, row, end, panels, panels + 1);
  }
}

// Takes up to kBlockK of K from the segments, starting at (index, done); false when none is left.
struct SegmentCursor {
  int index = 0;
  int done = 0;
};
template <typename W>
inline int next_block(const LinearArgs& a, SegmentCursor& cursor, Segment* block) {
  int n = 0, total = 0;
  while (cursor.index < a.n_segments && n < kMaxSegments && total < kBlockK) {
    const Segment& s = a.segments[cursor.index];
    const int left = s.k - cursor.done;
    const int take = left < kBlockK - total ? left : kBlockK - total;
    block[n++] = {s.weight_offset + int64_t{cursor.done} * W::kBytes, s.x_offset + cursor.done,
                  take};
    total += take;
    cursor.done += take;
    if (cursor.done == s.k) {
      ++cursor.index;
      cursor.done = 0;
    }
  }
  return n;
}

template <typename W>
inline void gemm_blocked(const LinearArgs& args, int64_t begin, int64_t end) {
  SegmentCursor cursor;
  bool first = true;
  do {
    Segment block[kMaxSegments];
    LinearArgs a = args;
    a.n_segments = next_block<W>(args, cursor, block);
    a.segments = block;
    const bool last = cursor.index >= args.n_segments;
    if (!first) {
      a.bias = nullptr;
      // The activation needs the whole sum: it is applied in a pass of its own below.
      a.epilogue = Epilogue::add;
    } else if (!last && args.epilogue != Epilogue::add) {
      a.epilogue = Epilogue::store;
    }
    for (int row = 0; row < args.rows; row += kBlockRows) {
      const int row_end = row + kBlockRows < args.rows ? row + kBlockRows : args.rows;
      gemm_panels<W>(a, row, row_end, begin, end);
    }
    first = false;
    if (last) {
      const bool pending = a.epilogue != args.epilogue;
      if (!pending) return;
      for (int row = 0; row < args.rows; ++row) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t column = panel_index(args, i) * kPanel;
          const int64_t left = args.n_out - column;
          const int n = left < kPanel ? static_cast<int>(left) : kPanel;
          float* y = args.y + row * args.y_stride + column;
          activate(args.epilogue, Vec16::load_n(y, n)).store_n(y, n);
        }
      }
      return;
    }
  } while (true);
}

template <typename W>
void linear_float(const LinearArgs& a, int64_t begin, int64_t end) {
  if (a.rows > 4) {
    gemm_blocked<W>(a, begin, end);
    return;
  }
  for (int64_t i = begin; i < end; ++i) {
    const int64_t panel = panel_index(a, i);
    switch (a.rows) {
      case 1:
        gemv_panel<W, 1, 8>(a, 0, panel);
        break;
      case 2:
        gemv_panel<W, 2, 4>(a, 0, panel);
        break;
      case 3:
        gemv_panel<W, 3, 2>(a, 0, panel);
        break;
      case 4:
        gemv_panel<W, 4, 2>(a, 0, panel);
        break;
      default:
        break;
    }
  }
}

// Every row has the eight accumulators of a single row, as many rows at a time as registers hold.
template <typename W>
void window_float(const LinearArgs& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const int64_t panel = panel_index(a, i);
    int row = 0;
    for (; row + kWindowRows <= a.rows; row += kWindowRows) {
      gemv_panel<W, kWindowRows, 8>(a, row, panel);
    }
    for (; row < a.rows; ++row) gemv_panel<W, 1, 8>(a, row, panel);
  }
}

}  // namespace
}  // namespace sentinel
