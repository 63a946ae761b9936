// One getter per instruction set; call one only if select_kernels() would choose it.
#pragma once

#include "kernels/types.h"

namespace sentinel {

const KernelTable& scalar_kernels();
#if defined(__x86_64__)
const KernelTable& avx2_kernels();
const KernelTable& avx512_kernels();
#endif

}  // namespace sentinel
