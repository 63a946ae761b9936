// Loops around AVX2's integer products.
#pragma once

#include "kernels/x86/avx2/vec16.h"
//
#include "kernels/generic/activation.h"
#include "kernels/types.h"
#include "kernels/x86/avx2/integers.h"

namespace sentinel {
namespace {

constexpr int kPrefetchAhead = 4096;        // bytes, of one row's product: memory sets its pace
constexpr int64_t kInputBlock = 192 << 10;  // bytes of inputs that stay in L2 while panels pass

// Sums of one block of inputs for R rows and one panel, whose weights have one scale an output, and
// what is finished of the products. They start at -zero_point * (sum of the block's inputs), which
// undoes the weights' offset.
template <int R>
struct BlockSums {
  explicit BlockSums(int zero) : zero_point(zero) {
    for (Vec16& v : total) v = Vec16::zero();
  }
  void enter(const LinearArgs& a, int row, int next) {
    if (next == block) return;
    flush(a, row);
    block = next;
    for (int r = 0; r < R; ++r) {
      const int32_t sum = a.x.block_sums[(row + r) * a.x.scales_stride + next];
      acc[r][0] = acc[r][1] = _mm256_set1_epi32(-zero_point * sum);
    }
  }
  void flush(const LinearArgs& a, int row) {
    if (block < 0) return;
    for (int r = 0; r < R; ++r) {
      const Vec16 sum = {_mm256_cvtepi32_ps(acc[r][0]), _mm256_cvtepi32_ps(acc[r][1])};
      const float scale = a.x.scales[(row + r) * a.x.scales_stride + block];
      total[r] = fma(sum, Vec16::set1(scale), total[r]);
    }
  }
  // Finishes the last block, and stores the outputs.
  void store(const LinearArgs& a, int row, int64_t panel) {
    flush(a, row);
    const int64_t column = panel * kPanel;
    const Vec16 scale = Vec16::load(a.weight_scales + column);
    for (int r = 0; r < R; ++r) {
      finish(a, total[r] * scale, a.bias ? a.bias + column : nullptr,
             a.y + (row + r) * a.y_stride + column, a.n_out - column);
    }
  }

  __m256i acc[R][2];
  Vec16 total[R];
  int block = -1;
  const int zero_point;
};

// Every panel against a block of rows, then the next block. A row's result does not depend on the
// rows beside it.
template <typename Product>
inline void by_row_blocks(const LinearArgs& a, int64_t begin, int64_t end) {
  int64_t k = 1;
  for (int s = 0; s < a.n_segments; ++s) k += a.segments[s].k;
  const int64_t fit = kInputBlock / (k * Product::kInputBytes) / kTileRows * kTileRows;
  const int64_t block = fit > 4 * kTileRows ? fit : 4 * kTileRows;
  for (int64_t row = 0; row < a.rows; row += block) {
    const auto from = static_cast<int>(row);
    const auto to = static_cast<int>(row + block < a.rows ? row + block : a.rows);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t panel = panel_index(a, i);
      even_tiles<kTileRows>(
          from, to, [&]<int R>(int first) { Product::template panel_rows<R>(a, first, panel); });
    }
  }
}

}  // namespace
}  // namespace sentinel
