#include <immintrin.h>

#include "kernels/probe_kernels.h"

namespace sentinel {
namespace {

constexpr int kStreams = 8;
constexpr int kAccumulators = 12;  // of 16 registers: latency 4 x 2 ports needs 8

// Eight accumulators, one cache line in two loads; the prefetch, of one line in kOneOf, crosses
// what the hardware prefetcher does not (page ends).
template <int kOneOf, size_t kPrefetchAhead>
uint64_t read(const std::byte* data, size_t bytes) {
  __m256i sum[kStreams];
  for (auto& s : sum) s = _mm256_setzero_si256();
  for (size_t offset = 0; offset < bytes; offset += kProbeStep) {
    const auto* line = reinterpret_cast<const __m256i*>(data + offset);
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      if (i % (2 * kOneOf) == 0) {
        _mm_prefetch(reinterpret_cast<const char*>(line + i) + kPrefetchAhead, _MM_HINT_T0);
      }
      sum[i % kStreams] = _mm256_add_epi64(sum[i % kStreams], _mm256_loadu_si256(line + i));
    }
  }
  for (int i = 1; i < kStreams; ++i) sum[0] = _mm256_add_epi64(sum[0], sum[i]);
  alignas(32) uint64_t lanes[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), sum[0]);
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

float multiply_add(int64_t iterations) {
  const __m256 scale = _mm256_set1_ps(0.999F), shift = _mm256_set1_ps(0.001F);
  __m256 sum[kAccumulators];
  for (int i = 0; i < kAccumulators; ++i) sum[i] = _mm256_set1_ps(static_cast<float>(i));
  for (int64_t n = 0; n < iterations; ++n) {
#pragma GCC unroll 12
    for (int i = 0; i < kAccumulators; ++i) sum[i] = _mm256_fmadd_ps(sum[i], scale, shift);
  }
  for (int i = 1; i < kAccumulators; ++i) sum[0] = _mm256_add_ps(sum[0], sum[i]);
  float lanes[8];
  _mm256_storeu_ps(lanes, sum[0]);
  float total = 0;
  for (const float lane : lanes) total += lane;
  return total;
}

constexpr ProbeKernels kProbe{"avx2", read<1, 2048>, read<4, 4096>, multiply_add,
                              2 * 8 * kAccumulators};

}  // namespace

const ProbeKernels& avx2_probe() { return kProbe; }

}  // namespace sentinel
