// y = x W + b for int8 panels: one VPDPBUSD multiplies 64 weights.
#include "kernels/x86/avx512vnni/int8_dot.h"
//
#include "kernels/generic/operand.h"

namespace sentinel {

void prepare_int8_quads(const PrepareArgs& a) { prepare_int8<false>(a); }

void linear_int8_vnni(const LinearArgs& a, int64_t begin, int64_t end) {
  dot_gemm<Int8Dot>(a, begin, end);
}

}  // namespace sentinel
