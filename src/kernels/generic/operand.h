// Inputs to operands: bf16, or int8 with a scale per 256 inputs. Included after a vec16.h.
#pragma once

#include "kernels/types.h"

namespace sentinel {
namespace {

inline const Segment* segments_or_all(const PrepareArgs& a, Segment& all, int& n) {
  all = {0, 0, a.k};
  n = a.segments ? a.n_segments : 1;
  return a.segments ? a.segments : &all;
}

void prepare_bf16(const PrepareArgs& a) {
  Segment all;
  int n;
  const Segment* segments = segments_or_all(a, all, n);
  for (int r = 0; r < a.rows; ++r) {
    const float* x = a.x + r * a.x_stride;
    std::byte* out = a.out.data + r * a.out.stride;
    int done = 0;  // inputs written so far
    for (int s = 0; s < n; ++s) {
      const int begin = segments[s].x_offset;
      const int end = begin + segments[s].k < a.k ? begin + segments[s].k : a.k;
      if (begin > done) __builtin_memset(out + 2 * done, 0, 2 * (begin - done));
      for (int i = begin; i < end; i += 16) {
        store_bf16(Vec16::load_n(x + i, end - i), out + 2 * i);
      }
      done = end > done ? end : done;
    }
    const int written = (done + 15) / 16 * 16;
    if (a.k_padded > written) __builtin_memset(out + 2 * written, 0, 2 * (a.k_padded - written));
  }
}

// Largest |x| of inputs [begin, end) that lie in a segment.
inline float highest_in_use(const PrepareArgs& a, const float* x, const Segment* segments, int n,
                            int begin, int end) {
  Vec16 high = Vec16::zero();
  for (int s = 0; s < n; ++s) {
    const int from = segments[s].x_offset > begin ? segments[s].x_offset : begin;
    int to = segments[s].x_offset + segments[s].k;
    to = to < end ? to : end;
    to = to < a.k ? to : a.k;
    for (int i = from; i < to; i += 16) high = max(high, abs(Vec16::load_n(x + i, to - i)));
  }
  return high.highest();
}

// One block of up to 256 inputs of one row.
inline void quantize_block(const PrepareArgs& a, const float* x, const Segment* segments, int n,
                           int begin, int end, signed char* out, float* scale) {
  const float high = highest_in_use(a, x, segments, n, begin, end);
  *scale = high / 127;
  __builtin_memset(out + begin, 0, end - begin);
  if (!(high > 0)) return;
  const Vec16 inverse = Vec16::set1(127 / high);
  for (int s = 0; s < n; ++s) {
    const int from = segments[s].x_offset > begin ? segments[s].x_offset : begin;
    int to = segments[s].x_offset + segments[s].k;
    to = to < end ? to : end;
    to = to < a.k ? to : a.k;
    // Segments begin at multiples of 16, so whole stores never reach into the next one's part
    // before it is written.
    for (int i = from; i < to; i += 16) {
      store_int8(Vec16::load_n(x + i, to - i) * inverse, out + i);
    }
  }
}

inline void sum_blocks(const PrepareArgs& a, const signed char* q, int32_t* sums,
                       int32_t* block_sums) {
  for (int begin = 0; begin < a.k_padded; begin += kSumBlock) {
    int sum = 0;
    for (int i = 0; i < kSumBlock; ++i) sum += q[begin + i];
    sums[begin / kSumBlock] = sum;
    if (begin % kQuantBlock == 0) block_sums[begin / kQuantBlock] = 0;
    block_sums[begin / kQuantBlock] += sum;
  }
}

void prepare_int8(const PrepareArgs& a) {
  Segment all;
  int n;
  const Segment* segments = segments_or_all(a, all, n);
  for (int r = 0; r < a.rows; ++r) {
    const float* x = a.x + r * a.x_stride;
    auto* out = reinterpret_cast<signed char*>(a.out.data + r * a.out.stride);
    float* scales = a.out.scales + r * a.out.scales_stride;
    for (int begin = 0; begin < a.k_padded; begin += kQuantBlock) {
      const int end = begin + kQuantBlock < a.k_padded ? begin + kQuantBlock : a.k_padded;
      quantize_block(a, x, segments, n, begin, end, out, scales + begin / kQuantBlock);
    }
    sum_blocks(a, out, a.out.sums + r * a.out.sums_stride,
               a.out.block_sums + r * a.out.scales_stride);
  }
}

}  // namespace
}  // namespace sentinel
