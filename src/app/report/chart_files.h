// Charts as files.
#pragma once

#include <optional>
#include <string>

#include "app/report/charts_plot.h"

namespace sentinel {

enum class ChartFormat { png, svg, pdf };
std::optional<ChartFormat> parse_chart_format(const std::string& name);

// The bytes of the chart's file; png at 3 pixels per CSS pixel. Error (runtime): png and pdf need
// the program rsvg-convert, which is missing or failed.
std::string render(const Chart& chart, ChartFormat format);

}  // namespace sentinel
