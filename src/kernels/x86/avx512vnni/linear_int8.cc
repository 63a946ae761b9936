// y = x W + b for int8 panels: one VPDPBUSD multiplies 64 weights.
#include "kernels/x86/avx512/dot_runs.h"
#include "kernels/x86/avx512vnni/int8_dot.h"

namespace sentinel {

void prepare_int8_quads(const PrepareArgs& a) { prepare_int8<false>(a); }

void linear_int8_vnni(const LinearArgs& a, int64_t begin, int64_t end) {
  if (a.rows == 1 && a.n_segments > 1) {
    dot_runs<Int8Dot, 2>(a, begin, end);
  } else {
    dot_gemm<Int8Dot>(a, begin, end);
  }
}

void linear_int8_to_inputs_vnni(const LinearArgs& a, const Operand& out, int64_t begin,
                                int64_t end) {
  dot_to_inputs<Int8Dot>(a, out, begin, end);
}

}  // namespace sentinel
