#include "app/report/profile_result.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace sentinel {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

int median_tokens(const RunResult& run) {
  if (run.tokens_generated.empty()) return 0;
  std::vector<double> counts(run.tokens_generated.begin(), run.tokens_generated.end());
  return static_cast<int>(median_of(counts));
}

double rate(double amount, const std::vector<double>& times) {
  const double time = median_of(times);
  return time > 0 ? amount / time : kNaN;
}

}  // namespace

double median_of(std::vector<double> values) {
  if (values.empty()) return kNaN;
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double percentile_of(std::vector<double> values, double fraction) {
  if (values.empty()) return kNaN;
  std::sort(values.begin(), values.end());
  const auto rank = std::ceil(fraction * static_cast<double>(values.size()));
  return values[static_cast<size_t>(std::clamp(rank, 1.0, static_cast<double>(values.size()))) - 1];
}

double tokens_per_second(const RunResult& run) {
  return rate(static_cast<double>(median_tokens(run)) * run.batch_size, run.generation_times);
}

double prefill_tokens_per_second(const RunResult& run) {
  return rate(static_cast<double>(run.prompt_total), run.prefill_times);
}

double decode_tokens_per_second(const RunResult& run) {
  return rate(static_cast<double>(median_tokens(run) - 1) * run.batch_size, run.decode_times);
}

double bandwidth_fraction(const RunResult& run) {
  const double step = median_of(run.step_times);
  if (!(step > 0) || !(run.machine_bandwidth > 0)) return kNaN;
  return static_cast<double>(run.bytes_per_step) / step / run.machine_bandwidth;
}

Percentiles step_ms(const RunResult& run) {
  return {percentile_of(run.step_times, 0.5) * 1e3, percentile_of(run.step_times, 0.9) * 1e3,
          percentile_of(run.step_times, 0.99) * 1e3};
}

double noise_percent(const RunResult& run) {
  const auto& times = run.generation_times;
  if (times.size() < 2) return kNaN;
  const double middle = median_of(times);
  std::vector<double> deviations;
  for (const double time : times) deviations.push_back(std::abs(time - middle));
  // 1.4826 MAD estimates sigma; the median of n normal values has standard error 1.2533 sigma/sqrt
  // n.
  const double error = 1.2533 * 1.4826 * median_of(deviations) / std::sqrt(double(times.size()));
  return 100 * 2 * error / middle;
}

double aa_difference_percent(const ProfileResult& result) {
  if (!result.aa_first || !result.aa_second) return kNaN;
  const double a = tokens_per_second(*result.aa_first);
  const double b = tokens_per_second(*result.aa_second);
  return 100 * std::abs(a - b) / ((a + b) / 2);
}

double difference_noise_percent(const ProfileResult& result) {
  std::vector<double> intervals;
  for (const auto* runs : {&result.original, &result.optimized}) {
    for (const auto& [percent, run] : *runs) {
      if (const double noise = noise_percent(run); std::isfinite(noise)) intervals.push_back(noise);
    }
  }
  return std::fmax(aa_difference_percent(result), std::sqrt(2.0) * median_of(intervals));
}

}  // namespace sentinel
