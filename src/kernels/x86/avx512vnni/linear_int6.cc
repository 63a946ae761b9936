// y = x W + b for int6 panels: the tiles of int8, with weights that are put together on the way.
#include "kernels/x86/avx512/dot_runs.h"
#include "kernels/x86/avx512vnni/int6_dot.h"

namespace sentinel {

void linear_int6_vnni(const LinearArgs& a, int64_t begin, int64_t end) {
  if (a.rows == 1 && a.n_segments > 1) {
    dot_runs<Int6Dot, 2>(a, begin, end);
  } else {
    dot_gemm<Int6Dot>(a, begin, end);
  }
}

void linear_int6_to_inputs_vnni(const LinearArgs& a, const Operand& out, int64_t begin,
                                int64_t end) {
  dot_to_inputs<Int6Dot>(a, out, begin, end);
}

}  // namespace sentinel
