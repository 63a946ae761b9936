// Kernels on the integer products of AVX2, on the dot-product extensions of AVX-512 and on AMX;
// registry.cc says when they run.
#pragma once

#include "kernels/types.h"

namespace sentinel {

// Bytes that decode kernels prefetch ahead: mostly to cross 4 KiB page ends, where the hardware
// prefetcher stops. Measured on GPT-2 small: against 2048 these bring bf16 6 %, 8-bit weights 8 %
// and 4-bit ones 5 % (f32 loses 7 % with more than 2048).
constexpr int kPrefetchBf16 = 4096, kPrefetchIntegers = 8192;

void prepare_int8_words(const PrepareArgs& args);  // AVX2: the form that linear_int8_words reads
void linear_int8_words(const LinearArgs& args, int64_t begin, int64_t end);
void linear_int6_bytes(const LinearArgs& args, int64_t begin, int64_t end);
void linear_int4_bytes(const LinearArgs& args, int64_t begin, int64_t end);
void prepare_bf16_pairs(const PrepareArgs& args);  // for AVX512_BF16 and AMX_BF16
void prepare_int8_quads(const PrepareArgs& args);  // for AVX512_VNNI and AMX_INT8
void linear_bf16_dot(const LinearArgs& args, int64_t begin, int64_t end);  // AVX512_BF16
void window_bf16_dot(const LinearArgs& args, int64_t begin, int64_t end);
void linear_int8_vnni(const LinearArgs& args, int64_t begin, int64_t end);  // AVX512_VNNI
void linear_int6_vnni(const LinearArgs& args, int64_t begin, int64_t end);
void linear_int4_vnni(const LinearArgs& args, int64_t begin, int64_t end);
void linear_bf16_to_inputs_dot(const LinearArgs& args, const Operand& out, int64_t begin,
                               int64_t end);
void linear_int8_to_inputs_vnni(const LinearArgs& args, const Operand& out, int64_t begin,
                                int64_t end);
void linear_int6_to_inputs_vnni(const LinearArgs& args, const Operand& out, int64_t begin,
                                int64_t end);
void linear_bf16_amx(const LinearArgs& args, int64_t begin, int64_t end);  // AMX_BF16
void linear_int8_amx(const LinearArgs& args, int64_t begin, int64_t end);  // AMX_INT8
void linear_int6_amx(const LinearArgs& args, int64_t begin, int64_t end);
void linear_int4_amx(const LinearArgs& args, int64_t begin, int64_t end);
void linear_bf16_to_inputs_amx(const LinearArgs& args, const Operand& out, int64_t begin,
                               int64_t end);
void linear_int8_to_inputs_amx(const LinearArgs& args, const Operand& out, int64_t begin,
                               int64_t end);

}  // namespace sentinel
