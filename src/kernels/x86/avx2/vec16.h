// Sixteen floats in two AVX2 registers.
#pragma once

#include <immintrin.h>

namespace sentinel {
namespace {

// -1 in the first n of 8 lanes.
inline __m256i lane_mask(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

struct Vec16 {
  __m256 lo, hi;

  static Vec16 zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static Vec16 set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static Vec16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static Vec16 load_n(const float* p, int n) {
    if (n <= 8) return {_mm256_maskload_ps(p, lane_mask(n)), _mm256_setzero_ps()};
    return {_mm256_loadu_ps(p), _mm256_maskload_ps(p + 8, lane_mask(n - 8))};
  }
  void store(float* p) const {
    _mm256_storeu_ps(p, lo);
    _mm256_storeu_ps(p + 8, hi);
  }
  void store_n(float* p, int n) const {
    _mm256_maskstore_ps(p, lane_mask(n), lo);
    if (n > 8) _mm256_maskstore_ps(p + 8, lane_mask(n - 8), hi);
  }
  float sum() const {
    return reduce(_mm256_add_ps(lo, hi), [](auto a, auto b) { return _mm_add_ps(a, b); });
  }
  float highest() const {
    return reduce(_mm256_max_ps(lo, hi), [](auto a, auto b) { return _mm_max_ps(a, b); });
  }
  Vec16 first_n_or(int n, Vec16 other) const {
    return {_mm256_blendv_ps(other.lo, lo, _mm256_castsi256_ps(lane_mask(n))),
            _mm256_blendv_ps(other.hi, hi, _mm256_castsi256_ps(lane_mask(n - 8)))};
  }

 private:
  template <typename F>
  static float reduce(__m256 x, F f) {
    __m128 y = f(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = f(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(f(y, _mm_movehdup_ps(y)));
  }
};

// These as in ref/vec16.h.
template <int kShift, int kBits>
inline Vec16 load_bits(const void* p) {
  const auto* words = static_cast<const __m256i*>(p);
  const auto part = [](__m256i w) {
    return _mm256_cvtepi32_ps(
        _mm256_and_si256(_mm256_srli_epi32(w, kShift), _mm256_set1_epi32((1 << kBits) - 1)));
  };
  return {part(_mm256_loadu_si256(words)), part(_mm256_loadu_si256(words + 1))};
}
template <int kHigh>
inline Vec16 load_bf16_half(const void* p) {
  const auto* words = static_cast<const __m256i*>(p);
  const auto part = [](__m256i w) {
    return _mm256_castsi256_ps(kHigh ? _mm256_and_si256(w, _mm256_set1_epi32(int(0xffff0000U)))
                                     : _mm256_slli_epi32(w, 16));
  };
  return {part(_mm256_loadu_si256(words)), part(_mm256_loadu_si256(words + 1))};
}
inline Vec16 load_f16(const void* p) {
  const auto* halves = static_cast<const __m128i*>(p);
  return {_mm256_cvtph_ps(_mm_loadu_si128(halves)), _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))};
}
inline void store_int8(Vec16 a, void* p) {
  const __m256i pairs = _mm256_permute4x64_epi64(
      _mm256_packs_epi32(_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi)), 0xd8);
  const __m128i bytes =
      _mm_packs_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
  _mm_storeu_si128(static_cast<__m128i*>(p), bytes);
}
// Rounded to bf16 in the upper half of each word; the lower half is left over.
inline __m256i bf16_rounded(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  return _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
}
inline Vec16 round_bf16(Vec16 a) {
  const __m256i upper = _mm256_set1_epi32(int(0xffff0000U));
  return {_mm256_castsi256_ps(_mm256_and_si256(bf16_rounded(a.lo), upper)),
          _mm256_castsi256_ps(_mm256_and_si256(bf16_rounded(a.hi), upper))};
}
inline void store_bf16(Vec16 a, void* p) {
  const __m256i lo = _mm256_srli_epi32(bf16_rounded(a.lo), 16);
  const __m256i hi = _mm256_srli_epi32(bf16_rounded(a.hi), 16);
  _mm256_storeu_si256(static_cast<__m256i*>(p),
                      _mm256_permute4x64_epi64(_mm256_packus_epi32(lo, hi), 0xd8));
}
inline void store_bf16_pairs(Vec16 even, Vec16 odd, void* p) {
  const auto words = [](__m256 e, __m256 o) {
    return _mm256_blend_epi16(_mm256_srli_epi32(bf16_rounded(e), 16), bf16_rounded(o), 0xaa);
  };
  auto* out = static_cast<__m256i*>(p);
  _mm256_storeu_si256(out, words(even.lo, odd.lo));
  _mm256_storeu_si256(out + 1, words(even.hi, odd.hi));
}
inline void store_f16(Vec16 a, void* p) {
  auto* halves = static_cast<__m128i*>(p);
  const auto clamped = [](__m256 x) {
    return _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(-65504)), _mm256_set1_ps(65504));
  };
  _mm_storeu_si128(halves, _mm256_cvtps_ph(clamped(a.lo), 0));
  _mm_storeu_si128(halves + 1, _mm256_cvtps_ph(clamped(a.hi), 0));
}
inline void store_quads(const Vec16 q[4], void* p) {
  const auto word = [](__m256 a, __m256 b, __m256 c, __m256 d) {
    const __m256i low =
        _mm256_or_si256(_mm256_cvtps_epi32(a), _mm256_slli_epi32(_mm256_cvtps_epi32(b), 8));
    const __m256i high = _mm256_or_si256(_mm256_slli_epi32(_mm256_cvtps_epi32(c), 16),
                                         _mm256_slli_epi32(_mm256_cvtps_epi32(d), 24));
    return _mm256_or_si256(low, high);
  };
  auto* words = static_cast<__m256i*>(p);
  _mm256_storeu_si256(words, word(q[0].lo, q[1].lo, q[2].lo, q[3].lo));
  _mm256_storeu_si256(words + 1, word(q[0].hi, q[1].hi, q[2].hi, q[3].hi));
}
inline Vec16 round_nearest(Vec16 a) {
  constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(a.lo, kMode), _mm256_round_ps(a.hi, kMode)};
}
inline Vec16 where_less(Vec16 c, Vec16 d, Vec16 a, Vec16 b) {
  return {_mm256_blendv_ps(b.lo, a.lo, _mm256_cmp_ps(c.lo, d.lo, _CMP_LT_OQ)),
          _mm256_blendv_ps(b.hi, a.hi, _mm256_cmp_ps(c.hi, d.hi, _CMP_LT_OQ))};
}

inline Vec16 operator+(Vec16 a, Vec16 b) {
  return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
inline Vec16 operator-(Vec16 a, Vec16 b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
inline Vec16 operator*(Vec16 a, Vec16 b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
inline Vec16 operator/(Vec16 a, Vec16 b) {
  return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
inline Vec16 max(Vec16 a, Vec16 b) {
  return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
inline Vec16 min(Vec16 a, Vec16 b) {
  return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
inline Vec16 fma(Vec16 a, Vec16 b, Vec16 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
inline Vec16 abs(Vec16 a) {
  const __m256 sign = _mm256_set1_ps(-0.0F);
  return {_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
inline Vec16 copy_sign(Vec16 a, Vec16 b) {
  const __m256 sign = _mm256_set1_ps(-0.0F);
  return {_mm256_or_ps(_mm256_andnot_ps(sign, a.lo), _mm256_and_ps(sign, b.lo)),
          _mm256_or_ps(_mm256_andnot_ps(sign, a.hi), _mm256_and_ps(sign, b.hi))};
}
inline void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }

inline Vec16 reciprocal(Vec16 a) { return Vec16::set1(1) / a; }

// e^x as in avx512/vec16.h; 2^n is built in the exponent bits.
inline __m256 exp8(__m256 x) {
  const __m256 clamped =
      _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(-87.3F)), _mm256_set1_ps(88.3F));
  const __m256 n = _mm256_round_ps(_mm256_mul_ps(clamped, _mm256_set1_ps(1.44269504F)),
                                   _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693145752F), clamped);
  r = _mm256_fnmadd_ps(n, _mm256_set1_ps(1.42860677e-6F), r);
  __m256 p = _mm256_set1_ps(1.0F / 720);
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0F / 120));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0F / 24));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0F / 6));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5F));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1));
  const __m256i bits =
      _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
  return _mm256_mul_ps(p, _mm256_castsi256_ps(bits));
}
inline Vec16 exp(Vec16 x) { return {exp8(x.lo), exp8(x.hi)}; }

constexpr int kTileRows = 6;  // 6 x 1 panel = 12 accumulators, 2 weights, 1 broadcast: 15 of 16
constexpr int kTilePanels = 1;
constexpr int kBlockK =
    1024;  // x block of 72 rows: 288 KiB; a panel: 64 KiB. Shorter ones reread y
constexpr int kBlockRows = 72;
constexpr int kWindowRows = 1;  // of 8 accumulators each

}  // namespace
}  // namespace sentinel
