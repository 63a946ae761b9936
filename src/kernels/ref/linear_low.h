// y = x W + b for bf16, int8, int6 and int4 panels in float arithmetic: the plain twin of the
// vector kernels. Included after vec16.h.
//
// Products of int8 operands and the sums of 256 of them are below 2^24, so float holds them
// exactly: this twin differs from the integer kernels only in the order of the final additions.
#pragma once

#include "kernels/ref/vec16.h"
//
#include "kernels/generic/activation.h"
#include "kernels/types.h"

namespace sentinel {
namespace {

inline const signed char* row_int8(const LinearArgs& a, int64_t row) {
  return reinterpret_cast<const signed char*>(a.x.data + row * a.x.stride);
}

inline float bf16_at(const std::byte* p) {
  unsigned short half;
  __builtin_memcpy(&half, p, 2);
  const unsigned word = unsigned{half} << 16;
  float value;
  __builtin_memcpy(&value, &word, 4);
  return value;
}

// Panel [k / 2][16][2].
struct Bf16Panel {
  static Vec16 product(const LinearArgs& a, int64_t row, const std::byte* panel, int64_t) {
    const std::byte* x = a.x.data + row * a.x.stride;
    Vec16 even = Vec16::zero(), odd = Vec16::zero();
    for (int s = 0; s < a.n_segments; ++s) {
      const std::byte* w = panel + a.segments[s].weight_offset;
      const std::byte* in = x + 2 * a.segments[s].x_offset;
      for (int k = 0; k < a.segments[s].k; k += 2, w += 64) {
        even = fma(load_bf16_half<0>(w), Vec16::set1(bf16_at(in + 2 * k)), even);
        odd = fma(load_bf16_half<1>(w), Vec16::set1(bf16_at(in + 2 * k + 2)), odd);
      }
    }
    return even + odd;
  }
};

// Four weights of a lane less their zero point, times four inputs.
inline Vec16 quad_sum(const Vec16 (&weights)[4], float zero_point, const signed char* x,
                      Vec16 sum) {
  for (int j = 0; j < 4; ++j) {
    sum = fma(weights[j] - Vec16::set1(zero_point), Vec16::set1(x[j]), sum);
  }
  return sum;
}

// Panel [k / 4][16][4] of unsigned bytes w + 128.
struct Int8Format {
  static constexpr int kGroup = 4, kGroupBytes = 64;
  static Vec16 group(const std::byte* w, const signed char* x, Vec16 sum) {
    const Vec16 quad[4] = {load_bits<0, 8>(w), load_bits<8, 8>(w), load_bits<16, 8>(w),
                           load_bits<24, 8>(w)};
    return quad_sum(quad, 128, x, sum);
  }
};

// Panel of groups of 32 inputs: 4 rows of 64 bytes, row j holding the lower four bits of quads 2j
// (low nibbles) and 2j + 1 (high nibbles) of w + 32 as [16][4]; then 2 rows, row i holding the
// upper two bits of quads 4i to 4i + 3, from the lowest bits of a byte on.
struct Int6Format {
  static constexpr int kGroup = kInt6Group, kGroupBytes = kInt6GroupBytes;
  static Vec16 group(const std::byte* w, const signed char* x, Vec16 sum) {
    for (int half = 0; half < 2; ++half, w += 128, x += 16) {
      const std::byte* upper = w + 256 - 64 * half;
      sum = quad<0, 0>(w, upper, x, sum);
      sum = quad<4, 2>(w, upper, x + 4, sum);
      sum = quad<0, 4>(w + 64, upper, x + 8, sum);
      sum = quad<4, 6>(w + 64, upper, x + 12, sum);
    }
    return sum;
  }

 private:
  template <int kLow, int kHigh>
  static Vec16 quad(const std::byte* lower, const std::byte* upper, const signed char* x,
                    Vec16 sum) {
    const Vec16 sixteen = Vec16::set1(16);
    const Vec16 weights[4] = {
        fma(load_bits<kHigh, 2>(upper), sixteen, load_bits<kLow, 4>(lower)),
        fma(load_bits<kHigh + 8, 2>(upper), sixteen, load_bits<kLow + 8, 4>(lower)),
        fma(load_bits<kHigh + 16, 2>(upper), sixteen, load_bits<kLow + 16, 4>(lower)),
        fma(load_bits<kHigh + 24, 2>(upper), sixteen, load_bits<kLow + 24, 4>(lower))};
    return quad_sum(weights, 32, x, sum);
  }
};

// Weights with one scale an output.
template <typename Format>
struct ScaledPanel {
  static Vec16 product(const LinearArgs& a, int64_t row, const std::byte* panel, int64_t column) {
    const signed char* x = row_int8(a, row);
    const float* scales = a.x.scales + row * a.x.scales_stride;
    Vec16 total = Vec16::zero(), sum = Vec16::zero();
    int block = -1;
    for (int s = 0; s < a.n_segments; ++s) {
      const std::byte* w = panel + a.segments[s].weight_offset;
      const int offset = a.segments[s].x_offset;
      const int end = offset + a.segments[s].k;
      for (int k = offset; k < end; k += Format::kGroup, w += Format::kGroupBytes) {
        if (k / kQuantBlock != block) {
          if (block >= 0) total = fma(sum, Vec16::set1(scales[block]), total);
          block = k / kQuantBlock;
          sum = Vec16::zero();
        }
        sum = Format::group(w, x + k, sum);
      }
    }
    if (block >= 0) total = fma(sum, Vec16::set1(scales[block]), total);
    return total * Vec16::load(a.weight_scales + column);
  }
};

using Int8Panel = ScaledPanel<Int8Format>;
using Int6Panel = ScaledPanel<Int6Format>;

// Panel of steps of 64 inputs: 8 rows of 64 bytes, row j holding quads 2j (low nibbles) and 2j + 1
// (high nibbles) of w + 8 as [16][4]; then 16 f16 scales for each of the two groups of 32. A
// segment may end after the first group.
struct Int4Panel {
  static Vec16 product(const LinearArgs& a, int64_t row, const std::byte* panel, int64_t) {
    const signed char* x = row_int8(a, row);
    const float* scales = a.x.scales + row * a.x.scales_stride;
    Vec16 total = Vec16::zero();
    for (int s = 0; s < a.n_segments; ++s) {
      const std::byte* w = panel + a.segments[s].weight_offset;
      const int offset = a.segments[s].x_offset;
      for (int k = 0; k < a.segments[s].k; k += kInt4Step, w += kInt4StepBytes) {
        for (int g = 0; g < 2 && k + 32 * g < a.segments[s].k; ++g) {
          const int begin = offset + k + 32 * g;
          const Vec16 scale = load_f16(w + 512 + 32 * g) * Vec16::set1(scales[begin / kQuantBlock]);
          total = fma(group(x + begin, w + 256 * g), scale, total);
        }
      }
    }
    return total;
  }

 private:
  static Vec16 group(const signed char* x, const std::byte* w) {
    Vec16 sum = Vec16::zero();
    for (int j = 0; j < 4; ++j, w += 64, x += 8) sum = quad<4>(w, x + 4, quad<0>(w, x, sum));
    return sum;
  }
  template <int kShift>
  static Vec16 quad(const std::byte* w, const signed char* x, Vec16 sum) {
    const Vec16 weights[4] = {load_bits<kShift, 4>(w), load_bits<kShift + 8, 4>(w),
                              load_bits<kShift + 16, 4>(w), load_bits<kShift + 24, 4>(w)};
    return quad_sum(weights, 8, x, sum);
  }
};

template <typename Panel>
void linear_low(const LinearArgs& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const int64_t panel = panel_index(a, i), column = panel * kPanel;
    const std::byte* weights = a.weights + panel * a.panel_stride;
    for (int row = 0; row < a.rows; ++row) {
      finish(a, Panel::product(a, row, weights, column), a.bias ? a.bias + column : nullptr,
             a.y + row * a.y_stride + column, a.n_out - column);
    }
  }
}

}  // namespace
}  // namespace sentinel
