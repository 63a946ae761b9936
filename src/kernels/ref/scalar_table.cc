// The kernels of instruction set "scalar": the generic ones on its Vec16.
#include "kernels/ref/vec16.h"
//
#include "kernels/generic/linear_f32.h"
#include "kernels/generic/norm_softmax.h"
#include "kernels/tables.h"

namespace sentinel {

const KernelTable& scalar_kernels() {
  static constexpr KernelTable kTable = {"scalar", linear_f32, layer_norm, softmax};
  return kTable;
}

}  // namespace sentinel
