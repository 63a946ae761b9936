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
