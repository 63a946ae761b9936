// Inputs to operands: bf16, or int8 with a scale per 256 inputs. Included after a vec16.h.
#pragma once

#include "kernels/types.h"

namespace sentinel {
namespace {

// The scale of a block whose largest magnitude is `highest`, and its inverse. A block below 1e-30
// counts as 0, as 127 / highest could overflow; NaN stays NaN.
struct BlockScale {
  explicit BlockScale(float highest)
      : scale(highest < 1e-30F ? 0 : highest / 127), inverse(scale > 0 ? 127 / highest : 0) {}
  float scale, inverse;
};

inline const Segment* segments_or_all(const PrepareArgs& a, Segment& all, int& n) {
  all = {0, 0, a.k};
  n = a.n_segments < 0 ? 1 : a.n_segments;
  return a.n_segments < 0 ? &all : a.segments;
}

// kFloats: bf16 numbers as floats.
template <bool kFloats>
void prepare_bf16(const PrepareArgs& a) {
  constexpr int kBytes = kFloats ? 4 : 2;
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
      if (begin > done) __builtin_memset(out + kBytes * done, 0, kBytes * (begin - done));
      for (int i = begin; i < end; i += 16) {
        const Vec16 part = Vec16::load_n(x + i, end - i);
        if constexpr (kFloats) {
          round_bf16(part).store(reinterpret_cast<float*>(out) + i);
        } else {
          store_bf16(part, out + 2 * i);
        }
      }
      done = end > done ? end : done;
    }
    const int written = (done + 15) / 16 * 16;
    if (a.k_padded > written) {
      __builtin_memset(out + kBytes * written, 0, kBytes * (a.k_padded - written));
    }
  }
}

// Calls part(from, to) for each run of inputs [begin, end) that lies in a segment.
template <typename Part>
inline void for_each_run(const PrepareArgs& a, const Segment* segments, int n, int begin, int end,
                         const Part& part) {
  end = end < a.k ? end : a.k;
  for (int s = 0; s < n; ++s) {
    const int from = segments[s].x_offset > begin ? segments[s].x_offset : begin;
    const int segment_end = segments[s].x_offset + segments[s].k;
    const int to = segment_end < end ? segment_end : end;
    if (from < to) part(from, to);
  }
}

// One block of up to 256 inputs of one row; returns the sum of the quantised inputs.
inline int quantize_block(const PrepareArgs& a, const float* x, const Segment* segments, int n,
                          int begin, int end, signed char* out, float* scale) {
  Vec16 high = Vec16::zero();
  for_each_run(a, segments, n, begin, end, [&](int from, int to) {
    int i = from;
    for (; i + 16 <= to; i += 16) high = max(high, abs(Vec16::load(x + i)));
    if (i < to) high = max(high, abs(Vec16::load_n(x + i, to - i)));
  });
  const BlockScale block(high.highest());
  *scale = block.scale;
  if (block.inverse == 0) {
    __builtin_memset(out + begin, 0, end - begin);
    return 0;
  }
  const Vec16 inverse = Vec16::set1(block.inverse);
  Vec16 sum = Vec16::zero();
  int done = begin;  // written so far
  // Segments begin at multiples of 32, so whole stores never reach into the next one's part.
  for_each_run(a, segments, n, begin, end, [&](int from, int to) {
    if (from > done) __builtin_memset(out + done, 0, from - done);
    for (int i = from; i < to; i += 16) {
      const Vec16 part = i + 16 <= to ? Vec16::load(x + i) : Vec16::load_n(x + i, to - i);
      const Vec16 q = round_nearest(part * inverse);
      sum = sum + q;
      store_int8(q, out + i);
    }
    done = from + (to - from + 15) / 16 * 16;
  });
  if (done < end) __builtin_memset(out + done, 0, end - done);
  return static_cast<int>(sum.sum());
}

// kGroupStarts: where the sums of each 32 inputs start too, which int4 weights need.
template <bool kGroupStarts>
void prepare_int8(const PrepareArgs& a) {
  Segment all;
  int n;
  const Segment* segments = segments_or_all(a, all, n);
  for (int r = 0; r < a.rows; ++r) {
    const float* x = a.x + r * a.x_stride;
    auto* out = reinterpret_cast<signed char*>(a.out.data + r * a.out.stride);
    for (int begin = 0; begin < a.k_padded; begin += kQuantBlock) {
      const int end = begin + kQuantBlock < a.k_padded ? begin + kQuantBlock : a.k_padded;
      const int64_t entry = r * a.out.scales_stride + begin / kQuantBlock;
      a.out.block_sums[entry] =
          quantize_block(a, x, segments, n, begin, end, out, a.out.scales + entry);
    }
    if (!kGroupStarts) continue;
    int32_t* starts = a.out.starts + r * a.out.starts_stride;
    for (int begin = 0; begin < a.k_padded; begin += kSumBlock) {
      int sum = 0;
      for (int i = 0; i < kSumBlock; ++i) sum += out[begin + i];
      starts[begin / kSumBlock] = -8 * sum;
    }
  }
}

}  // namespace
}  // namespace sentinel
