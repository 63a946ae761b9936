#include "kernels/ref/plain.h"

#include <cmath>
#include <numbers>

namespace sentinel::plain {

void linear(const float* w, const float* b, const float* x, int64_t n_out, int64_t n_in, float* y) {
  for (int64_t o = 0; o < n_out; ++o, w += n_in) {
    // Four sums let the compiler overlap the additions; each is still a double.
    double sum[4] = {0, 0, 0, 0};
    int64_t i = 0;
    for (; i + 4 <= n_in; i += 4) {
      for (int u = 0; u < 4; ++u) sum[u] += double{w[i + u]} * x[i + u];
    }
    for (; i < n_in; ++i) sum[0] += double{w[i]} * x[i];
    y[o] = static_cast<float>((sum[0] + sum[1]) + (sum[2] + sum[3]) + (b ? b[o] : 0.0F));
  }
}

void layer_norm(const float* x, const float* weight, const float* bias, float eps, int64_t n,
                float* out) {
  double mean = 0, variance = 0;
  for (int64_t i = 0; i < n; ++i) mean += x[i];
  mean /= static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) variance += (x[i] - mean) * (x[i] - mean);
  variance /= static_cast<double>(n);
  const double scale = 1 / std::sqrt(variance + eps);
  for (int64_t i = 0; i < n; ++i) {
    out[i] = static_cast<float>((x[i] - mean) * scale * weight[i] + bias[i]);
  }
}

double softmax(float* scores, int64_t n) {
  double highest = scores[0];
  for (int64_t i = 1; i < n; ++i) highest = std::fmax(highest, scores[i]);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp(scores[i] - highest);
  double entropy = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double p = std::exp(scores[i] - highest) / sum;
    if (p > 0) entropy -= p * std::log(p);
    scores[i] = static_cast<float>(p);
  }
  return entropy;
}

double activate(Activation activation, double x) {
  switch (activation) {
    case Activation::gelu_tanh:
      return 0.5 * x *
             (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    case Activation::gelu_erf:
      return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
    case Activation::relu:
      return x > 0 ? x : 0;
  }
  return x;
}

}  // namespace sentinel::plain
