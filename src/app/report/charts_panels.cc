// Bars, ranges and heat maps.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "app/report/charts_axes.h"
#include "app/report/charts_plot.h"
#include "app/report/text_table.h"

namespace sentinel {
namespace {

constexpr double kMargin = 12, kRow = 24, kBar = 15;

double widest_label(const std::vector<std::string>& labels, double most) {
  double widest = 0;
  for (const auto& label : labels) widest = std::max(widest, text_width(label, 12));
  return std::min(widest, most);
}

std::string value_text(const Bar& bar, int decimals) {
  std::string text = format_number(bar.value, decimals);
  if (!bar.note.empty()) text += ", " + bar.note;
  return text;
}

void draw_bar(Drawing& drawing, const Bar& bar, const std::string& text, const Scale& scale,
              double top) {
  const SeriesStyle style = series_style(bar.style);
  const double end = std::isfinite(bar.value) ? scale(bar.value) : scale.from;
  drawing.rect({scale.from, top}, std::max(0.0, end - scale.from), kBar, style.ink,
               bar.label + ": " + text);
  double text_from = end;
  if (std::isfinite(bar.low)) {
    const bool open = !(bar.high <= scale.high);
    const double y = top + kBar / 2, high = open ? scale.to : scale(bar.high);
    drawing.interval({scale(bar.low), y}, {high, y}, open, {Ink::text, 1.2, ""});
    text_from = std::max(end, high);
  }
  drawing.text({text_from + 7, top + kBar - 3}, text,
               {Anchor::start, 11, Ink::text, false, 0, true});
}

// Returns the lower end.
double draw_panel(Drawing& drawing, const BarPanel& panel, double label_width, double top) {
  drawing.text({kMargin, top + 12}, panel.title, {Anchor::start, 12, Ink::muted});
  std::vector<double> values = {0}, highs;
  double text_room = 0;
  for (const Bar& bar : panel.bars) {
    values.push_back(bar.value);
    highs.push_back(bar.high);
    text_room = std::max(text_room, text_width(value_text(bar, panel.decimals), 11));
  }
  values.push_back(interval_room(values, highs));
  values.push_back(panel.reference);
  Scale scale;
  scale.low = 0;
  scale.high = 0;
  for (const double value : values) {
    if (std::isfinite(value)) scale.high = std::max(scale.high, value);
  }
  if (scale.high <= 0) scale.high = 1;
  scale.from = kMargin + label_width + 10;
  scale.to = std::max(scale.from + 60, kChartWidth - kMargin - text_room - 8);
  double y = top + 22;
  if (std::isfinite(panel.reference)) {  // below the texts
    const double x = scale(panel.reference), rows = static_cast<double>(panel.bars.size());
    drawing.line({x, top + 18}, {x, y + kRow * rows - 5}, {Ink::muted, 1.2, "4 3"});
  }
  for (const Bar& bar : panel.bars) {
    drawing.text({scale.from - 8, y + kBar - 3}, fit_text(bar.label, label_width, 12),
                 {Anchor::end, 12, Ink::text});
    draw_bar(drawing, bar, value_text(bar, panel.decimals), scale, y);
    y += kRow;
  }
  drawing.line({scale.from, top + 18}, {scale.from, y - 5}, {Ink::axis, 1, ""});
  return y + 8;
}

std::string describe(const BarPlot& plot) {
  std::string out;
  for (const BarPanel& panel : plot.panels) {
    out += (out.empty() ? "" : " ") + panel.title + ":";
    for (size_t i = 0; i < panel.bars.size(); ++i) {
      out += fmt::format("{} {} {}", i ? "," : "", panel.bars[i].label,
                         value_text(panel.bars[i], panel.decimals));
    }
    out += ".";
  }
  return out;
}

ReportTable data_of(const BarPlot& plot) {
  ReportTable table{plot.name,
                    plot.title,
                    {{"Panel"}, {"Label"}, {"Value", 3}, {"Low", 3}, {"High", 3}, {"Note"}},
                    {}};
  for (const BarPanel& panel : plot.panels) {
    for (const Bar& bar : panel.bars) {
      table.rows.push_back(
          {panel.title, bar.label, cell(bar.value), cell(bar.low), cell(bar.high), bar.note});
    }
  }
  return table;
}

constexpr double kRangeTop = 56, kRangeRow = 22;

// The scale of a range plot, with its grid drawn.
Scale range_scale(Drawing& drawing, const RangePlot& plot, double left) {
  std::vector<double> values;
  for (const ValueRange& range : plot.ranges) {
    values.insert(values.end(), range.values.begin(), range.values.end());
  }
  Scale scale = make_scale(values, spans(values), true);
  scale.from = left;
  scale.to = kChartWidth - 24;
  const double bottom = drawing.height() - 40;
  const auto ticks = round_ticks(scale, 5);
  const auto names = tick_labels(ticks, scale.log);
  double free_from = 0;
  for (size_t i = 0; i < ticks.size(); ++i) {
    const double x = scale(ticks[i]), half = text_width(names[i], 11) / 2;
    drawing.line({x, kRangeTop}, {x, bottom}, {Ink::grid, 1, ""});
    if (x - half < free_from) continue;
    drawing.text({x, bottom + 15}, names[i], {Anchor::middle, 11, Ink::muted});
    free_from = x + half + 6;
  }
  drawing.text({(scale.from + scale.to) / 2, drawing.height() - 8}, plot.unit,
               {Anchor::middle, 12, Ink::text});
  return scale;
}

void draw_range(Drawing& drawing, const RangePlot& plot, const ValueRange& range,
                const Scale& scale, double y) {
  const auto drawable = [&](double value) {
    return std::isfinite(value) && (!scale.log || value > 0);
  };
  std::vector<Spot> spots;
  for (const double value : range.values) {
    if (drawable(value)) spots.push_back({scale(value), y});
  }
  drawing.polyline(spots, {Ink::axis, 2, ""});
  for (size_t i = 0; i < range.values.size(); ++i) {
    if (!drawable(range.values[i])) continue;
    const SeriesStyle style = series_style(static_cast<int>(i));
    drawing.marker({scale(range.values[i]), y}, style.marker, style.ink,
                   fmt::format("{}: {} {:.4g}", range.label, plot.names[i], range.values[i]));
  }
}

std::string describe(const RangePlot& plot) {
  std::string out = fmt::format("{} by configuration.", plot.unit);
  for (const ValueRange& range : plot.ranges) {
    out += fmt::format(" {}:", range.label);
    for (size_t i = 0; i < range.values.size(); ++i) {
      out += fmt::format("{} {} {}", i ? "," : "", plot.names[i], short_number(range.values[i]));
    }
    out += ".";
  }
  return out;
}

ReportTable data_of(const RangePlot& plot) {
  ReportTable data{plot.name, plot.title, {{"Configuration"}}, {}};
  for (const auto& name : plot.names) data.columns.push_back({name + " (" + plot.unit + ")", 3});
  for (const ValueRange& range : plot.ranges) {
    data.rows.push_back({range.label});
    for (const double value : range.values) data.rows.back().push_back(cell(value));
  }
  return data;
}

// From pale to deep blue through equal steps of lightness; readable in grey.
std::string heat_color(double share) {
  constexpr double kPale[] = {239, 243, 248}, kDeep[] = {8, 48, 107};
  const auto mix = [&](int i) {
    return static_cast<int>(std::lround(kPale[i] + (kDeep[i] - kPale[i]) * share));
  };
  return fmt::format("#{:02x}{:02x}{:02x}", mix(0), mix(1), mix(2));
}

void draw_heat_key(Drawing& drawing, double low, double high, const std::string& unit, double y) {
  constexpr int kSteps = 24;
  constexpr double kWidth = 5;
  const double left = kChartWidth - kMargin - 90 - kSteps * kWidth;
  const int decimals = decimals_for(std::max(std::abs(low), std::abs(high)));
  drawing.text({kMargin, y}, unit, {Anchor::start, 11, Ink::muted});
  drawing.text({left - 6, y}, format_number(low, decimals), {Anchor::end, 11, Ink::muted});
  for (int i = 0; i < kSteps; ++i) {
    drawing.tile({left + i * kWidth, y - 10}, kWidth + 0.3, 12, heat_color((i + 0.5) / kSteps), "");
  }
  drawing.text({left + kSteps * kWidth + 6, y}, format_number(high, decimals),
               {Anchor::start, 11, Ink::muted});
}

constexpr double kHeatLeft = 56, kHeatTop = 84;

struct HeatLayout {
  size_t columns = 1;
  double low = HUGE_VAL, high = -HUGE_VAL;
  double side = 0;  // of a tile
};

HeatLayout heat_layout(const HeatMap& map) {
  HeatLayout layout;
  for (const auto& row : map.values) {
    layout.columns = std::max(layout.columns, row.size());
    for (const double value : row) {
      if (!std::isfinite(value)) continue;
      layout.low = std::min(layout.low, value);
      layout.high = std::max(layout.high, value);
    }
  }
  if (layout.low > layout.high) layout.low = layout.high = 0;
  layout.side =
      std::min(34.0, (kChartWidth - kHeatLeft - kMargin) / static_cast<double>(layout.columns));
  return layout;
}

void draw_heat_labels(Drawing& drawing, const HeatMap& map, const HeatLayout& layout) {
  drawing.text({kHeatLeft, kHeatTop - 18}, map.column_name, {Anchor::start, 11, Ink::muted});
  drawing.text({kMargin, kHeatTop - 4}, map.row_name, {Anchor::start, 11, Ink::muted});
  const size_t every = layout.side >= 16 ? 1 : 4;  // labels that have room
  for (size_t c = 0; c < layout.columns; c += every) {
    drawing.text({kHeatLeft + layout.side * (static_cast<double>(c) + 0.5), kHeatTop - 4},
                 fmt::format("{}", c), {Anchor::middle, 10, Ink::muted});
  }
  for (size_t r = 0; r < map.values.size(); r += every) {
    drawing.text({kHeatLeft - 8, kHeatTop + layout.side * (static_cast<double>(r) + 0.5) + 4},
                 fmt::format("{}", r), {Anchor::end, 10, Ink::muted});
  }
}

ReportTable data_of(const HeatMap& map, size_t columns) {
  ReportTable data{map.name, map.title, {{map.row_name, 0}}, {}};
  for (size_t c = 0; c < columns; ++c) {
    data.columns.push_back({fmt::format("{} {}", map.column_name, c), 4});
  }
  for (size_t r = 0; r < map.values.size(); ++r) {
    data.rows.emplace_back(columns + 1);
    data.rows.back()[0] = static_cast<double>(r);
    for (size_t c = 0; c < map.values[r].size(); ++c) {
      data.rows.back()[c + 1] = cell(map.values[r][c]);
    }
  }
  return data;
}

}  // namespace

void sort_bars(BarPanel& panel, Best best) {
  const auto rank = [best](const Bar& bar) {
    if (std::isnan(bar.value)) return HUGE_VAL;
    return best == Best::highest ? -bar.value : bar.value;
  };
  std::stable_sort(panel.bars.begin(), panel.bars.end(),
                   [&](const Bar& a, const Bar& b) { return rank(a) < rank(b); });
}

Chart draw(const BarPlot& plot) {
  std::vector<std::string> labels;
  double height = 34;
  for (const BarPanel& panel : plot.panels) {
    for (const Bar& bar : panel.bars) labels.push_back(bar.label);
    height += 30 + kRow * static_cast<double>(panel.bars.size());
  }
  Chart chart{plot.name, Drawing(plot.name, kChartWidth, height + 6), data_of(plot)};
  chart.drawing.text({kMargin, 22}, plot.title, {Anchor::start, 14, Ink::text, true});
  const double label_width = widest_label(labels, 190);
  double y = 36;
  for (const BarPanel& panel : plot.panels) y = draw_panel(chart.drawing, panel, label_width, y);
  chart.drawing.set_alternative(plot.title, describe(plot));
  return chart;
}

Chart draw(const RangePlot& plot) {
  std::vector<std::string> labels;
  for (const ValueRange& range : plot.ranges) labels.push_back(range.label);
  const double height = 106 + kRangeRow * static_cast<double>(plot.ranges.size());
  Chart chart{plot.name, Drawing(plot.name, kChartWidth, height), data_of(plot)};
  Drawing& drawing = chart.drawing;
  drawing.text({kMargin, 22}, plot.title, {Anchor::start, 14, Ink::text, true});
  double x = kMargin;
  for (size_t i = 0; i < plot.names.size(); ++i) {
    const SeriesStyle style = series_style(static_cast<int>(i));
    drawing.marker({x + 6, 40}, style.marker, style.ink);
    drawing.text({x + 16, 44}, plot.names[i]);
    x += 36 + text_width(plot.names[i], 12);
  }
  const double label_width = widest_label(labels, 190);
  const Scale scale = range_scale(drawing, plot, kMargin + label_width + 12);
  for (size_t r = 0; r < plot.ranges.size(); ++r) {
    const double y = kRangeTop + 12 + kRangeRow * static_cast<double>(r);
    drawing.text({scale.from - 10, y + 4}, fit_text(plot.ranges[r].label, label_width, 12),
                 {Anchor::end, 12, Ink::text});
    draw_range(drawing, plot, plot.ranges[r], scale, y);
  }
  drawing.set_alternative(plot.title, describe(plot));
  return chart;
}

Chart draw(const HeatMap& map) {
  const HeatLayout layout = heat_layout(map);
  const double height = kHeatTop + layout.side * static_cast<double>(map.values.size()) + 16;
  Chart chart{map.name, Drawing(map.name, kChartWidth, height), data_of(map, layout.columns)};
  Drawing& drawing = chart.drawing;
  drawing.text({kMargin, 22}, map.title, {Anchor::start, 14, Ink::text, true});
  draw_heat_key(drawing, layout.low, layout.high, map.unit, 44);
  draw_heat_labels(drawing, map, layout);
  for (size_t r = 0; r < map.values.size(); ++r) {
    for (size_t c = 0; c < map.values[r].size(); ++c) {
      const double value = map.values[r][c];
      if (!std::isfinite(value)) continue;
      const double share =
          layout.high > layout.low ? (value - layout.low) / (layout.high - layout.low) : 0.5;
      drawing.tile({kHeatLeft + layout.side * static_cast<double>(c),
                    kHeatTop + layout.side * static_cast<double>(r)},
                   layout.side - 1, layout.side - 1, heat_color(share),
                   fmt::format("{} {}, {} {}: {:.4g}", map.row_name, r, map.column_name, c, value));
    }
  }
  drawing.set_alternative(
      map.title,
      fmt::format("{} by {} and {}: {} x {} values from {:.4g} to {:.4g}.", map.unit, map.row_name,
                  map.column_name, map.values.size(), layout.columns, layout.low, layout.high));
  return chart;
}

}  // namespace sentinel
