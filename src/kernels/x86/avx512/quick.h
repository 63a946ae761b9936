// Activations for products of bf16, int8 and 4-bit weights: a relative error of 2e-4, far below
// what those weights and inputs are rounded to, in half the time. Included after vec16.h.
#pragma once

#include "kernels/x86/avx512/vec16.h"
//
#include "kernels/generic/activation.h"

namespace sentinel {
namespace {

// As gelu_tanh(): x / (1 + 2^t) with 2^t from a polynomial of degree 3 and a 14-bit reciprocal.
inline Vec16 quick_gelu_tanh(Vec16 x) {
  // t = -2 sqrt(2/pi) log2(e) (x + 0.044715 x^3)
  const Vec16 t = x * fma(x * x, Vec16::set1(-0.102943240F), Vec16::set1(-2.302208198F));
  const Vec16 n = round_nearest(t);
  const Vec16 f = t - n;
  Vec16 p = fma(f, Vec16::set1(0.0551716691F), Vec16::set1(0.242611122F));
  p = fma(p, f, Vec16::set1(0.693260985F));
  p = fma(p, f, Vec16::set1(0.999928074F));
  const __m512 power = _mm512_scalef_ps(p.v, n.v);
  return x * Vec16{_mm512_rcp14_ps(_mm512_add_ps(power, _mm512_set1_ps(1)))};
}

inline Vec16 quick_activate(Epilogue epilogue, Vec16 x) {
  return epilogue == Epilogue::gelu_tanh ? quick_gelu_tanh(x) : activate(epilogue, x);
}

// As finish().
inline void quick_finish(const LinearArgs& a, Vec16 sum, const float* bias, float* y,
                         int64_t columns) {
  if (bias) sum = sum + Vec16::load(bias);
  const int n = columns < kPanel ? static_cast<int>(columns) : kPanel;
  if (a.epilogue == Epilogue::add) {
    (sum + Vec16::load_n(y, n)).store_n(y, n);
  } else {
    quick_activate(a.epilogue, sum).store_n(y, n);
  }
}

}  // namespace
}  // namespace sentinel
