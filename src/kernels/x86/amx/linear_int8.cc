// y = x W + b for int8 panels on tiles (quads.h).
#include "kernels/x86/amx/quads.h"
#include "kernels/x86/dot_kernels.h"

namespace sentinel {

void linear_int8_amx(const LinearArgs& a, int64_t begin, int64_t end) {
  if (a.rows <= 4) {
    linear_int8_vnni(a, begin, end);
  } else {
    linear_tiles<Int8Tiles>(a, begin, end);
  }
}

void linear_int8_to_inputs_amx(const LinearArgs& a, const Operand& out, int64_t begin,
                               int64_t end) {
  linear_tiles<Int8Tiles>(a, begin, end, &out);
}

}  // namespace sentinel
