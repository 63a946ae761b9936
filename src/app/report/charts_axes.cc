#include "app/report/charts_axes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "app/report/text_table.h"

namespace sentinel {
namespace {

// The largest of 1, 2, 5 times a power of ten that is not above `value`, or the next one up.
double round_step(double value) {
  const double power = std::pow(10.0, std::floor(std::log10(value)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (value <= factor * power * (1 + 1e-9)) return factor * power;
  }
  return 10 * power;
}

// Decimals that show the value as it is, up to 6.
int exact_decimals(double value) {
  int decimals = 0;
  for (double power = 1; decimals < 6; ++decimals, power *= 10) {
    if (std::abs(std::round(value * power) - value * power) <= 1e-6 * power * std::abs(value))
      break;
  }
  return decimals;
}

}  // namespace

double Scale::operator()(double value) const {
  const double share =
      log ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
  return from + share * (to - from);
}

Scale make_scale(const std::vector<double>& values, bool log, bool from_zero) {
  Scale scale;
  scale.log = log;
  double low = HUGE_VAL, high = -HUGE_VAL;
  for (const double value : values) {
    if (!std::isfinite(value) || (log && value <= 0)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  if (low > high) {
    low = log ? 1 : 0;
    high = log ? 10 : 1;
  }
  if (log) {
    scale.low = low / 1.35;
    scale.high = high * 1.35;
    return scale;
  }
  if (from_zero) low = std::min(low, 0.0);
  // Also keeps ticks apart where a double has few digits left.
  if (high - low <= 1e-6 * std::abs(high)) high = low + std::max(1.0, std::abs(low) * 0.1);
  const double margin = (high - low) * 0.07;
  const double step = round_step((high - low) / 5);
  scale.low = from_zero && low >= 0 ? 0 : std::floor((low - margin) / step) * step;
  if (low >= 0) scale.low = std::max(scale.low, 0.0);
  scale.high = std::ceil((high + margin) / step) * step;
  return scale;
}

double interval_room(const std::vector<double>& values, const std::vector<double>& highs) {
  constexpr double kRoom = 1.25;  // times the largest value
  double largest = 0, room = 0;
  for (const double value : values) {
    if (std::isfinite(value)) largest = std::max(largest, value);
  }
  for (const double high : highs) {
    if (std::isfinite(high)) room = std::max(room, std::min(high, kRoom * largest));
  }
  return std::max(room, largest);
}

std::vector<double> round_ticks(const Scale& scale, int count) {
  std::vector<double> ticks;
  if (!scale.log) {
    const double step = round_step((scale.high - scale.low) / count);
    for (double k = std::ceil(scale.low / step - 1e-9); k * step <= scale.high * (1 + 1e-9); ++k) {
      ticks.push_back(k * step + 0.0);  // never -0
    }
    return ticks;
  }
  const double decades = std::log10(scale.high / scale.low);
  const double every = std::max(1.0, std::ceil(decades / count));
  for (double e = std::floor(std::log10(scale.low)); e <= std::log10(scale.high); e += every) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      // Between the powers of ten only where there are few of them.
      if (factor > 1 && 3 * decades > count + 1) break;
      const double tick = factor * std::pow(10.0, e);
      if (tick >= scale.low && tick <= scale.high) ticks.push_back(tick);
    }
  }
  return ticks;
}

std::vector<std::string> tick_labels(const std::vector<double>& ticks, bool log) {
  double largest = 0;
  for (const double tick : ticks) largest = std::max(largest, std::abs(tick));
  const bool millions = largest >= 1e7;
  const double unit = millions ? 1e6 : 1;
  std::vector<int> decimals;
  for (const double tick : ticks) decimals.push_back(exact_decimals(tick / unit));
  const int most = decimals.empty() ? 0 : *std::max_element(decimals.begin(), decimals.end());
  std::vector<std::string> labels;
  for (size_t i = 0; i < ticks.size(); ++i) {
    labels.push_back(format_number(ticks[i] / unit, log ? decimals[i] : most) +
                     (millions ? "M" : ""));
  }
  return labels;
}

int decimals_for(double largest) {
  if (!(largest > 0) || !std::isfinite(largest)) return 0;
  return std::clamp(3 - static_cast<int>(std::floor(std::log10(largest))), 0, 6);
}

std::string short_number(double value) {
  return std::isfinite(value) ? fmt::format("{:.4g}", value) : "not measured";
}

bool spans(const std::vector<double>& values, double factor) {
  double low = HUGE_VAL, high = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    if (value <= 0) return false;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  return high > low * factor;
}

}  // namespace sentinel
