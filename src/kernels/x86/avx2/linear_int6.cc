// y = x W + b for int6 panels (layout: ref/linear_low.h): bytes w + 32, put together from nibbles
// and pairs of bits, each 32 of which one VPMADDUBSW multiplies with four inputs for eight outputs.
// Two such products are added in 16 bits, which they cannot overflow: 4 * 63 * 127 = 32004. Integer
// sums run over a block of 256 inputs as int8's do; they start at -32 * (sum of the block's
// inputs).
#include "kernels/x86/avx2/vec16.h"
//
#include "kernels/generic/activation.h"
#include "kernels/x86/avx2/row_blocks.h"
#include "kernels/x86/dot_kernels.h"

namespace sentinel {
namespace {

// Quads 2j and 2j + 1 of eight outputs, whose lower bits are the nibbles of `lower`; the upper ones
// stand in bits 4 to 7 of `upper`.
struct QuadPair {
  QuadPair(__m256i lower, __m256i upper) {
    const __m256i nibble = _mm256_set1_epi8(0x0f), high = _mm256_set1_epi8(0x30);
    even = _mm256_or_si256(_mm256_and_si256(lower, nibble), _mm256_and_si256(upper, high));
    odd = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(lower, 4), nibble),
                          _mm256_and_si256(_mm256_srli_epi16(upper, 2), high));
  }
  __m256i even, odd;
};

// sums[r][side] += eight inputs of R rows for eight outputs.
template <int R>
inline void add_pair(const QuadPair& w, const std::byte* x, int64_t stride, int side,
                     __m256i (&acc)[R][2]) {
  const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    const __m256i words =
        _mm256_add_epi16(_mm256_maddubs_epi16(w.even, word_at(x + r * stride)),
                         _mm256_maddubs_epi16(w.odd, word_at(x + r * stride + 4)));
    acc[r][side] = settled(_mm256_add_epi32(acc[r][side], _mm256_madd_epi16(words, ones)));
  }
}

// A group of 32 inputs of R rows, which begin at x.
template <int R>
inline void add_group(const std::byte* w, const std::byte* x, int64_t stride,
                      __m256i (&acc)[R][2]) {
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half, w += 128, x += 16) {
#pragma GCC unroll 2
    for (int side = 0; side < 2; ++side) {
      const __m256i upper = load_bytes(w + 256 - 64 * half + 32 * side);
      add_pair<R>({load_bytes(w + 32 * side), _mm256_slli_epi16(upper, 4)}, x, stride, side, acc);
      add_pair<R>({load_bytes(w + 64 + 32 * side), upper}, x + 8, stride, side, acc);
    }
  }
}

struct Int6Bytes {
  static constexpr int kInputBytes = 1;

  template <int R>
  [[gnu::noinline]] static void panel_rows(const LinearArgs& a, int row, int64_t panel) {
    const std::byte* base = a.weights + panel * a.panel_stride;
    const std::byte* x = a.x.data + row * a.x.stride;
    BlockSums<R> sums(32);
    for (int s = 0; s < a.n_segments; ++s) {
      const std::byte* w = base + a.segments[s].weight_offset;
      const int end = a.segments[s].x_offset + a.segments[s].k;
      for (int k = a.segments[s].x_offset; k < end; k += kInt6Group, w += kInt6GroupBytes) {
        if (R == 1) {
          for (int line = 0; line < kInt6GroupBytes; line += 64)
            prefetch(w + line + kPrefetchAhead);
        }
        sums.enter(a, row, k / kQuantBlock);
        add_group<R>(w, x + k, a.x.stride, sums.acc);
      }
    }
    sums.store(a, row, panel);
  }
};

}  // namespace

void linear_int6_bytes(const LinearArgs& a, int64_t begin, int64_t end) {
  by_row_blocks<Int6Bytes>(a, begin, end);
}

}  // namespace sentinel
