#include <immintrin.h>

#include "kernels/probe_kernels.h"

namespace sentinel {
namespace {

constexpr int kStreams = 8;
constexpr int kAccumulators = 24;  // of 32 registers: latency 4 x 2 ports needs 8

// Eight accumulators, one cache line a load; the prefetch, of one line in kOneOf, crosses what the
// hardware prefetcher does not (page ends).
template <int kOneOf, size_t kPrefetchAhead>
uint64_t read(const std::byte* data, size_t bytes) {
  __m512i sum[kStreams];
  for (auto& s : sum) s = _mm512_setzero_si512();
  for (size_t offset = 0; offset < bytes; offset += kProbeStep) {
    const auto* line = reinterpret_cast<const __m512i*>(data + offset);
#pragma GCC unroll 8
    for (int i = 0; i < kStreams; ++i) {
      if (i % kOneOf == 0) {
        _mm_prefetch(reinterpret_cast<const char*>(line + i) + kPrefetchAhead, _MM_HINT_T0);
      }
      sum[i] = _mm512_add_epi64(sum[i], _mm512_loadu_si512(line + i));
    }
  }
  for (int i = 1; i < kStreams; ++i) sum[0] = _mm512_add_epi64(sum[0], sum[i]);
  // Unsigned: the intrinsic's own sum overflows.
  alignas(64) uint64_t lanes[8];
  _mm512_store_si512(lanes, sum[0]);
  for (int i = 1; i < 8; ++i) lanes[0] += lanes[i];
  return lanes[0];
}

float multiply_add(int64_t iterations) {
  const __m512 scale = _mm512_set1_ps(0.999F), shift = _mm512_set1_ps(0.001F);
  __m512 sum[kAccumulators];
  for (int i = 0; i < kAccumulators; ++i) sum[i] = _mm512_set1_ps(static_cast<float>(i));
  for (int64_t n = 0; n < iterations; ++n) {
#pragma GCC unroll 24
    for (int i = 0; i < kAccumulators; ++i) sum[i] = _mm512_fmadd_ps(sum[i], scale, shift);
  }
  for (int i = 1; i < kAccumulators; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  return _mm512_reduce_add_ps(sum[0]);
}

constexpr ProbeKernels kProbe{"avx512", read<1, 2048>, read<4, 4096>, multiply_add,
                              2 * 16 * kAccumulators};

}  // namespace

const ProbeKernels& avx512_probe() { return kProbe; }

}  // namespace sentinel
