// Log-softmax sums of one row of logits: float exponentials (relative error below 2e-7), sums in
// double.
#pragma once

namespace sentinel {

struct RowStats {
  float max = 0;
  int argmax = 0;      // the lowest index of the maximum
  double log_sum = 0;  // ln sum_i e^(x_i - max)
  bool finite = true;  // false: a NaN or infinity in the row; the rest is then meaningless
  double log_normalizer() const { return max + log_sum; }
};
RowStats row_stats(const float* logits, int n);  // n >= 1

// -ln softmax(logits)[target], nats.
inline double row_nll(const float* logits, const RowStats& stats, int target) {
  return stats.log_normalizer() - logits[target];
}

// KL(softmax(base) || softmax(model)) in nats, never below 0. Absolute error about 1e-7.
double row_kl(const float* base, const RowStats& base_stats, const float* model,
              const RowStats& model_stats, int n);

}  // namespace sentinel
