#include "base/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace sentinel {
namespace {
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
}

double mean(const std::vector<double>& values) {
  if (values.empty()) return kNaN;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double sample_stddev(const std::vector<double>& values) {
  if (values.size() < 2) return 0;
  const double m = mean(values);
  double squares = 0;
  for (const double v : values) squares += (v - m) * (v - m);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

double percentile(std::vector<double> values, double q) {
  if (values.empty()) return kNaN;
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

double median(std::vector<double> values) { return percentile(std::move(values), 0.5); }

double student_975(double freedom) {
  // Cornish and Fisher's expansion (Abramowitz and Stegun, 26.7.5) at the normal quantile 1.959964.
  const double f = 1 / freedom;
  return 1.959964 + f * (2.372271 + f * (2.822499 + f * (2.555850 + f * 1.589534)));
}

bool clearly_below(const std::vector<double>& now, const std::vector<double>& before) {
  constexpr size_t kFewest = 5;
  if (now.size() < kFewest) return false;
  std::vector<double> gains;
  for (size_t i = 0; i < now.size(); ++i) gains.push_back(before[i] - now[i]);
  const double n = static_cast<double>(gains.size());
  return mean(gains) > student_975(n - 1) * sample_stddev(gains) / std::sqrt(n);
}

}  // namespace sentinel
