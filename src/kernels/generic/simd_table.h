// The generic kernels on a vector Vec16, with AVX2's integer products. Included after a vec16.h.
#pragma once

#include "kernels/generic/append.h"
#include "kernels/generic/encode.h"
#include "kernels/generic/linear_float.h"
#include "kernels/generic/norm_softmax.h"
#include "kernels/generic/operand.h"
#include "kernels/tables.h"
#include "kernels/x86/dot_kernels.h"

namespace sentinel {
namespace {

constexpr KernelTable simd_table(const char* isa) {
  return {
      isa,
      {4, 4, 2, 1, 1},
      {linear_float<F32Weights>, linear_float<Bf16Weights>, linear_int8_words, linear_int6_bytes,
       linear_int4_bytes},
      {window_float<F32Weights>, window_float<Bf16Weights>, linear_int8_words, linear_int6_bytes,
       linear_int4_bytes},
      {nullptr, prepare_bf16<true>, prepare_int8_words, prepare_int8<false>, prepare_int8<true>},
      widest,
      {nullptr, encode_bf16, encode_int8, encode_int6, encode_int4},
      {append_f32, append_bf16, append_int8},
      layer_norm,
      softmax,
      {}};
}

}  // namespace
}  // namespace sentinel
