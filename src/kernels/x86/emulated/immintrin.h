// AVX-512 and AMX in plain C++, for testing their kernels on a CPU without them: preset "emulated"
// puts this folder before the compiler's own. Semantics: Intel 64 and IA-32 Architectures Software
// Developer's Manual, volume 2. Only what the kernels use is here; nothing is tuned.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

// NOLINTBEGIN: the names are Intel's.
typedef float __m512 __attribute__((vector_size(64), may_alias));
typedef long long __m512i __attribute__((vector_size(64), may_alias));
typedef short __m512bh __attribute__((vector_size(64), may_alias));
typedef long long __m256i __attribute__((vector_size(32), may_alias));
typedef long long __m128i __attribute__((vector_size(16), may_alias));
typedef uint16_t __mmask16;
typedef uint32_t __mmask32;

enum { _MM_HINT_T0 = 3, _CMP_LT_OQ = 17, _CMP_GT_OQ = 30 };

namespace emulated {
typedef int32_t I32 __attribute__((vector_size(64), may_alias));
typedef uint32_t U32 __attribute__((vector_size(64), may_alias));
typedef uint16_t U16 __attribute__((vector_size(64), may_alias));
typedef int16_t I16 __attribute__((vector_size(64), may_alias));
typedef uint8_t U8 __attribute__((vector_size(64), may_alias));
typedef uint16_t H16 __attribute__((vector_size(32), may_alias));
typedef int8_t B16 __attribute__((vector_size(16), may_alias));

template <typename To, typename From>
inline To bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}
template <typename F>
inline __m512 lanes(F f) {
  __m512 out;
  for (int i = 0; i < 16; ++i) out[i] = f(i);
  return out;
}
inline float from_bf16(uint16_t x) { return bits<float>(uint32_t{x} << 16); }
}  // namespace emulated

inline void _mm_prefetch(const void*, int) {}

inline __m512 _mm512_setzero_ps() { return __m512{}; }
inline __m512i _mm512_setzero_si512() { return __m512i{}; }
inline __m512 _mm512_set1_ps(float x) { return __m512{} + x; }
inline __m512i _mm512_set1_epi32(int x) { return (__m512i)(emulated::I32{} + x); }
inline __m512i _mm512_set1_epi8(char x) {
  return (__m512i)(emulated::U8{} + static_cast<uint8_t>(x));
}
inline __m512 _mm512_castsi512_ps(__m512i x) { return (__m512)x; }
inline __m512i _mm512_castps_si512(__m512 x) { return (__m512i)x; }

template <typename T>
inline T emulated_load(const void* p) {
  T out;
  std::memcpy(&out, p, sizeof out);
  return out;
}
inline __m512 _mm512_loadu_ps(const void* p) { return emulated_load<__m512>(p); }
inline __m512i _mm512_loadu_si512(const void* p) { return emulated_load<__m512i>(p); }
inline __m256i _mm256_loadu_si256(const __m256i* p) { return emulated_load<__m256i>(p); }
inline __m512 _mm512_maskz_loadu_ps(__mmask16 m, const void* p) {
  const char* from = static_cast<const char*>(p);  // masked lanes are not touched
  return emulated::lanes(
      [&](int i) { return (m >> i) & 1 ? emulated_load<float>(from + 4 * i) : 0.0F; });
}
inline void _mm512_storeu_ps(void* p, __m512 x) { std::memcpy(p, &x, sizeof x); }
inline void _mm512_storeu_si512(void* p, __m512i x) { std::memcpy(p, &x, sizeof x); }
inline void _mm256_storeu_si256(__m256i* p, __m256i x) { std::memcpy(p, &x, sizeof x); }
inline void _mm_storeu_si128(__m128i* p, __m128i x) { std::memcpy(p, &x, sizeof x); }
inline void _mm512_mask_storeu_ps(void* p, __mmask16 m, __m512 x) {
  for (int i = 0; i < 16; ++i) {
    const float lane = x[i];
    if ((m >> i) & 1) std::memcpy(static_cast<char*>(p) + 4 * i, &lane, 4);
  }
}
// The aligned forms fault on an address that is no multiple of 64.
inline const void* emulated_aligned(const void* p) {
  if (reinterpret_cast<uintptr_t>(p) % 64 != 0) __builtin_trap();
  return p;
}
inline __m512i _mm512_load_si512(const void* p) { return _mm512_loadu_si512(emulated_aligned(p)); }
inline void _mm512_store_si512(void* p, __m512i x) {
  std::memcpy(const_cast<void*>(emulated_aligned(p)), &x, sizeof x);
}
inline void _mm512_store_ps(void* p, __m512 x) {
  std::memcpy(const_cast<void*>(emulated_aligned(p)), &x, sizeof x);
}

inline __m512 _mm512_add_ps(__m512 a, __m512 b) { return a + b; }
inline __m512 _mm512_sub_ps(__m512 a, __m512 b) { return a - b; }
inline __m512 _mm512_mul_ps(__m512 a, __m512 b) { return a * b; }
inline __m512 _mm512_div_ps(__m512 a, __m512 b) { return a / b; }
inline __m512 _mm512_max_ps(__m512 a, __m512 b) { return a > b ? a : b; }
inline __m512 _mm512_min_ps(__m512 a, __m512 b) { return a < b ? a : b; }
inline __m512 _mm512_abs_ps(__m512 a) {
  return (__m512)((emulated::U32)a & (emulated::U32{} + 0x7fffffffU));
}
inline __m512 _mm512_fmadd_ps(__m512 a, __m512 b, __m512 c) {
  return emulated::lanes([&](int i) { return std::fma(a[i], b[i], c[i]); });
}
inline __m512 _mm512_fnmadd_ps(__m512 a, __m512 b, __m512 c) { return _mm512_fmadd_ps(-a, b, c); }
inline __m512 _mm512_maskz_div_ps(__mmask16 m, __m512 a, __m512 b) {
  return emulated::lanes([&](int i) { return (m >> i) & 1 ? a[i] / b[i] : 0.0F; });
}
// The estimate as bad as the instruction may be: its relative error is below 2^-14.
inline __m512 _mm512_rcp14_ps(__m512 a) {
  return emulated::lanes([&](int i) { return 1 / a[i] * (1 + (i % 2 == 0 ? 5e-5F : -5e-5F)); });
}
inline __m512 _mm512_roundscale_ps(__m512 a, int) {  // imm8 0: to the nearest even whole number
  return emulated::lanes([&](int i) { return std::nearbyint(a[i]); });
}
inline __m512 _mm512_scalef_ps(__m512 a, __m512 b) {
  return emulated::lanes([&](int i) {
    return std::scalbn(a[i], static_cast<int>(std::fmax(-400, std::fmin(400, std::floor(b[i])))));
  });
}
inline float _mm512_reduce_add_ps(__m512 a) {  // halves, as compilers expand it
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) a[i] += a[i + half];
  }
  return a[0];
}
inline float _mm512_reduce_max_ps(__m512 a) {
  float out = a[0];
  for (int i = 1; i < 16; ++i) out = a[i] > out ? a[i] : out;
  return out;
}
inline __mmask16 _mm512_cmp_ps_mask(__m512 a, __m512 b, int how) {
  unsigned mask = 0;
  for (int i = 0; i < 16; ++i) {
    mask |= static_cast<unsigned>(how == _CMP_LT_OQ ? a[i] < b[i] : a[i] > b[i]) << i;
  }
  return static_cast<__mmask16>(mask);
}
inline __m512 _mm512_mask_mov_ps(__m512 other, __mmask16 m, __m512 a) {
  return emulated::lanes([&](int i) { return (m >> i) & 1 ? a[i] : other[i]; });
}

inline __m512i _mm512_add_epi32(__m512i a, __m512i b) {
  return (__m512i)((emulated::U32)a + (emulated::U32)b);
}
inline __m512i _mm512_sub_epi32(__m512i a, __m512i b) {
  return (__m512i)((emulated::U32)a - (emulated::U32)b);
}
inline __m512i _mm512_add_epi64(__m512i a, __m512i b) {
  typedef uint64_t U64 __attribute__((vector_size(64)));
  return (__m512i)((U64)a + (U64)b);
}
inline __m512i _mm512_and_si512(__m512i a, __m512i b) { return a & b; }
inline __m512i _mm512_or_si512(__m512i a, __m512i b) { return a | b; }
inline __m512i _mm512_slli_epi32(__m512i a, unsigned n) { return (__m512i)((emulated::U32)a << n); }
inline __m512i _mm512_srli_epi32(__m512i a, unsigned n) { return (__m512i)((emulated::U32)a >> n); }
inline __m512i _mm512_srli_epi16(__m512i a, unsigned n) { return (__m512i)((emulated::U16)a >> n); }
inline __m512i _mm512_ternarylogic_epi32(__m512i a, __m512i b, __m512i c, int table) {
  __m512i out{};  // bit 4 a + 2 b + c of the table
  for (int i = 0; i < 8; ++i) {
    if ((table >> i) & 1) out |= (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c);
  }
  return out;
}
inline __m512i _mm512_mask_blend_epi16(__mmask32 m, __m512i a, __m512i b) {
  auto out = (emulated::U16)a;
  const auto other = (emulated::U16)b;
  for (int i = 0; i < 32; ++i) {
    if ((m >> i) & 1) out[i] = other[i];
  }
  return (__m512i)out;
}
inline int _mm512_reduce_add_epi32(__m512i a) {
  unsigned sum = 0;
  for (int i = 0; i < 16; ++i) sum += ((emulated::U32)a)[i];
  return static_cast<int>(sum);
}

inline __m512 _mm512_cvtepi32_ps(__m512i a) {
  return emulated::lanes([&](int i) { return static_cast<float>(((emulated::I32)a)[i]); });
}
inline __m512i _mm512_cvtps_epi32(__m512 a) {
  emulated::I32 out;
  for (int i = 0; i < 16; ++i) {
    const bool fits = a[i] >= -2147483648.0F && a[i] < 2147483648.0F;
    out[i] = fits ? static_cast<int32_t>(std::nearbyint(a[i])) : INT32_MIN;
  }
  return (__m512i)out;
}
inline __m512 _mm512_cvtph_ps(__m256i a) {
  return emulated::lanes(
      [&](int i) { return static_cast<float>(emulated::bits<_Float16>(((emulated::H16)a)[i])); });
}
inline __m256i _mm512_cvtps_ph(__m512 a, int) {  // imm8 0: to the nearest even
  emulated::H16 out;
  for (int i = 0; i < 16; ++i) out[i] = emulated::bits<uint16_t>(static_cast<_Float16>(a[i]));
  return (__m256i)out;
}
inline __m256i _mm512_cvtepi32_epi16(__m512i a) {
  emulated::H16 out;
  for (int i = 0; i < 16; ++i) out[i] = static_cast<uint16_t>(((emulated::U32)a)[i]);
  return (__m256i)out;
}
inline __m128i _mm512_cvtsepi32_epi8(__m512i a) {
  emulated::B16 out;
  for (int i = 0; i < 16; ++i) {
    const int32_t x = ((emulated::I32)a)[i];
    out[i] = static_cast<int8_t>(x < -128 ? -128 : x > 127 ? 127 : x);
  }
  return (__m128i)out;
}
inline __m512i _mm512_zextsi256_si512(__m256i a) {
  __m512i out{};
  std::memcpy(&out, &a, sizeof a);
  return out;
}

// VNNI: sums of four products of unsigned and signed bytes.
inline __m512i _mm512_slli_epi16(__m512i a, int count) {
  return (__m512i)((emulated::U16)a << static_cast<uint16_t>(count));
}
inline __m512i _mm512_srai_epi16(__m512i a, int count) {
  return (__m512i)((emulated::I16)a >> static_cast<int16_t>(count));
}
inline __m512i _mm512_xor_si512(__m512i a, __m512i b) { return a ^ b; }
inline __m512i _mm512_mulhrs_epi16(__m512i a, __m512i b) {
  emulated::I16 out;
  for (int i = 0; i < 32; ++i) {
    out[i] = static_cast<int16_t>((((emulated::I16)a)[i] * ((emulated::I16)b)[i] + 0x4000) >> 15);
  }
  return (__m512i)out;
}
inline __m512i _mm512_mask_blend_epi8(uint64_t mask, __m512i a, __m512i b) {
  emulated::U8 out;
  for (int i = 0; i < 64; ++i) out[i] = ((emulated::U8)(mask >> i & 1 ? b : a))[i];
  return (__m512i)out;
}
inline __m512i _mm512_add_epi8(__m512i a, __m512i b) {
  return (__m512i)((emulated::U8)a + (emulated::U8)b);
}
inline __m512i _mm512_dpbusd_epi32(__m512i sum, __m512i a, __m512i b) {
  auto out = (emulated::U32)sum;
  for (int i = 0; i < 64; ++i) {
    out[i / 4] +=
        static_cast<unsigned>(((emulated::U8)a)[i] * static_cast<int8_t>(((emulated::U8)b)[i]));
  }
  return (__m512i)out;
}

// BF16: the odd product first, then the even one; subnormals count as 0.
inline float emulated_flushed(float x) { return std::fabs(x) < 0x1p-126F ? 0 : x; }
inline __m512 _mm512_dpbf16_ps(__m512 sum, __m512bh a, __m512bh b) {
  const auto x = (emulated::U16)a, y = (emulated::U16)b;
  return emulated::lanes([&](int i) {
    float out = emulated_flushed(sum[i]);
    for (int j = 1; j >= 0; --j) {
      out = emulated_flushed(std::fma(emulated_flushed(emulated::from_bf16(x[2 * i + j])),
                                      emulated_flushed(emulated::from_bf16(y[2 * i + j])), out));
    }
    return out;
  });
}

// AMX: eight tiles of 16 rows of 64 bytes, the one shape that the kernels configure.
struct EmulatedTiles {
  bool configured = false;
  alignas(64) unsigned char rows[8][16][64] = {};
};
inline thread_local EmulatedTiles emulated_tiles;

inline auto& emulated_tile(int t) {
  if (!emulated_tiles.configured) __builtin_trap();  // the CPU raises #UD
  return emulated_tiles.rows[t];
}
inline void _tile_loadconfig(const void* config) {
  const auto* c = static_cast<const unsigned char*>(config);
  for (int t = 0; t < 8; ++t) {
    if (c[0] != 1 || c[16 + 2 * t] != 64 || c[48 + t] != 16) __builtin_trap();
  }
  emulated_tiles = {true, {}};
}
inline void _tile_release() { emulated_tiles.configured = false; }
inline void _tile_zero(int t) { std::memset(emulated_tile(t), 0, 1024); }
inline void _tile_loadd(int t, const void* base, int64_t stride) {
  for (int r = 0; r < 16; ++r) {
    std::memcpy(emulated_tile(t)[r], static_cast<const char*>(base) + r * stride, 64);
  }
}
inline void _tile_stream_loadd(int t, const void* base, int64_t stride) {
  _tile_loadd(t, base, stride);
}
inline void _tile_stored(int t, void* base, int64_t stride) {
  for (int r = 0; r < 16; ++r) {
    std::memcpy(static_cast<char*>(base) + r * stride, emulated_tile(t)[r], 64);
  }
}
inline void _tile_dpbsud(int c, int a, int b) {  // signed a, unsigned b
  for (int m = 0; m < 16; ++m) {
    uint32_t sums[16];
    std::memcpy(sums, emulated_tile(c)[m], sizeof sums);
    for (int k = 0; k < 64; ++k) {
      const auto x = static_cast<int8_t>(emulated_tile(a)[m][k]);
      for (int n = 0; n < 16; ++n) {
        sums[n] += static_cast<uint32_t>(x * emulated_tile(b)[k / 4][4 * n + k % 4]);
      }
    }
    std::memcpy(emulated_tile(c)[m], sums, sizeof sums);
  }
}
inline void _tile_dpbf16ps(int c, int a, int b) {  // sums of even and odd products, added last
  for (int m = 0; m < 16; ++m) {
    float sums[16], parts[2][16] = {};
    std::memcpy(sums, emulated_tile(c)[m], sizeof sums);
    for (int k = 0; k < 32; ++k) {
      const float x = emulated::from_bf16(emulated_load<uint16_t>(&emulated_tile(a)[m][2 * k]));
      for (int n = 0; n < 16; ++n) {
        const float y = emulated::from_bf16(
            emulated_load<uint16_t>(&emulated_tile(b)[k / 2][4 * n + 2 * (k % 2)]));
        parts[k % 2][n] = std::fma(emulated_flushed(x), emulated_flushed(y), parts[k % 2][n]);
      }
    }
    for (int n = 0; n < 16; ++n) sums[n] += parts[0][n] + parts[1][n];
    std::memcpy(emulated_tile(c)[m], sums, sizeof sums);
  }
}
// NOLINTEND
