// What this machine can do at best: read bandwidth by footprint, multiply-adds by type.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/aligned_buffer.h"
#include "base/cpu_features.h"
#include "base/thread_pool.h"
#include "kernels/probe_kernels.h"
#include "kernels/types.h"

namespace sentinel {

// `isa`: "scalar", "avx2", "avx512", "amx" (probed as avx512: tiles load at the same width); empty:
// the best this CPU has. Error (usage) as select_kernels().
const ProbeKernels& select_probe(const CpuFeatures& features, const std::string& isa);

// What products of this weight type run on: of what `isa` and this CPU have, the fastest. Narrow
// weights are multiplied as int8, on AVX2 as bytes.
ArithmeticProbe select_arithmetic(const CpuFeatures& features, const std::string& isa,
                                  WeightType type);

// Measures with a fixed number of threads. Not for use by two threads at a time.
class MachineProbe {
 public:
  // Error (usage) for a bad thread count or isa.
  MachineProbe(int threads, const std::string& isa);

  int threads() const { return pool_.size(); }
  const char* isa() const { return kernels_.isa; }

  // GB/s (10^9) at which `footprint` bytes (rounded up to whole steps per thread) are read again
  // and again, each thread its own contiguous share: the best of `passes` after a first one.
  // The memory is kept for calls with as many bytes or fewer, until release().
  double read_gbps(size_t footprint, int passes = 5);
  // The same of memory that the caller holds, rounded down; 0 when it is less than a step a thread.
  double read_gbps(std::span<const std::byte> memory, int passes = 5);
  size_t held_bytes() const { return buffer_.size(); }
  void release();

  // 10^9 operations per second of products of this type, all threads; the best of `passes`.
  double arithmetic_gops(WeightType type, int passes = 5);

 private:
  void fill(size_t share);

  const CpuFeatures features_;
  const ProbeKernels& kernels_;
  const std::string isa_;  // as select_kernels() chose
  ThreadPool pool_;
  AlignedBuffer buffer_;
};

}  // namespace sentinel
