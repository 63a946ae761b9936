// Small-sample statistics of measurements.
#pragma once

#include <vector>

namespace sentinel {

double mean(const std::vector<double>& values);           // 0 when empty
double sample_stddev(const std::vector<double>& values);  // 0 below two values
// The value at share q in [0, 1], linear between neighbours; 0 when empty.
double percentile(std::vector<double> values, double q);
inline double median(std::vector<double> values) { return percentile(std::move(values), 0.5); }

}  // namespace sentinel
