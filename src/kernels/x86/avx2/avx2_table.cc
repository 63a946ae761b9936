// The kernels of instruction set "avx2": the generic ones on its Vec16.
#include "kernels/x86/avx2/vec16.h"
//
#include "kernels/generic/linear_f32.h"
#include "kernels/generic/norm_softmax.h"
#include "kernels/tables.h"

namespace sentinel {

const KernelTable& avx2_kernels() {
  static constexpr KernelTable kTable = {"avx2", linear_f32, layer_norm, softmax};
  return kTable;
}

}  // namespace sentinel
