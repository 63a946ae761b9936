// y = x W + b for bf16 panels on tiles: C [16 x 16] += A [16 rows x 32 k] B [32 k x 16].
//
// 2 x 2 tiles of C, two of A, two of B: four products for four loads. The rows are the outer loop:
// 32 rows of A (48 KiB at K = 768) stay in L1 while the thread's panels stream from L2.
#include "kernels/x86/avx512/vec16.h"
//
#include "kernels/generic/activation.h"
#include "kernels/x86/amx/tiles.h"
#include "kernels/x86/dot_kernels.h"

namespace sentinel {
namespace {

constexpr int kTileK = 32;

// Row tiles R (1 or 2) x panels P (1 or 2).
template <int R, int P>
[[gnu::noinline]] void tile_block(const LinearArgs& a, int row, const int64_t* panels) {
  alignas(64) float c[R][P][16][16];
  _tile_zero(0);
  if constexpr (P == 2) _tile_zero(1);
  if constexpr (R == 2) _tile_zero(2);
  if constexpr (R == 2 && P == 2) _tile_zero(3);
  const std::byte* w0 = a.weights + panels[0] * a.panel_stride;
  const std::byte* w1 = a.weights + panels[P - 1] * a.panel_stride;
  before_tile_loads();
  for (int s = 0; s < a.n_segments; ++s) {
    const std::byte* x = a.x.data + row * a.x.stride + 2 * a.segments[s].x_offset;
    const int64_t offset = a.segments[s].weight_offset;
    for (int k = 0; k < a.segments[s].k; k += kTileK) {
      _tile_loadd(4, x + 2 * k, a.x.stride);
      _tile_loadd(6, w0 + offset + 32 * k, 64);
      _tile_dpbf16ps(0, 4, 6);
      if constexpr (P == 2) {
        _tile_loadd(7, w1 + offset + 32 * k, 64);
        _tile_dpbf16ps(1, 4, 7);
      }
      if constexpr (R == 2) {
        _tile_loadd(5, x + 16 * a.x.stride + 2 * k, a.x.stride);
        _tile_dpbf16ps(2, 5, 6);
        if constexpr (P == 2) _tile_dpbf16ps(3, 5, 7);
      }
    }
  }
  _tile_stored(0, c[0][0], 64);
  if constexpr (P == 2) _tile_stored(1, c[0][1], 64);
  if constexpr (R == 2) _tile_stored(2, c[1][0], 64);
  if constexpr (R == 2 && P == 2) _tile_stored(3, c[1][1], 64);
  for (int r = 0; r < 16 * R && row + r < a.rows; ++r) {
    for (int p = 0; p < P; ++p) {
      const int64_t column = panels[p] * kPanel;
      finish(a, Vec16::load(c[r / 16][p][r % 16]), a.bias ? a.bias + column : nullptr,
             a.y + (row + r) * a.y_stride + column, a.n_out - column);
    }
  }
}

template <int R>
inline void row_block(const LinearArgs& a, int row, int64_t begin, int64_t end) {
  int64_t i = begin;
  for (; i + 2 <= end; i += 2) {
    const int64_t panels[2] = {panel_index(a, i), panel_index(a, i + 1)};
    tile_block<R, 2>(a, row, panels);
  }
  if (i < end) {
    const int64_t panel = panel_index(a, i);
    tile_block<R, 1>(a, row, &panel);
  }
}

}  // namespace

void linear_bf16_amx(const LinearArgs& a, int64_t begin, int64_t end) {
  if (a.rows <= 4) {
    linear_bf16_dot(a, begin, end);
    return;
  }
  const TileScope tiles;
  for (int row = 0; row < a.rows; row += 32) {
    if (a.rows - row > 16) {
      row_block<2>(a, row, begin, end);
    } else {
      row_block<1>(a, row, begin, end);
    }
  }
}

}  // namespace sentinel
