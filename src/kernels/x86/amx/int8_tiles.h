// Int8 products on tiles: C [16 x 16] int32 += A [16 rows x 64 k] signed, B [64 k x 16] unsigned.
//
// As in linear_bf16.cc, but integer sums end with every block of 256 inputs: the tile is stored,
// corrected for the weights' offset, scaled and added to float sums in L1.
#pragma once

#include "kernels/x86/avx512/vec16.h"
//
#include "kernels/types.h"
#include "kernels/x86/amx/tiles.h"

namespace sentinel {
namespace {

constexpr int kTileK = 64;

// Sums of up to 32 rows x 2 panels, still to be multiplied by the weight scales.
struct TileSums {
  alignas(64) float f[2][2][16][16];  // [row tile][panel][row][column]
};

// Adds tile sums c of one block to f, or sets f.
inline void add_block(const LinearArgs& a, int row, int block, const int32_t (&c)[16][16],
                      bool first, float (&f)[16][16]) {
  for (int r = 0; r < 16; ++r) {
    // Rows beyond the last are computed from whatever lies there and never stored.
    const int64_t source = row + r < a.rows ? row + r : a.rows - 1;
    const int64_t entry = source * a.x.scales_stride + block;
    const __m512i sum = _mm512_add_epi32(_mm512_load_si512(c[r]),
                                         _mm512_set1_epi32(-128 * a.x.block_sums[entry]));
    const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_set1_ps(a.x.scales[entry]));
    _mm512_store_ps(f[r], first ? scaled : _mm512_add_ps(scaled, _mm512_load_ps(f[r])));
  }
}

template <int R, int P>
inline void zero_tiles() {
  _tile_zero(0);
  if constexpr (P == 2) _tile_zero(1);
  if constexpr (R == 2) _tile_zero(2);
  if constexpr (R == 2 && P == 2) _tile_zero(3);
}

template <int R, int P>
inline void flush_tiles(const LinearArgs& a, int row, int block, bool first, TileSums& sums) {
  alignas(64) int32_t c[R][P][16][16];
  _tile_stored(0, c[0][0], 64);
  if constexpr (P == 2) _tile_stored(1, c[0][1], 64);
  if constexpr (R == 2) _tile_stored(2, c[1][0], 64);
  if constexpr (R == 2 && P == 2) _tile_stored(3, c[1][1], 64);
  for (int r = 0; r < R; ++r) {
    for (int p = 0; p < P; ++p) add_block(a, row + 16 * r, block, c[r][p], first, sums.f[r][p]);
  }
}

template <int R, int P>
inline void multiply(const std::byte* x, int64_t x_stride, const std::byte* w0,
                     const std::byte* w1) {
  _tile_loadd(4, x, x_stride);
  _tile_loadd(6, w0, 64);
  _tile_dpbsud(0, 4, 6);
  if constexpr (P == 2) {
    _tile_loadd(7, w1, 64);
    _tile_dpbsud(1, 4, 7);
  }
  if constexpr (R == 2) {
    _tile_loadd(5, x + 16 * x_stride, x_stride);
    _tile_dpbsud(2, 5, 6);
    if constexpr (P == 2) _tile_dpbsud(3, 5, 7);
  }
}

// The last 32 of K: inputs copied beside zeros, so that the 32 weights behind the end count nothing.
template <int R, int P>
inline void multiply_half(const std::byte* x, int64_t x_stride, const std::byte* w0,
                          const std::byte* w1) {
  alignas(64) std::byte half[16 * R][64];
  for (int r = 0; r < 16 * R; ++r) {
    const __m256i in = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + r * x_stride));
    _mm512_store_si512(half[r], _mm512_zextsi256_si512(in));
  }
  before_tile_loads();
  multiply<R, P>(half[0], 64, w0, w1);
}

// sums = x W over the segments for rows row.. of R tiles and panels at w[0..P).
template <int R, int P>
inline void sum_tiles(const LinearArgs& a, int row, const std::byte* const* w, TileSums& sums) {
  int current = -1;
  bool first = true;
  zero_tiles<R, P>();
  before_tile_loads();
  for (int s = 0; s < a.n_segments; ++s) {
    const Segment& segment = a.segments[s];
    const std::byte* w0 = w[0] + segment.weight_offset;
    const std::byte* w1 = w[P - 1] + segment.weight_offset;
    int k = segment.x_offset;
    const int end = k + segment.k;
    while (k < end) {
      const int block = k / kQuantBlock;
      if (block != current) {
        if (current >= 0) {
          flush_tiles<R, P>(a, row, current, first, sums);
          zero_tiles<R, P>();
          first = false;
        }
        current = block;
      }
      const int block_end = (block + 1) * kQuantBlock;
      const int stop = end < block_end ? end : block_end;
      const std::byte* x = a.x.data + row * a.x.stride;
      for (; k + kTileK <= stop; k += kTileK, w0 += kTileK * 16, w1 += kTileK * 16) {
        multiply<R, P>(x + k, a.x.stride, w0, w1);
      }
      for (; k < stop; k += kTileK / 2, w0 += kTileK * 8, w1 += kTileK * 8) {
        multiply_half<R, P>(x + k, a.x.stride, w0, w1);
      }
    }
  }
  if (current < 0) {
    __builtin_memset(&sums, 0, sizeof sums);
  } else {
    flush_tiles<R, P>(a, row, current, first, sums);
  }
}

}  // namespace
}  // namespace sentinel
