// Row-wise kernels: layer norm and softmax with its sums. Included after a vec16.h.
#pragma once

#include "kernels/types.h"

namespace sentinel {
namespace {

inline float mean_of(const float* x, int n) {
  Vec16 total = Vec16::zero();
  for (int i = 0; i < n; i += 16) total = total + Vec16::load_n(x + i, n - i);
  return total.sum() / static_cast<float>(n);
}

inline float variance_of(const float* x, int n, float mean) {
  const Vec16 m = Vec16::set1(mean);
  Vec16 total = Vec16::zero();
  for (int i = 0; i < n; i += 16) {
    const Vec16 d = (Vec16::load_n(x + i, n - i) - m).first_n_or(n - i, Vec16::zero());
    total = fma(d, d, total);
  }
  return total.sum() / static_cast<float>(n);
}

// Two passes over the row (it is in L1): the one-pass form cancels for rows with a large mean.
void layer_norm(const float* x, int64_t x_stride, const float* weight, const float* bias, float eps,
                int rows, int n, int n_padded, float* out, int64_t out_stride) {
  for (int r = 0; r < rows; ++r, x += x_stride, out += out_stride) {
    const float mean = mean_of(x, n);
    const float scale = 1 / __builtin_sqrtf(variance_of(x, n, mean) + eps);
    const Vec16 m = Vec16::set1(mean), s = Vec16::set1(scale);
    int i = 0;
    for (; i < n; i += 16) {
      const Vec16 normed = (Vec16::load_n(x + i, n - i) - m) * s;
      fma(normed, Vec16::load_n(weight + i, n - i), Vec16::load_n(bias + i, n - i))
          .store_n(out + i, n - i);
    }
    for (i = n; i < n_padded; ++i) out[i] = 0;
  }
}

SoftmaxSums softmax(float* scores, int n, int n_padded, float scale) {
  const Vec16 lowest = Vec16::set1(-3.0e38F);
  Vec16 high = lowest;
  for (int i = 0; i < n; i += 16) {
    high = max(high, Vec16::load_n(scores + i, n - i).first_n_or(n - i, lowest));
  }
  const Vec16 top = Vec16::set1(high.highest()), s = Vec16::set1(scale);
  Vec16 l = Vec16::zero(), t = Vec16::zero();
  for (int i = 0; i < n; i += 16) {
    const Vec16 u = max((Vec16::load_n(scores + i, n - i) - top) * s, Vec16::set1(-87));
    const Vec16 e = exp(u).first_n_or(n - i, Vec16::zero());
    l = l + e;
    t = fma(e, u, t);
    e.store_n(scores + i, n - i);
  }
  for (int i = n; i < n_padded; ++i) scores[i] = 0;
  return {l.sum(), t.sum()};
}

}  // namespace
}  // namespace sentinel
