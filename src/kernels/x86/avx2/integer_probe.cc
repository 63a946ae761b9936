// The integer products of AVX2 at full speed, each with the addition that it needs: VPMADDWD (16
// products of words, for int8 weights) and VPMADDUBSW (32 of bytes, for int6 and int4). int6 adds
// up every two of the latter with a VPMADDWD, so that it can reach two thirds of this peak.
#include "kernels/probe_kernels.h"
#include "kernels/x86/avx2/integers.h"

namespace sentinel {
namespace {

constexpr int kAccumulators = 12;

// multiply(x, weights) gives the lanes that add() adds up.
template <typename Multiply, typename Add>
float products(int64_t iterations, const Multiply& multiply, const Add& add) {
  const __m256i weights = _mm256_set1_epi16(1);
  __m256i sum[kAccumulators];
  for (auto& s : sum) s = settled(_mm256_setzero_si256());
  for (int64_t n = 0; n < iterations; ++n) {
#pragma GCC unroll 12
    for (int i = 0; i < kAccumulators; ++i) {
      sum[i] = settled(add(sum[i], multiply(sum[i], weights)));
    }
  }
  for (int i = 1; i < kAccumulators; ++i) sum[0] = add(sum[0], sum[i]);
  return static_cast<float>(_mm256_cvtsi256_si32(sum[0]));
}

float words(int64_t iterations) {
  return products(
      iterations, [](__m256i x, __m256i w) { return _mm256_madd_epi16(x, w); },
      [](__m256i x, __m256i y) { return _mm256_add_epi32(x, y); });
}

float bytes(int64_t iterations) {
  return products(
      iterations, [](__m256i x, __m256i w) { return _mm256_maddubs_epi16(x, w); },
      [](__m256i x, __m256i y) { return _mm256_add_epi16(x, y); });
}

}  // namespace

ArithmeticProbe avx2_words_probe() { return {words, kAccumulators * 16 * 2}; }
ArithmeticProbe avx2_bytes_probe() { return {bytes, kAccumulators * 32 * 2}; }

}  // namespace sentinel
