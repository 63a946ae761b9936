// Charts as files.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "app/report/charts_plot.h"

namespace sentinel {

enum class ChartFormat { png, svg, pdf };
std::optional<ChartFormat> parse_chart_format(const std::string& name);
const char* to_string(ChartFormat format);

// Whether charts can be written in this format on this machine: png and pdf need rsvg-convert.
bool can_write(ChartFormat format);

// The bytes of the chart's file; png at 3 pixels per CSS pixel. Error (runtime): png and pdf need
// the program rsvg-convert, which is missing or failed.
std::string render(const Chart& chart, ChartFormat format);

// A drawing's PNG at one pixel per CSS pixel. Error (runtime) as render().
std::string svg_to_png(const std::string& svg);

// Writes FOLDER/<name>.<format> for each, whole or not at all; returns their paths. The folder
// exists. Error (runtime): as render, or a file cannot be written.
std::vector<std::filesystem::path> write_charts(const std::vector<Chart>& charts,
                                                const std::filesystem::path& folder,
                                                ChartFormat format);

}  // namespace sentinel
