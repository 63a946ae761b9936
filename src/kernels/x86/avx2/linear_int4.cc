// y = x W + b for int4 panels (layout: ref/linear_low.h): 32 bytes give two times 32 nibbles w + 8
// for eight outputs, each one VPMADDUBSW. A group of 32 inputs shares a weight scale and is added
// up in 16 bits, which cannot overflow: 16 * 15 * 127 = 30480. Its start, -8 * (sum of its inputs),
// undoes the offset. An input scale is applied once for the groups of its 256 inputs.
#include "kernels/x86/avx2/vec16.h"
//
#include "kernels/generic/activation.h"
#include "kernels/x86/avx2/row_blocks.h"
#include "kernels/x86/dot_kernels.h"

namespace sentinel {
namespace {

// Four inputs of R rows for sixteen outputs, the first ones of a group or more of them.
template <bool kFirst, int R>
inline void add_quad(__m256i low, __m256i high, const std::byte* x, int64_t stride,
                     __m256i (&acc)[R][2]) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    const __m256i quad = word_at(x + r * stride);
    const __m256i lows = _mm256_maddubs_epi16(low, quad), highs = _mm256_maddubs_epi16(high, quad);
    acc[r][0] = kFirst ? lows : settled(_mm256_add_epi16(acc[r][0], lows));
    acc[r][1] = kFirst ? highs : settled(_mm256_add_epi16(acc[r][1], highs));
  }
}

// Eight inputs of R rows, whose weights begin at w.
template <bool kFirst, int R>
inline void add_quads(const std::byte* w, const std::byte* x, int64_t stride,
                      __m256i (&acc)[R][2]) {
  const __m256i nibble = _mm256_set1_epi8(0x0f);
  const __m256i low = load_bytes(w), high = load_bytes(w + 32);
  add_quad<kFirst, R>(_mm256_and_si256(low, nibble), _mm256_and_si256(high, nibble), x, stride,
                      acc);
  add_quad<false, R>(_mm256_and_si256(_mm256_srli_epi16(low, 4), nibble),
                     _mm256_and_si256(_mm256_srli_epi16(high, 4), nibble), x + 4, stride, acc);
}

// sums += one group of 32 inputs of R rows, without the scales of the inputs.
template <int R>
inline void add_group(const LinearArgs& a, int row, int k, const std::byte* w,
                      const std::byte* scales, Vec16 (&sums)[R]) {
  const std::byte* x = a.x.data + row * a.x.stride + k;
  __m256i acc[R][2];
  add_quads<true, R>(w, x, a.x.stride, acc);
#pragma GCC unroll 3
  for (int j = 1; j < 4; ++j) add_quads<false, R>(w + 64 * j, x + 8 * j, a.x.stride, acc);
  const __m256i ones = _mm256_set1_epi16(1);
  const Vec16 scale = load_f16(scales);
  const int32_t* start = a.x.starts + row * a.x.starts_stride + k / kSumBlock;
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r, start += a.x.starts_stride) {
    const __m256i offset = _mm256_set1_epi32(*start);
    const auto sum = [&](__m256i words) {
      return _mm256_cvtepi32_ps(_mm256_add_epi32(_mm256_madd_epi16(words, ones), offset));
    };
    sums[r] = fma({sum(acc[r][0]), sum(acc[r][1])}, scale, sums[r]);
  }
}

// Sums of the groups in one block of 256 inputs, which share an input scale, for R rows and one
// panel, and what is finished of the products.
template <int R>
struct GroupSums {
  GroupSums() {
    for (int r = 0; r < R; ++r) sums[r] = total[r] = Vec16::zero();
  }
  void enter(const LinearArgs& a, int row, int next) {
    if (next == block) return;
    flush(a, row);
    block = next;
  }
  void flush(const LinearArgs& a, int row) {
    if (block < 0) return;
    for (int r = 0; r < R; ++r) {
      const float scale = a.x.scales[(row + r) * a.x.scales_stride + block];
      total[r] = fma(sums[r], Vec16::set1(scale), total[r]);
      sums[r] = Vec16::zero();
    }
  }

  Vec16 sums[R], total[R];
  int block = -1;
};

struct Int4Bytes {
  static constexpr int kInputBytes = 1;

  template <int R>
  [[gnu::noinline]] static void panel_rows(const LinearArgs& a, int row, int64_t panel) {
    const std::byte* base = a.weights + panel * a.panel_stride;
    GroupSums<R> groups;
    const auto add = [&](int k, const std::byte* w, const std::byte* scales) {
      groups.enter(a, row, k / kQuantBlock);
      add_group<R>(a, row, k, w, scales, groups.sums);
    };
    for (int s = 0; s < a.n_segments; ++s) {
      const std::byte* w = base + a.segments[s].weight_offset;
      const int begin = a.segments[s].x_offset, end = begin + a.segments[s].k;
      for (int k = begin; k < end; k += kInt4Step, w += kInt4StepBytes) {
        if (R == 1) {
          for (int line = 0; line < kInt4StepBytes; line += 64) prefetch(w + line + kPrefetchAhead);
        }
        add(k, w, w + 512);
        if (k + 32 < end) add(k + 32, w + 256, w + 544);
      }
    }
    groups.flush(a, row);
    const int64_t column = panel * kPanel;
    for (int r = 0; r < R; ++r) {
      finish(a, groups.total[r], a.bias ? a.bias + column : nullptr,
             a.y + (row + r) * a.y_stride + column, a.n_out - column);
    }
  }
};

}  // namespace

void linear_int4_bytes(const LinearArgs& a, int64_t begin, int64_t end) {
  by_row_blocks<Int4Bytes>(a, begin, end);
}

}  // namespace sentinel
