// Plots made of the drawing core: lines or points over axes, panels of horizontal bars, ranges,
// heat maps. Each gives a Chart: the drawing with its text alternative, and the same data as a
// table.
#pragma once

#include <string>
#include <vector>

#include "app/report/charts_drawing.h"
#include "app/report/export_tables.h"

namespace sentinel {

inline constexpr double kChartWidth = 440;  // readable on a phone without zooming

struct Chart {
  std::string name;  // file name without extension
  Drawing drawing;
  ReportTable data;
};

struct PlotPoint {
  double x, y;
  // Interval of y: none without `low`, open upwards without `high` or where that leaves the frame.
  double low = kNotMeasured, high = kNotMeasured;
  std::string label = {};  // beside the point, where there is room
  std::string name = {};   // of what was measured: in the table, and while the pointer is on it
};
struct PlotSeries {
  std::string name;
  int style = 0;
  std::vector<PlotPoint> points;
  bool connected = true, markers = true;
};
struct Axis {
  std::string title;
  bool log = false;  // only positive values are drawn
  bool from_zero = false;
  std::vector<double> ticks = {};  // empty: chosen
};
struct XyPlot {
  std::string name, title;
  Axis x, y;
  std::vector<PlotSeries> series;
  double dodge = 0;  // pixels between the series' markers at one x, so that intervals can be told
};
Chart draw(const XyPlot& plot);

struct Bar {
  std::string label;
  double value;
  double low = kNotMeasured, high = kNotMeasured;  // interval, as of PlotPoint
  std::string note;                                // behind the value
  int style = 0;
};
struct BarPanel {
  std::string title;  // with the unit
  int decimals = 1;
  std::vector<Bar> bars;
  double reference = kNotMeasured;  // a line at this value
};
enum class Best { highest, lowest };
// The best first; what was not measured last.
void sort_bars(BarPanel& panel, Best best);
struct BarPlot {
  std::string name, title;
  std::vector<BarPanel> panels;
};
Chart draw(const BarPlot& plot);

// One row of markers on a line, such as percentiles.
struct ValueRange {
  std::string label;
  std::vector<double> values;  // as many as `names`
};
struct RangePlot {
  std::string name, title, unit;
  std::vector<std::string> names;  // "p50", "p90", "p99"
  std::vector<ValueRange> ranges;
};
Chart draw(const RangePlot& plot);

// Rows x columns of numbers as tiles from light (lowest) to dark (highest); what is not finite is
// left blank.
struct HeatMap {
  std::string name, title, row_name, column_name, unit;
  std::vector<std::vector<double>> values;
};
Chart draw(const HeatMap& map);

// Plots side by side under one title, with one table for all of them.
Chart combine(const std::string& name, const std::string& title, const std::vector<Chart>& parts,
              int columns, ReportTable data);

}  // namespace sentinel
