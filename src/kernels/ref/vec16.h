// Sixteen floats for any CPU: the compiler's vector type, which becomes whatever the baseline has.
#pragma once

#include <cmath>

namespace sentinel {
namespace {

typedef float Float16Lanes __attribute__((vector_size(64)));
typedef int Int16Lanes __attribute__((vector_size(64)));

struct Vec16 {
  Float16Lanes v;

  static Vec16 zero() { return {Float16Lanes{}}; }
  static Vec16 set1(float x) { return {Float16Lanes{} + x}; }
  static Vec16 load(const float* p) {
    Vec16 out;
    __builtin_memcpy(&out.v, p, sizeof out.v);
    return out;
  }
  // Lanes from n on are 0.
  static Vec16 load_n(const float* p, int n) {
    if (n >= 16) return load(p);
    Vec16 out = zero();
    if (n > 0) __builtin_memcpy(&out.v, p, sizeof(float) * n);
    return out;
  }
  void store(float* p) const { __builtin_memcpy(p, &v, sizeof v); }
  void store_n(float* p, int n) const {
    if (n > 0) __builtin_memcpy(p, &v, sizeof(float) * (n < 16 ? n : 16));
  }
  float sum() const {
    float total = 0;
    for (int i = 0; i < 16; ++i) total += v[i];
    return total;
  }
  float highest() const {
    float best = v[0];
    for (int i = 1; i < 16; ++i) best = v[i] > best ? v[i] : best;
    return best;
  }
  // Lanes from n on are replaced by `other`.
  Vec16 first_n_or(int n, Vec16 other) const {
    if (n >= 16) return *this;
    if (n > 0) __builtin_memcpy(&other.v, &v, sizeof(float) * n);
    return other;
  }
};

inline Int16Lanes load_words(const void* p) {
  Int16Lanes words;
  __builtin_memcpy(&words, p, sizeof words);
  return words;
}
// Lane c is bits [shift, shift + bits) of the c-th 32-bit word at p.
template <int kShift, int kBits>
inline Vec16 load_bits(const void* p) {
  return {__builtin_convertvector((load_words(p) >> kShift) & ((1 << kBits) - 1), Float16Lanes)};
}
// The low (kHigh = 0) or high bf16 of each 32-bit word at p.
template <int kHigh>
inline Vec16 load_bf16_half(const void* p) {
  const Int16Lanes words = load_words(p);
  return {(Float16Lanes)(kHigh ? words & static_cast<int>(0xffff0000U) : words << 16)};
}
inline Vec16 load_f16(const void* p) {
  Vec16 out = Vec16::zero();
  for (int i = 0; i < 16; ++i) {
    unsigned short half;
    __builtin_memcpy(&half, static_cast<const char*>(p) + 2 * i, 2);
    const unsigned sign = (half & 0x8000U) << 16;
    // Exponent rebased by a multiplication, which also gets subnormals right.
    unsigned word = (half & 0x7fffU) << 13;
    float value;
    __builtin_memcpy(&value, &word, 4);
    value *= 0x1p112F;
    __builtin_memcpy(&word, &value, 4);
    word |= sign;
    __builtin_memcpy(&value, &word, 4);
    out.v[i] = value;
  }
  return out;
}
// Rounded to the nearest int8, as 16 bytes; |lanes| <= 127.
inline void store_int8(const Vec16& a, void* p) {
  for (int i = 0; i < 16; ++i) {
    static_cast<signed char*>(p)[i] = static_cast<signed char>(std::nearbyint(a.v[i]));
  }
}
inline Vec16 round_bf16(const Vec16& a) {
  const auto bits = (Int16Lanes)a.v;
  return {(Float16Lanes)((bits + 0x7fff + ((bits >> 16) & 1)) & static_cast<int>(0xffff0000U))};
}
// Rounded to the nearest bf16 (ties to even), as 32 bytes.
inline void store_bf16(const Vec16& a, void* p) {
  const auto bits = (Int16Lanes)a.v;
  const Int16Lanes rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  for (int i = 0; i < 16; ++i) {
    const auto half = static_cast<unsigned short>(rounded[i]);
    __builtin_memcpy(static_cast<char*>(p) + 2 * i, &half, 2);
  }
}
// Word c holds bf16 of even lane c (low half) and of odd lane c.
inline void store_bf16_pairs(Vec16 even, Vec16 odd, void* p) {
  const auto e = (Int16Lanes)even.v, o = (Int16Lanes)odd.v;
  const Int16Lanes low = ((e + 0x7fff + ((e >> 16) & 1)) >> 16) & 0xffff;
  const Int16Lanes high = (o + 0x7fff + ((o >> 16) & 1)) & static_cast<int>(0xffff0000U);
  const Int16Lanes words = low | high;
  __builtin_memcpy(p, &words, sizeof words);
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
  Int16Lanes words = __builtin_convertvector(q[0].v, Int16Lanes);
  for (int j = 1; j < 4; ++j) words |= __builtin_convertvector(q[j].v, Int16Lanes) << (8 * j);
  __builtin_memcpy(p, &words, sizeof words);
}

inline Vec16 operator+(Vec16 a, Vec16 b) { return {a.v + b.v}; }
inline Vec16 operator-(Vec16 a, Vec16 b) { return {a.v - b.v}; }
inline Vec16 operator*(Vec16 a, Vec16 b) { return {a.v * b.v}; }
inline Vec16 operator/(Vec16 a, Vec16 b) { return {a.v / b.v}; }
inline Vec16 max(Vec16 a, Vec16 b) { return {a.v > b.v ? a.v : b.v}; }
inline Vec16 min(Vec16 a, Vec16 b) { return {a.v < b.v ? a.v : b.v}; }
inline Vec16 fma(Vec16 a, Vec16 b, Vec16 c) { return {a.v * b.v + c.v}; }
// a where c < d, else b.
inline Vec16 where_less(Vec16 c, Vec16 d, Vec16 a, Vec16 b) { return {c.v < d.v ? a.v : b.v}; }
inline Vec16 round_nearest(Vec16 a) {
  for (int i = 0; i < 16; ++i) a.v[i] = std::nearbyint(a.v[i]);
  return a;
}
inline Vec16 reciprocal(Vec16 a) { return Vec16::set1(1) / a; }
inline Vec16 exp(Vec16 a) {
  for (int i = 0; i < 16; ++i) a.v[i] = std::exp(a.v[i]);
  return a;
}
inline Vec16 abs(Vec16 a) { return {(Float16Lanes)((Int16Lanes)a.v & 0x7fffffff)}; }
// |a| with the sign of b.
inline Vec16 copy_sign(Vec16 a, Vec16 b) {
  return {(Float16Lanes)(((Int16Lanes)a.v & 0x7fffffff) |
                         ((Int16Lanes)b.v & static_cast<int>(0x80000000U)))};
}
inline void prefetch(const void* p) { __builtin_prefetch(p); }

constexpr int kTileRows = 4;  // a Vec16 is four SSE registers: more rows would spill
constexpr int kTilePanels = 1;
constexpr int kBlockK = 256;
constexpr int kBlockRows = 192;
constexpr int kWindowRows = 1;  // of 8 accumulators each

}  // namespace
}  // namespace sentinel
