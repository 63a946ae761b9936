// y = x W + b for int8 panels [k / 4][16][4] of unsigned w + 128, with 16-bit products: of the four
// inputs in a 32-bit lane, the even and the odd two are taken apart, and one VPMADDWD multiplies
// and adds two of a lane. (VPMADDUBSW would do with half the products, but saturates.) Integer sums
// run over a block of 256 inputs, which share one input scale; they start at -128 * (sum of the
// block's inputs), which undoes the weights' offset.
#include "kernels/x86/avx2/vec16.h"
//
#include "kernels/generic/activation.h"
#include "kernels/generic/operand.h"
#include "kernels/x86/avx2/row_blocks.h"
#include "kernels/x86/dot_kernels.h"

namespace sentinel {
namespace {

// acc += weights * x for two inputs of each lane, those whose words stand at x.
template <int R>
inline void add_pairs(__m256i low, __m256i high, const std::byte* x, int64_t stride,
                      __m256i (&acc)[R][2]) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    const __m256i pair = word_at(x + r * stride);
    acc[r][0] = settled(_mm256_add_epi32(acc[r][0], _mm256_madd_epi16(low, pair)));
    acc[r][1] = settled(_mm256_add_epi32(acc[r][1], _mm256_madd_epi16(high, pair)));
  }
}

// `n` inputs, a multiple of 4, whose words begin at x.
template <int R>
inline void add_inputs(const std::byte* w, const std::byte* x, int64_t stride, int n,
                       __m256i (&sums)[R][2]) {
  const __m256i even = _mm256_set1_epi16(0x00ff);
  __m256i acc[R][2];
  for (int r = 0; r < R; ++r) acc[r][0] = sums[r][0], acc[r][1] = sums[r][1];
  for (const std::byte* end = w + 16 * int64_t{n}; w < end; w += 64, x += 8) {
    if (R == 1) prefetch(w + kPrefetchAhead);
    const __m256i low = load_bytes(w), high = load_bytes(w + 32);
    add_pairs<R>(_mm256_and_si256(low, even), _mm256_and_si256(high, even), x, stride, acc);
    add_pairs<R>(_mm256_srli_epi16(low, 8), _mm256_srli_epi16(high, 8), x + 4, stride, acc);
  }
  for (int r = 0; r < R; ++r) sums[r][0] = acc[r][0], sums[r][1] = acc[r][1];
}

struct Int8Words {
  static constexpr int kInputBytes = 2;

  template <int R>
  [[gnu::noinline]] static void panel_rows(const LinearArgs& a, int row, int64_t panel) {
    const std::byte* base = a.weights + panel * a.panel_stride;
    const std::byte* x = a.x.data + row * a.x.stride;
    BlockSums<R> sums(128);
    for (int s = 0; s < a.n_segments; ++s) {
      const std::byte* w = base + a.segments[s].weight_offset;
      int k = a.segments[s].x_offset;
      const int end = k + a.segments[s].k;
      while (k < end) {
        const int block = k / kQuantBlock;
        sums.enter(a, row, block);
        const int block_end = (block + 1) * kQuantBlock;
        const int stop = end < block_end ? end : block_end;
        add_inputs<R>(w, x + 2 * k, a.x.stride, stop - k, sums.acc);
        w += 16 * int64_t{stop - k};
        k = stop;
      }
    }
    sums.store(a, row, panel);
  }
};

}  // namespace

// As prepare_int8(), then bytes to words: of each four inputs first the even two.
void prepare_int8_words(const PrepareArgs& a) {
  Segment all;
  int n;
  const Segment* segments = segments_or_all(a, all, n);
  alignas(32) signed char block[kQuantBlock];
  for (int r = 0; r < a.rows; ++r) {
    const float* x = a.x + r * a.x_stride;
    std::byte* out = a.out.data + r * a.out.stride;
    for (int begin = 0; begin < a.k_padded; begin += kQuantBlock) {
      const int end = begin + kQuantBlock < a.k_padded ? begin + kQuantBlock : a.k_padded;
      const int64_t entry = r * a.out.scales_stride + begin / kQuantBlock;
      a.out.block_sums[entry] =
          quantize_block(a, x, segments, n, begin, end, block - begin, a.out.scales + entry);
      for (int i = 0; i < end - begin; i += 16) {
        const __m256i words =
            _mm256_cvtepi8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(block + i)));
        const __m256i ordered = _mm256_shufflehi_epi16(_mm256_shufflelo_epi16(words, 0xd8), 0xd8);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 2 * (begin + i)), ordered);
      }
    }
  }
}

void linear_int8_words(const LinearArgs& a, int64_t begin, int64_t end) {
  by_row_blocks<Int8Words>(a, begin, end);
}

}  // namespace sentinel
