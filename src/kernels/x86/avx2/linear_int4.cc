// y = x W + b for int4 panels (layout: ref/linear_low.h): 32 bytes give two times 32 nibbles w + 8
// for eight outputs, each one VPMADDUBSW. A group of 32 inputs shares a weight scale; its 16-bit
// sums start at -8 * (sum of its inputs), which undoes the offset. They cannot overflow: a lane's
// two sums end within +- 8 * 127 * 32 = 32512, and the product of a pair is below 15 * 127 * 2.
#include "kernels/x86/avx2/vec16.h"
//
#include "kernels/generic/activation.h"
#include "kernels/x86/avx2/row_blocks.h"
#include "kernels/x86/dot_kernels.h"

namespace sentinel {
namespace {

// Four inputs of R rows for sixteen outputs.
template <int R>
inline void add_quad(__m256i low, __m256i high, const std::byte* x, int64_t stride,
                     __m256i (&acc)[R][2]) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    const __m256i quad = word_at(x + r * stride);
    acc[r][0] = settled(_mm256_add_epi16(acc[r][0], _mm256_maddubs_epi16(low, quad)));
    acc[r][1] = settled(_mm256_add_epi16(acc[r][1], _mm256_maddubs_epi16(high, quad)));
  }
}

// One group of 32 inputs of R rows.
template <int R>
inline void add_group(const LinearArgs& a, int row, int k, const std::byte* w,
                      const std::byte* scales, Vec16 (&total)[R]) {
  const std::byte* x = a.x.data + row * a.x.stride + k;
  const __m256i nibble = _mm256_set1_epi8(0x0f);
  __m256i acc[R][2];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    const int offset = a.x.starts[(row + r) * a.x.starts_stride + k / kSumBlock];
    acc[r][0] = acc[r][1] = _mm256_set1_epi32(offset & 0xffff);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j, w += 64, x += 8) {
    const __m256i low = load_bytes(w), high = load_bytes(w + 32);
    add_quad<R>(_mm256_and_si256(low, nibble), _mm256_and_si256(high, nibble), x, a.x.stride, acc);
    add_quad<R>(_mm256_and_si256(_mm256_srli_epi16(low, 4), nibble),
                _mm256_and_si256(_mm256_srli_epi16(high, 4), nibble), x + 4, a.x.stride, acc);
  }
  const __m256i ones = _mm256_set1_epi16(1);
  const Vec16 scale = load_f16(scales);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    const float input = a.x.scales[(row + r) * a.x.scales_stride + k / kQuantBlock];
    const Vec16 sum = {_mm256_cvtepi32_ps(_mm256_madd_epi16(acc[r][0], ones)),
                       _mm256_cvtepi32_ps(_mm256_madd_epi16(acc[r][1], ones))};
    total[r] = fma(sum, scale * Vec16::set1(input), total[r]);
  }
}

struct Int4Bytes {
  static constexpr int kInputBytes = 1;

  template <int R>
  [[gnu::noinline]] static void panel_rows(const LinearArgs& a, int row, int64_t panel) {
    const std::byte* base = a.weights + panel * a.panel_stride;
    Vec16 total[R];
    for (Vec16& v : total) v = Vec16::zero();
    for (int s = 0; s < a.n_segments; ++s) {
      const std::byte* w = base + a.segments[s].weight_offset;
      const int offset = a.segments[s].x_offset;
      for (int k = 0; k < a.segments[s].k; k += kInt4Step, w += kInt4StepBytes) {
        if (R == 1) {
          for (int line = 0; line < kInt4StepBytes; line += 64) prefetch(w + line + kPrefetchAhead);
        }
        add_group<R>(a, row, offset + k, w, w + 512, total);
        if (k + 32 < a.segments[s].k) {
          add_group<R>(a, row, offset + k + 32, w + 256, w + 544, total);
        }
      }
    }
    const int64_t column = panel * kPanel;
    for (int r = 0; r < R; ++r) {
      finish(a, total[r], a.bias ? a.bias + column : nullptr, a.y + (row + r) * a.y_stride + column,
             a.n_out - column);
    }
  }
};

}  // namespace

void linear_int4_bytes(const LinearArgs& a, int64_t begin, int64_t end) {
  by_row_blocks<Int4Bytes>(a, begin, end);
}

}  // namespace sentinel
