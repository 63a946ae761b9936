#include "base/log_softmax.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace sentinel {
namespace {

constexpr int kBlock = 256;  // floats on the stack between the vectorised and the double pass

// e^x for x <= 0, by e^x = 2^k e^r with |r| <= ln2 / 2 and a Taylor polynomial of degree 7.
// Free of branches and calls so that the compiler vectorises loops over it.
inline float exp_nonpositive(float x) {
  constexpr float kLog2e = 1.44269504F, kLn2High = 0.693359375F, kLn2Low = -2.12194440e-4F;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  const float clamped = x < -87.0F ? -87.0F : x;
  const float k = (clamped * kLog2e + kRound) - kRound;
  const float r = (clamped - k * kLn2High) - k * kLn2Low;
  float p = 1.0F / 5040;
  p = p * r + 1.0F / 720;
  p = p * r + 1.0F / 120;
  p = p * r + 1.0F / 24;
  p = p * r + 1.0F / 6;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  return p * std::bit_cast<float>((static_cast<int32_t>(k) + 127) << 23);
}

void exp_block(const float* x, float max, int n, float* out) {
  for (int i = 0; i < n; ++i) out[i] = exp_nonpositive(x[i] - max);
}

}  // namespace

RowStats row_stats(const float* logits, int n) {
  RowStats stats;
  stats.max = logits[0];
  for (int i = 0; i < n; ++i) {
    stats.finite &= std::isfinite(logits[i]);
    if (logits[i] > stats.max) {
      stats.max = logits[i];
      stats.argmax = i;
    }
  }
  if (!stats.finite) return stats;
  float e[kBlock];
  double sum[4] = {};
  for (int begin = 0; begin < n; begin += kBlock) {
    const int count = std::min(kBlock, n - begin);
    exp_block(logits + begin, stats.max, count, e);
    for (int i = 0; i < count; ++i) sum[i & 3] += e[i];
  }
  stats.log_sum = std::log((sum[0] + sum[1]) + (sum[2] + sum[3]));
  return stats;
}

double row_kl(const float* base, const RowStats& base_stats, const float* model,
              const RowStats& model_stats, int n) {
  float e[kBlock];
  double sum[4] = {};  // sum e^(b - max) (b - m)
  for (int begin = 0; begin < n; begin += kBlock) {
    const int count = std::min(kBlock, n - begin);
    exp_block(base + begin, base_stats.max, count, e);
    for (int i = 0; i < count; ++i) {
      sum[i & 3] += static_cast<double>(e[i]) * (base[begin + i] - model[begin + i]);
    }
  }
  const double mean_difference =
      ((sum[0] + sum[1]) + (sum[2] + sum[3])) / std::exp(base_stats.log_sum);
  const double kl = mean_difference - base_stats.log_normalizer() + model_stats.log_normalizer();
  return std::max(0.0, kl);
}

}  // namespace sentinel
