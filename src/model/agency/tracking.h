// What tracking makes of the numbers that attention leaves behind.
#pragma once

#include <algorithm>
#include <cmath>

namespace sentinel {

// 1 - H / ln n of a row that sees n >= 2 keys, entropy H in nats: 0 looks everywhere, 1 at one key.
inline double utilization_of(double entropy, int visible) {
  return std::clamp(1 - entropy / std::log(static_cast<double>(visible)), 0.0, 1.0);
}

// Mean over the values added.
struct RunningMean {
  double sum = 0;
  int count = 0;
  void add(double value) {
    sum += value;
    ++count;
  }
  double mean() const { return sum / count; }  // count > 0
};

}  // namespace sentinel
