// y = activation(x) on sixteen lanes. Included after a vec16.h.
#pragma once

#include "kernels/types.h"

namespace sentinel {
namespace {

// 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) = x / (1 + e^(-2u)).
inline Vec16 gelu_tanh(Vec16 x) {
  const Vec16 cubic = fma(x * x, Vec16::set1(0.044715F), Vec16::set1(1));
  const Vec16 u2 = x * cubic * Vec16::set1(-2 * 0.797884561F);
  return x * reciprocal(Vec16::set1(1) + exp(u2));
}

// 0.5 x (1 + erf(x / sqrt 2)), erf by Abramowitz and Stegun 7.1.26 (absolute error < 1.5e-7).
inline Vec16 gelu_erf(Vec16 x) {
  const Vec16 one = Vec16::set1(1);
  const Vec16 z = abs(x) * Vec16::set1(0.707106781F);
  const Vec16 t = reciprocal(fma(z, Vec16::set1(0.3275911F), one));
  Vec16 p = Vec16::set1(1.061405429F);
  p = fma(p, t, Vec16::set1(-1.453152027F));
  p = fma(p, t, Vec16::set1(1.421413741F));
  p = fma(p, t, Vec16::set1(-0.284496736F));
  p = fma(p, t, Vec16::set1(0.254829592F));
  const Vec16 erf = one - p * t * exp(Vec16::zero() - z * z);
  return Vec16::set1(0.5F) * x * (one + copy_sign(erf, x));
}

inline Vec16 activate(Epilogue epilogue, Vec16 x) {
  switch (epilogue) {
    case Epilogue::gelu_tanh:
      return gelu_tanh(x);
    case Epilogue::gelu_erf:
      return gelu_erf(x);
    case Epilogue::relu:
      return max(x, Vec16::zero());
    default:
      return x;
  }
}

inline int64_t panel_index(const LinearArgs& a, int64_t i) { return a.panels ? a.panels[i] : i; }

// How far to prefetch from within segment s, of segment_bytes a panel, so that it is `distance` on
// in the order of reading: the heads' parts of Wo lie far apart, and so do the values of a context
// that fills a small part of its panels.
inline int64_t bytes_ahead(const LinearArgs& a, int s, int64_t segment_bytes, int64_t distance) {
  if (a.n_segments == 1) {
    const bool jumps = segment_bytes < a.panel_stride && segment_bytes < 4 * distance;
    return jumps ? (distance + segment_bytes - 1) / segment_bytes * a.panel_stride : distance;
  }
  if (segment_bytes >= distance) return distance;
  const int64_t target = s + (distance + segment_bytes - 1) / segment_bytes;
  const Segment& segment = a.segments[target % a.n_segments];
  return target / a.n_segments * a.panel_stride + segment.weight_offset -
         a.segments[s].weight_offset;
}

// Rows [row, end) in tiles of up to kMax rows, all about equally high: a low one would wait for its
// few accumulators. Calls tile.operator()<R>(row) for R rows from `row` on.
template <int R, typename Tile>
inline void tile_of(int rows, int row, const Tile& tile) {
  if (rows == R) {
    tile.template operator()<R>(row);
  } else if constexpr (R > 1) {
    tile_of<R - 1>(rows, row, tile);
  }
}
template <int kMax, typename Tile>
inline void even_tiles(int row, int end, const Tile& tile) {
  for (int tiles = (end - row + kMax - 1) / kMax; tiles > 0; --tiles) {
    const int rows = (end - row + tiles - 1) / tiles;
    tile_of<kMax>(rows, row, tile);
    row += rows;
  }
}

// Finishes one accumulator: bias, activation or addition, and the store of the columns that exist.
inline void finish(const LinearArgs& a, Vec16 sum, const float* bias, float* y, int64_t columns) {
  if (bias) sum = sum + Vec16::load(bias);
  const int n = columns < kPanel ? static_cast<int>(columns) : kPanel;
  if (a.epilogue == Epilogue::add) {
    sum = sum + Vec16::load_n(y, n);
  } else {
    sum = activate(a.epilogue, sum);
  }
  if (n == kPanel) {
    sum.store(y);
  } else {
    sum.store_n(y, n);
  }
}

}  // namespace
}  // namespace sentinel
