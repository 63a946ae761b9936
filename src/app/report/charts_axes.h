// Scales, ticks and axes.
#pragma once

#include <string>
#include <vector>

#include "app/report/charts_drawing.h"

namespace sentinel {

// Values to pixels.
struct Scale {
  double low = 0, high = 1;  // values; low < high, and both positive when `log`
  double from = 0, to = 1;   // pixels
  bool log = false;
  double operator()(double value) const;
};

// A scale for these values with room at both ends and ends on round numbers; ignores what is not
// finite, or not positive when `log`.
Scale make_scale(const std::vector<double>& values, bool log, bool from_zero);

// How far an axis for these values goes so that intervals up to `highs` fit; no further where wide
// ones would flatten the values.
double interval_room(const std::vector<double>& values, const std::vector<double>& highs);

// About `count` round values within the scale.
std::vector<double> round_ticks(const Scale& scale, int count);
// "0.5", "1,500", "25M"; the same number of decimals for all of a linear axis.
std::vector<std::string> tick_labels(const std::vector<double>& ticks, bool log);
// Decimals that leave about four digits of a value of that size.
int decimals_for(double largest);

// Four digits, or "not measured".
std::string short_number(double value);

// True where a logarithmic axis is needed to see all values: the largest is `factor` times the
// smallest. All must be positive.
bool spans(const std::vector<double>& values, double factor = 20);

struct Frame {
  double left, top, right, bottom;  // pixels
};

}  // namespace sentinel
