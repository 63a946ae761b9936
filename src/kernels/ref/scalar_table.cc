// The kernels of instruction set "scalar": the generic ones on its Vec16.
#include "kernels/ref/vec16.h"
//
#include "kernels/generic/append.h"
#include "kernels/generic/encode.h"
#include "kernels/generic/linear_float.h"
#include "kernels/generic/norm_softmax.h"
#include "kernels/generic/operand.h"
#include "kernels/ref/linear_low.h"
#include "kernels/tables.h"

namespace sentinel {

const KernelTable& scalar_kernels() {
  static constexpr KernelTable kTable = {
      "scalar",
      {4, 2, 1, 1, 1},
      {linear_float<F32Weights>, linear_low<Bf16Panel>, linear_low<Int8Panel>,
       linear_low<Int6Panel>, linear_low<Int4Panel>},
      {window_float<F32Weights>, linear_low<Bf16Panel>, linear_low<Int8Panel>,
       linear_low<Int6Panel>, linear_low<Int4Panel>},
      {nullptr, prepare_bf16<false>, prepare_int8<false>, prepare_int8<false>, prepare_int8<true>},
      widest,
      {nullptr, encode_bf16, encode_int8, encode_int6, encode_int4},
      {append_f32, append_bf16, append_int8},
      layer_norm,
      softmax};
  return kTable;
}

}  // namespace sentinel
