// Sixteen floats in plain C++: the fallback for any CPU.
#pragma once

#include <cmath>

namespace sentinel {
namespace {

struct Vec16 {
  float v[16];

  static Vec16 zero() { return set1(0); }
  static Vec16 set1(float x) {
    Vec16 out;
    for (float& lane : out.v) lane = x;
    return out;
  }
  static Vec16 load(const float* p) {
    Vec16 out;
    for (int i = 0; i < 16; ++i) out.v[i] = p[i];
    return out;
  }
  // Lanes from n on are 0.
  static Vec16 load_n(const float* p, int n) {
    Vec16 out = zero();
    for (int i = 0; i < n && i < 16; ++i) out.v[i] = p[i];
    return out;
  }
  void store(float* p) const {
    for (int i = 0; i < 16; ++i) p[i] = v[i];
  }
  void store_n(float* p, int n) const {
    for (int i = 0; i < n && i < 16; ++i) p[i] = v[i];
  }
  float sum() const {
    float total = 0;
    for (float lane : v) total += lane;
    return total;
  }
  float highest() const {
    float best = v[0];
    for (float lane : v) best = lane > best ? lane : best;
    return best;
  }
  // Lanes from n on are replaced by `other`.
  Vec16 first_n_or(int n, Vec16 other) const {
    Vec16 out = other;
    for (int i = 0; i < n && i < 16; ++i) out.v[i] = v[i];
    return out;
  }
};

// Lane c is bits [shift, shift + bits) of the c-th 32-bit word at p.
template <int kShift, int kBits>
inline Vec16 load_bits(const void* p) {
  Vec16 out;
  for (int i = 0; i < 16; ++i) {
    unsigned word;
    __builtin_memcpy(&word, static_cast<const char*>(p) + 4 * i, 4);
    out.v[i] = static_cast<float>((word >> kShift) & ((1U << kBits) - 1));
  }
  return out;
}
// The low (kHigh = 0) or high bf16 of each 32-bit word at p.
template <int kHigh>
inline Vec16 load_bf16_half(const void* p) {
  Vec16 out;
  for (int i = 0; i < 16; ++i) {
    unsigned word;
    __builtin_memcpy(&word, static_cast<const char*>(p) + 4 * i, 4);
    word = kHigh ? word & 0xffff0000U : word << 16;
    __builtin_memcpy(&out.v[i], &word, 4);
  }
  return out;
}
inline Vec16 load_f16(const void* p) {
  Vec16 out;
  for (int i = 0; i < 16; ++i) {
    unsigned short half;
    __builtin_memcpy(&half, static_cast<const char*>(p) + 2 * i, 2);
    const unsigned sign = (half & 0x8000U) << 16, rest = half & 0x7fffU;
    // Exponent rebased by a multiplication, which also gets subnormals right.
    unsigned word = rest << 13;
    float value;
    __builtin_memcpy(&value, &word, 4);
    value *= 0x1p112F;
    __builtin_memcpy(&word, &value, 4);
    word |= sign;
    __builtin_memcpy(&out.v[i], &word, 4);
  }
  return out;
}
// Rounded to the nearest int8, as 16 bytes; |lanes| <= 127.
inline void store_int8(const Vec16& a, void* p) {
  for (int i = 0; i < 16; ++i) {
    static_cast<signed char*>(p)[i] = static_cast<signed char>(std::nearbyint(a.v[i]));
  }
}
// Rounded to the nearest bf16 (ties to even), as 32 bytes.
inline void store_bf16(const Vec16& a, void* p) {
  for (int i = 0; i < 16; ++i) {
    unsigned word;
    __builtin_memcpy(&word, &a.v[i], 4);
    const auto half = static_cast<unsigned short>((word + 0x7fffU + ((word >> 16) & 1)) >> 16);
    __builtin_memcpy(static_cast<char*>(p) + 2 * i, &half, 2);
  }
}

inline void store_f16(const Vec16& a, void* p) {
  for (int i = 0; i < 16; ++i) {
    // Halving the exponent range by a multiplication rounds subnormal halves right, too.
    const float scaled = std::fabs(a.v[i]) * 0x1p-112F;
    unsigned word;
    __builtin_memcpy(&word, &scaled, 4);
    word = (word + 0xfffU + ((word >> 13) & 1)) >> 13;
    if (word > 0x7bffU) word = 0x7bffU;  // saturate: a scale is never infinite
    const auto half = static_cast<unsigned short>(word | (std::signbit(a.v[i]) ? 0x8000U : 0U));
    __builtin_memcpy(static_cast<char*>(p) + 2 * i, &half, 2);
  }
}
// 64 bytes [16][4] of whole numbers 0..255.
inline void store_quads(const Vec16 q[4], void* p) {
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 4; ++j) {
      static_cast<unsigned char*>(p)[4 * i + j] = static_cast<unsigned char>(q[j].v[i]);
    }
  }
}
inline Vec16 round_nearest(Vec16 a) {
  for (float& lane : a.v) lane = std::nearbyint(lane);
  return a;
}
// a where c < d, else b.
inline Vec16 where_less(const Vec16& c, const Vec16& d, const Vec16& a, const Vec16& b) {
  Vec16 out;
  for (int i = 0; i < 16; ++i) out.v[i] = c.v[i] < d.v[i] ? a.v[i] : b.v[i];
  return out;
}

template <typename F>
inline Vec16 map2(Vec16 a, Vec16 b, F f) {
  for (int i = 0; i < 16; ++i) a.v[i] = f(a.v[i], b.v[i]);
  return a;
}
inline Vec16 operator+(Vec16 a, Vec16 b) { return map2(a, b, [](float x, float y) { return x + y; }); }
inline Vec16 operator-(Vec16 a, Vec16 b) { return map2(a, b, [](float x, float y) { return x - y; }); }
inline Vec16 operator*(Vec16 a, Vec16 b) { return map2(a, b, [](float x, float y) { return x * y; }); }
inline Vec16 operator/(Vec16 a, Vec16 b) { return map2(a, b, [](float x, float y) { return x / y; }); }
inline Vec16 max(Vec16 a, Vec16 b) { return map2(a, b, [](float x, float y) { return x > y ? x : y; }); }
inline Vec16 min(Vec16 a, Vec16 b) { return map2(a, b, [](float x, float y) { return x < y ? x : y; }); }
inline Vec16 fma(Vec16 a, Vec16 b, Vec16 c) { return a * b + c; }
inline Vec16 exp(Vec16 a) {
  for (float& lane : a.v) lane = std::exp(lane);
  return a;
}
inline Vec16 abs(Vec16 a) {
  for (float& lane : a.v) lane = std::fabs(lane);
  return a;
}
// |a| with the sign of b.
inline Vec16 copy_sign(Vec16 a, Vec16 b) {
  return map2(a, b, [](float x, float y) { return std::copysign(x, y); });
}
inline void prefetch(const void* p) { __builtin_prefetch(p); }

constexpr int kTileRows = 4;    // rows x panels of accumulators that fit the registers
constexpr int kTilePanels = 1;

}  // namespace
}  // namespace sentinel
