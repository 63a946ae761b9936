// What AVX2's integer products share.
#pragma once

#include <immintrin.h>

#include <cstddef>

namespace sentinel {
namespace {

// The 32 bits at p in every lane.
inline __m256i word_at(const std::byte* p) {
  int word;
  __builtin_memcpy(&word, p, 4);
  return _mm256_set1_epi32(word);
}

inline __m256i load_bytes(const std::byte* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

// x, of which the compiler now knows nothing but that a register holds it: it would add up a tree
// of products, for which there are too few registers, or find out that a probe's sums are 0.
inline __m256i settled(__m256i x) {
  __asm__("" : "+x"(x));
  return x;
}

}  // namespace
}  // namespace sentinel
