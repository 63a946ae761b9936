// Statistics of small samples.
#pragma once

#include <vector>

namespace sentinel {

double mean(const std::vector<double>& values);           // NaN when empty
double sample_stddev(const std::vector<double>& values);  // 0 below two values
// The value at share q in [0, 1], linear between neighbours (type 7 of Hyndman and Fan 1996, as
// numpy has it); NaN when empty.
double percentile(std::vector<double> values, double q);
double median(std::vector<double> values);
// The 97.5 % quantile of Student's t, from 3 degrees of freedom on; within 0.15 %.
double student_975(double freedom);
// Whether `now` is lower than `before` by more than chance: paired one-sided t-test at 2.5 %. False
// for less than five pairs. Both have one size.
bool clearly_below(const std::vector<double>& now, const std::vector<double>& before);

}  // namespace sentinel
