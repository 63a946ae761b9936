// y = x W + b for int8 panels on tiles (int8_tiles.h).
#include "kernels/x86/amx/int8_tiles.h"
//
#include "kernels/generic/activation.h"
#include "kernels/x86/dot_kernels.h"

namespace sentinel {
namespace {

template <int R, int P>
[[gnu::noinline]] void tile_block(const LinearArgs& a, int row, const int64_t* panels) {
  const std::byte* w[2] = {a.weights + panels[0] * a.panel_stride,
                           a.weights + panels[P - 1] * a.panel_stride};
  TileSums sums;
  sum_tiles<R, P>(a, row, w, sums);
  for (int p = 0; p < P; ++p) {
    const int64_t column = panels[p] * kPanel;
    const Vec16 scale = Vec16::load(a.weight_scales + column);
    for (int r = 0; r < 16 * R && row + r < a.rows; ++r) {
      finish(a, Vec16::load(sums.f[r / 16][p][r % 16]) * scale, a.bias ? a.bias + column : nullptr,
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

void linear_int8_amx(const LinearArgs& a, int64_t begin, int64_t end) {
  if (a.rows <= 4) {
    linear_int8_vnni(a, begin, end);
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
