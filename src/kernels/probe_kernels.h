// Loops that measure the machine: reads at full speed, multiply-adds at full speed. Plain data, no
// STL, as types.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sentinel {

constexpr size_t kProbeStep = 512;  // bytes: reads come in whole steps

struct ProbeKernels {
  const char* isa;
  // Reads every byte of [data, data + bytes), bytes a multiple of kProbeStep; returns a checksum so
  // that nothing is optimised away.
  uint64_t (*read)(const std::byte* data, size_t bytes);
  // The same, asking ahead for fewer lines from further on: which of the two is faster depends on
  // the machine, and on its hour (Zen 5 with the bus to itself: 104 and 97 GB/s of 128 MB).
  uint64_t (*read_sparsely)(const std::byte* data, size_t bytes);
  // Runs `iterations` of independent f32 multiply-adds; returns a value that depends on all.
  float (*multiply_add)(int64_t iterations);
  int64_t flops_per_iteration;  // a multiply-add counts 2
};

// The fastest products of one type: run(iterations) returns a value that depends on all of them.
struct ArithmeticProbe {
  float (*run)(int64_t iterations);
  int64_t ops_per_iteration;  // a multiply-add counts 2
};

// Hides from the compiler that a value stays the same: a loop over it would be known to do nothing.
template <typename T>
inline void keep_unknown(T& value) {
#ifdef SENTINEL_EMULATE  // no register is as wide
  __asm__ volatile("" : "+m"(value));
#else
  __asm__ volatile("" : "+v"(value));
#endif
}

const ProbeKernels& scalar_probe();
#if defined(__x86_64__)
const ProbeKernels& avx2_probe();
const ProbeKernels& avx512_probe();
ArithmeticProbe avx2_words_probe();
ArithmeticProbe avx2_bytes_probe();
ArithmeticProbe dot_bf16_probe();
ArithmeticProbe vnni_int8_probe();
ArithmeticProbe amx_bf16_probe();
ArithmeticProbe amx_int8_probe();
#endif

}  // namespace sentinel
