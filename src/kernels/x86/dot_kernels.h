// Kernels on the dot-product extensions of AVX-512 and on AMX; tables.h says when they run.
#pragma once

#include "kernels/types.h"

namespace sentinel {

// Bytes that decode kernels prefetch ahead: mostly to cross 4 KiB page ends, where the hardware
// prefetcher stops.
constexpr int kPrefetchAhead = 2048;

void linear_bf16_dot(const LinearArgs& args, int64_t begin, int64_t end);  // AVX512_BF16
void window_bf16_dot(const LinearArgs& args, int64_t begin, int64_t end);
void linear_int8_vnni(const LinearArgs& args, int64_t begin, int64_t end);  // AVX512_VNNI
void linear_int4_vnni(const LinearArgs& args, int64_t begin, int64_t end);
void linear_bf16_amx(const LinearArgs& args, int64_t begin, int64_t end);  // AMX_BF16
void linear_int8_amx(const LinearArgs& args, int64_t begin, int64_t end);  // AMX_INT8
void linear_int4_amx(const LinearArgs& args, int64_t begin, int64_t end);
void linear_bf16_to_inputs_amx(const LinearArgs& args, const Operand& out, int64_t begin,
                               int64_t end);
void linear_int8_to_inputs_amx(const LinearArgs& args, const Operand& out, int64_t begin,
                               int64_t end);

}  // namespace sentinel
