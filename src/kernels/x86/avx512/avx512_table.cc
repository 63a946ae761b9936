// The kernels of instruction set "avx512": the generic ones on its Vec16.
#include "kernels/x86/avx512/vec16.h"
//
#include "kernels/generic/simd_table.h"

namespace sentinel {

const KernelTable& avx512_kernels() {
  static constexpr KernelTable kTable = simd_table("avx512");
  return kTable;
}

}  // namespace sentinel
