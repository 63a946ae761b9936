// Weights to packed panels (layouts: ref/linear_low.h). Included after a vec16.h.
#pragma once

#include "kernels/types.h"

namespace sentinel {
namespace {

void encode_bf16(const float* rows, int64_t k, const float*, std::byte* panel) {
  for (int64_t i = 0; i < k; i += 2, panel += 64) {
    store_bf16_pairs(Vec16::load(rows + i * kPanel), Vec16::load(rows + (i + 1) * kPanel), panel);
  }
}

inline Vec16 clamped(Vec16 x, float low, float high) {
  return min(max(x, Vec16::set1(low)), Vec16::set1(high));
}

// 1 / scale, of a scale of 0: 0.
inline Vec16 inverse_of(Vec16 scale) {
  const Vec16 zero = Vec16::zero();
  return where_less(zero, abs(scale), Vec16::set1(1) / scale, zero);
}

inline Vec16 widest_of(const float* rows, int64_t k) {
  Vec16 widest = Vec16::zero();
  for (int64_t i = 0; i < k; ++i) {
    const Vec16 x = Vec16::load(rows + i * kPanel);
    widest = where_less(abs(widest), abs(x), x, widest);
  }
  return widest;
}

void widest(const float* rows, int64_t k, float* out) { widest_of(rows, k).store(out); }

void encode_int8(const float* rows, int64_t k, const float* column_scales, std::byte* panel) {
  const Vec16 inverse = inverse_of(Vec16::load(column_scales));
  for (int64_t i = 0; i < k; i += 4, panel += 64) {
    Vec16 quad[4];
    for (int j = 0; j < 4; ++j) {
      const Vec16 q = round_nearest(Vec16::load(rows + (i + j) * kPanel) * inverse);
      quad[j] = clamped(q, -127, 127) + Vec16::set1(128);
    }
    store_quads(quad, panel);
  }
}

// Of each 32 inputs: 4 rows with the lower four bits of two quads, 2 rows with the upper two of
// four.
void encode_int6(const float* rows, int64_t k, const float* column_scales, std::byte* panel) {
  const Vec16 zero = Vec16::zero(), inverse = inverse_of(Vec16::load(column_scales));
  for (int64_t i = 0; i < k; i += kInt6Group, panel += kInt6GroupBytes) {
    for (int half = 0; half < 2; ++half) {
      Vec16 upper[4] = {zero, zero, zero, zero};
      for (int q = 0; q < 4; q += 2) {
        Vec16 lower[4] = {zero, zero, zero, zero};
        for (int j = 0; j < 8; ++j) {
          const Vec16 x = Vec16::load(rows + (i + 16 * half + 4 * q + j) * kPanel);
          const Vec16 w = clamped(round_nearest(x * inverse), -32, 31) + Vec16::set1(32);
          const Vec16 high = round_nearest((w - Vec16::set1(7.5F)) * Vec16::set1(1.0F / 16));
          const Vec16 low = fma(high, Vec16::set1(-16), w);
          const int quad = q + j / 4;
          upper[j % 4] = fma(high, Vec16::set1(static_cast<float>(1 << 2 * quad)), upper[j % 4]);
          lower[j % 4] = fma(low, Vec16::set1(quad % 2 ? 16 : 1), lower[j % 4]);
        }
        store_quads(lower, panel + 128 * half + 32 * q);
      }
      store_quads(upper, panel + 256 + 64 * half);
    }
  }
}

inline Vec16 int4_of(Vec16 x, Vec16 inverse) { return clamped(round_nearest(x * inverse), -8, 7); }

// The scale of one group of 32 that leaves the smallest squared error, of a few candidates that map
// the entry of largest magnitude to between -6 and -9 (-8 is the widest value a nibble holds).
inline Vec16 best_int4_scale(const float* rows) {
  const Vec16 zero = Vec16::zero(), widest = widest_of(rows, kSumBlock);
  Vec16 best = zero, best_error = Vec16::set1(3.0e38F);
  for (float target = -6.0F; target >= -9.0F; target -= 0.5F) {
    alignas(32) unsigned short half[16];
    store_f16(widest * Vec16::set1(1 / target), half);
    const Vec16 scale = load_f16(half);
    const Vec16 inverse = inverse_of(scale);
    Vec16 error = zero;
    for (int i = 0; i < kSumBlock; ++i) {
      const Vec16 x = Vec16::load(rows + i * kPanel);
      const Vec16 d = x - int4_of(x, inverse) * scale;
      error = fma(d, d, error);
    }
    best = where_less(error, best_error, scale, best);
    best_error = min(error, best_error);
  }
  return best;
}

void encode_int4(const float* rows, int64_t k, const float*, std::byte* panel) {
  for (int64_t step = 0; step < k; step += kInt4Step, panel += kInt4StepBytes) {
    for (int g = 0; g < 2; ++g) {
      const float* group = rows + (step + 32 * g) * kPanel;
      const Vec16 scale = best_int4_scale(group);
      store_f16(scale, panel + 512 + 32 * g);
      const Vec16 inverse = inverse_of(scale);
      for (int j = 0; j < 4; ++j) {
        Vec16 quad[4];
        for (int e = 0; e < 4; ++e) {
          const float* low = group + (8 * j + e) * kPanel;
          const Vec16 low_q = int4_of(Vec16::load(low), inverse) + Vec16::set1(8);
          const Vec16 high_q = int4_of(Vec16::load(low + 4 * kPanel), inverse) + Vec16::set1(8);
          quad[e] = fma(high_q, Vec16::set1(16), low_q);
        }
        store_quads(quad, panel + 256 * g + 64 * j);
      }
    }
  }
}

}  // namespace
}  // namespace sentinel
