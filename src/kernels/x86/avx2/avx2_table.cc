// The kernels of instruction set "avx2": the generic ones on its Vec16.
#include "kernels/x86/avx2/vec16.h"
//
#include "kernels/generic/simd_table.h"

namespace sentinel {

const KernelTable& avx2_kernels() {
  static constexpr KernelTable kTable = simd_table("avx2");
  return kTable;
}

}  // namespace sentinel
