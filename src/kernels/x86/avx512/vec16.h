// Sixteen floats in one AVX-512 register.
#pragma once

#include <immintrin.h>

namespace sentinel {
namespace {

inline __mmask16 first_lanes(int n) {
  return n >= 16 ? __mmask16(0xffff) : __mmask16((1U << n) - 1);
}

struct Vec16 {
  __m512 v;

  static Vec16 zero() { return {_mm512_setzero_ps()}; }
  static Vec16 set1(float x) { return {_mm512_set1_ps(x)}; }
  static Vec16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Vec16 load_n(const float* p, int n) { return {_mm512_maskz_loadu_ps(first_lanes(n), p)}; }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store_n(float* p, int n) const { _mm512_mask_storeu_ps(p, first_lanes(n), v); }
  float sum() const { return _mm512_reduce_add_ps(v); }
  float highest() const { return _mm512_reduce_max_ps(v); }
  Vec16 first_n_or(int n, Vec16 other) const {
    return {_mm512_mask_mov_ps(other.v, first_lanes(n), v)};
  }
};

// These as in ref/vec16.h.
template <int kShift, int kBits>
inline Vec16 load_bits(const void* p) {
  const __m512i words = _mm512_srli_epi32(_mm512_loadu_si512(p), kShift);
  return {_mm512_cvtepi32_ps(_mm512_and_si512(words, _mm512_set1_epi32((1 << kBits) - 1)))};
}
template <int kHigh>
inline Vec16 load_bf16_half(const void* p) {
  const __m512i words = _mm512_loadu_si512(p);
  return {_mm512_castsi512_ps(kHigh ? _mm512_and_si512(words, _mm512_set1_epi32(int(0xffff0000U)))
                                    : _mm512_slli_epi32(words, 16))};
}
inline Vec16 load_f16(const void* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)))};
}
inline void store_int8(Vec16 a, void* p) {
  _mm_storeu_si128(static_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(a.v)));
}
// Rounded to bf16 in the upper half of each word; the lower half is left over.
inline __m512i bf16_rounded(__m512 x) {
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  return _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
}
inline void store_bf16_pairs(Vec16 even, Vec16 odd, void* p) {
  const __m512i low = _mm512_srli_epi32(bf16_rounded(even.v), 16);
  _mm512_storeu_si512(p, _mm512_mask_blend_epi16(0xaaaaaaaaU, low, bf16_rounded(odd.v)));
}
inline Vec16 round_bf16(Vec16 a) {
  return {_mm512_castsi512_ps(
      _mm512_and_si512(bf16_rounded(a.v), _mm512_set1_epi32(int(0xffff0000U))))};
}
inline void store_bf16(Vec16 a, void* p) {
  const __m512i rounded = bf16_rounded(a.v);
  _mm256_storeu_si256(static_cast<__m256i*>(p),
                      _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
}

inline void store_f16(Vec16 a, void* p) {
  const __m512 limit = _mm512_set1_ps(65504);
  const __m512 clamped =
      _mm512_min_ps(_mm512_max_ps(a.v, _mm512_sub_ps(_mm512_setzero_ps(), limit)), limit);
  _mm256_storeu_si256(static_cast<__m256i*>(p), _mm512_cvtps_ph(clamped, 0));
}
inline void store_quads(const Vec16 q[4], void* p) {
  __m512i word = _mm512_cvtps_epi32(q[0].v);
  word = _mm512_or_si512(word, _mm512_slli_epi32(_mm512_cvtps_epi32(q[1].v), 8));
  word = _mm512_or_si512(word, _mm512_slli_epi32(_mm512_cvtps_epi32(q[2].v), 16));
  word = _mm512_or_si512(word, _mm512_slli_epi32(_mm512_cvtps_epi32(q[3].v), 24));
  _mm512_storeu_si512(p, word);
}
inline Vec16 round_nearest(Vec16 a) { return {_mm512_roundscale_ps(a.v, 0)}; }
inline Vec16 where_less(Vec16 c, Vec16 d, Vec16 a, Vec16 b) {
  return {_mm512_mask_mov_ps(b.v, _mm512_cmp_ps_mask(c.v, d.v, _CMP_LT_OQ), a.v)};
}

inline Vec16 operator+(Vec16 a, Vec16 b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec16 operator-(Vec16 a, Vec16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec16 operator*(Vec16 a, Vec16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec16 operator/(Vec16 a, Vec16 b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vec16 max(Vec16 a, Vec16 b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Vec16 min(Vec16 a, Vec16 b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Vec16 fma(Vec16 a, Vec16 b, Vec16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Vec16 abs(Vec16 a) { return {_mm512_abs_ps(a.v)}; }
inline Vec16 copy_sign(Vec16 a, Vec16 b) {
  return {_mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_set1_epi32(int(0x80000000U)),
                                                        _mm512_castps_si512(b.v),
                                                        _mm512_castps_si512(a.v), 0xca))};
}
inline void prefetch(const void* p) { _mm_prefetch(p, _MM_HINT_T0); }

// 1 / a for finite a > 0 below 2^126: the 14-bit estimate and one Newton step (division takes
// longer).
inline Vec16 reciprocal(Vec16 a) {
  const __m512 r = _mm512_rcp14_ps(a.v);
  return {_mm512_mul_ps(r, _mm512_fnmadd_ps(a.v, r, _mm512_set1_ps(2)))};
}

// e^x, relative error below 2 ulp: x = n ln2 + r, a degree-6 polynomial for e^r, scaled by 2^n.
inline Vec16 exp(Vec16 x) {
  const __m512 clamped =
      _mm512_min_ps(_mm512_max_ps(x.v, _mm512_set1_ps(-87.3F)), _mm512_set1_ps(88.7F));
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(clamped, _mm512_set1_ps(1.44269504F)), 0);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693145752F), clamped);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(1.42860677e-6F), r);
  __m512 p = _mm512_set1_ps(1.0F / 720);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0F / 120));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0F / 24));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0F / 6));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5F));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1));
  return {_mm512_scalef_ps(p, n)};
}

constexpr int kTileRows = 12;  // 12 x 2 accumulators, 2 weights, broadcasts: 27 of 32 registers
constexpr int kTilePanels = 2;
constexpr int kBlockK = 1024;  // x block of 192 rows: 768 KiB; a panel pair: 128 KiB
constexpr int kBlockRows = 192;
constexpr int kWindowRows = 3;  // of 8 accumulators each

}  // namespace
}  // namespace sentinel
