#include "app/report/charts_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "app/report/charts_axes.h"
#include "app/report/charts_labels.h"
#include "app/report/text_table.h"

namespace sentinel {
namespace {

constexpr double kHeight = 340, kMargin = 12, kLabelSize = 11;

class XyPainter {
 public:
  explicit XyPainter(const XyPlot& plot) : plot_(plot), drawing_(plot.name, kChartWidth, kHeight) {}

  Drawing paint() {
    drawing_.text({kMargin, 22}, plot_.title, {Anchor::start, 14, Ink::text, true});
    const double legend_end = legend(44);
    drawing_.text({kMargin, legend_end + 12}, plot_.y.title, {Anchor::start, 11, Ink::muted});
    scales(legend_end + 22);
    placer_.emplace(Frame{frame_.left - 4, frame_.top - 8, kChartWidth - 2, frame_.bottom},
                    kLabelSize);
    axes();
    for (size_t i = 0; i < plot_.series.size(); ++i) lines(plot_.series[i], offset(i));
    for (size_t i = 0; i < plot_.series.size(); ++i) markers(plot_.series[i], offset(i));
    for (size_t i = 0; i < plot_.series.size(); ++i) labels(plot_.series[i], offset(i));
    return std::move(drawing_);
  }

 private:
  // Returns the lower end of the last row.
  double legend(double y) {
    if (plot_.series.size() < 2) return y - 16;
    double x = kMargin;
    for (const PlotSeries& series : plot_.series) {
      const std::string name = fit_text(series.name, 280, 12);
      const double width = 34 + text_width(name, 12) + 14;
      if (x > kMargin && x + width > kChartWidth) {
        x = kMargin;
        y += 18;
      }
      const SeriesStyle style = series_style(series.style);
      if (series.connected) {
        drawing_.line({x, y - 4}, {x + 28, y - 4}, {style.ink, 2, style.dash});
      }
      if (series.markers) drawing_.marker({x + 14, y - 4}, style.marker, style.ink);
      drawing_.text({x + 34, y}, name);
      x += width;
    }
    return y + 8;
  }

  void scales(double top) {
    std::vector<double> xs, ys, highs;
    for (const PlotSeries& series : plot_.series) {
      for (const PlotPoint& point : series.points) {
        xs.push_back(point.x);
        ys.push_back(point.y);
        highs.push_back(point.high);
      }
    }
    ys.push_back(interval_room(ys, highs));
    x_ = make_scale(xs, plot_.x.log, plot_.x.from_zero);
    y_ = make_scale(ys, plot_.y.log, plot_.y.from_zero);
    y_ticks_ = plot_.y.ticks.empty() ? round_ticks(y_, 5) : plot_.y.ticks;
    y_labels_ = tick_labels(y_ticks_, y_.log);
    double widest = 0;
    for (const auto& label : y_labels_) widest = std::max(widest, text_width(label, 11));
    frame_ = {kMargin + widest + 8, top, kChartWidth - 18, kHeight - 46};
    if (!plot_.x.ticks.empty()) {  // given positions: room for the markers, no rounding outwards
      const double span = x_.log ? 0 : (plot_.x.ticks.back() - plot_.x.ticks.front());
      if (span > 0) {
        x_.low = plot_.x.ticks.front() - 0.06 * span;
        x_.high = plot_.x.ticks.back() + 0.06 * span;
      }
    }
    x_.from = frame_.left;
    x_.to = frame_.right;
    y_.from = frame_.bottom;
    y_.to = frame_.top;
  }

  void axes() {
    for (size_t i = 0; i < y_ticks_.size(); ++i) {
      const double y = y_(y_ticks_[i]);
      drawing_.line({frame_.left, y}, {frame_.right, y}, {Ink::grid, 1, ""});
      drawing_.text({frame_.left - 6, y + 4}, y_labels_[i], {Anchor::end, 11, Ink::muted});
    }
    const auto ticks = plot_.x.ticks.empty() ? round_ticks(x_, 6) : plot_.x.ticks;
    const auto names = tick_labels(ticks, x_.log);
    double free_from = -HUGE_VAL;  // labels that would touch the one before are left out
    for (size_t i = 0; i < ticks.size(); ++i) {
      const double x = x_(ticks[i]), half = text_width(names[i], 11) / 2;
      drawing_.line({x, frame_.bottom}, {x, frame_.bottom + 4}, {Ink::axis, 1, ""});
      if (x - half < free_from) continue;
      drawing_.text({x, frame_.bottom + 18}, names[i], {Anchor::middle, 11, Ink::muted});
      free_from = x + half + 6;
    }
    drawing_.line({frame_.left, frame_.bottom}, {frame_.right, frame_.bottom}, {Ink::axis, 1, ""});
    drawing_.text({(frame_.left + frame_.right) / 2, kHeight - 10}, plot_.x.title,
                  {Anchor::middle, 12, Ink::text});
  }

  double offset(size_t index) const {
    return plot_.dodge *
           (static_cast<double>(index) - static_cast<double>(plot_.series.size() - 1) / 2);
  }
  bool drawable(const PlotPoint& point) const {
    return std::isfinite(point.x) && std::isfinite(point.y) && (!x_.log || point.x > 0) &&
           (!y_.log || point.y > 0);
  }
  Spot spot(const PlotPoint& point, double dx) const { return {x_(point.x) + dx, y_(point.y)}; }

  void lines(const PlotSeries& series, double dx) {
    const SeriesStyle style = series_style(series.style);
    std::vector<Spot> spots;
    for (const PlotPoint& point : series.points) {
      if (!drawable(point)) continue;
      spots.push_back(spot(point, dx));
      if (!std::isfinite(point.low)) continue;
      const double x = spots.back().x;
      const bool open = !(point.high <= y_.high);
      const Spot low{x, y_(std::max(point.low, y_.low))};
      const Spot high{x, open ? frame_.top : y_(point.high)};
      drawing_.interval(low, high, open, {style.ink, 1.2, ""});
      placer_->add_line(low, high);
    }
    if (!series.connected) return;
    drawing_.polyline(spots, {style.ink, 2, style.dash});
    for (size_t i = 1; i < spots.size(); ++i) placer_->add_line(spots[i - 1], spots[i]);
  }

  static std::string hover(const PlotSeries& series, const PlotPoint& point) {
    return fmt::format("{}{}{}: {:.4g} at {:.4g}", series.name, point.name.empty() ? "" : ", ",
                       point.name, point.y, point.x);
  }

  void markers(const PlotSeries& series, double dx) {
    const SeriesStyle style = series_style(series.style);
    for (const PlotPoint& point : series.points) {
      if (!drawable(point) || (!series.markers && point.label.empty())) continue;
      const Spot at = spot(point, dx);
      drawing_.marker(at, style.marker, style.ink, hover(series, point));
      placer_->add_marker(at);
    }
  }

  // What finds no room is left to the data table.
  void labels(const PlotSeries& series, double dx) {
    for (const PlotPoint& point : series.points) {
      if (point.label.empty() || !drawable(point)) continue;
      const Spot at = spot(point, dx);
      const auto place = placer_->place(at, text_width(point.label, kLabelSize));
      if (!place) continue;
      if (place->led) drawing_.line(at, place->leader, {Ink::muted, 0.8, ""});
      drawing_.text(place->text, point.label,
                    {Anchor::middle, kLabelSize, Ink::text, false, 0, true});
    }
  }

  const XyPlot& plot_;
  Drawing drawing_;
  Scale x_, y_;
  Frame frame_{};
  std::vector<double> y_ticks_;
  std::vector<std::string> y_labels_;
  std::optional<LabelPlacer> placer_;  // from when the frame is known
};

int column_decimals(const XyPlot& plot, double PlotPoint::*member) {
  double largest = 0;
  for (const auto& series : plot.series) {
    for (const auto& point : series.points) {
      if (std::isfinite(point.*member)) largest = std::max(largest, std::abs(point.*member));
    }
  }
  return decimals_for(largest);
}

ReportTable data_of(const XyPlot& plot) {
  const int x_decimals = plot.x.ticks.empty() ? column_decimals(plot, &PlotPoint::x) : 0;
  const int y_decimals = column_decimals(plot, &PlotPoint::y);
  ReportTable table{plot.name,
                    plot.title,
                    {{"Series"},
                     {"Label"},
                     {plot.x.title, x_decimals},
                     {plot.y.title, y_decimals},
                     {"Low", y_decimals},
                     {"High", y_decimals}},
                    {}};
  for (const PlotSeries& series : plot.series) {
    for (const PlotPoint& point : series.points) {
      table.rows.push_back({series.name, point.name.empty() ? point.label : point.name,
                            cell(point.x), cell(point.y), cell(point.low), cell(point.high)});
    }
  }
  return table;
}

std::string describe(const XyPlot& plot) {
  constexpr size_t kMost = 12;  // of each series; the table beside the chart has all
  std::string out = fmt::format("{} against {}.", plot.y.title, plot.x.title);
  for (const PlotSeries& series : plot.series) {
    out += fmt::format(" {}:", series.name);
    for (size_t i = 0; i < std::min(kMost, series.points.size()); ++i) {
      const PlotPoint& point = series.points[i];
      out += fmt::format("{} {} at {}", i ? "," : "", short_number(point.y), short_number(point.x));
    }
    out += series.points.size() > kMost ? fmt::format(" and {} more.", series.points.size() - kMost)
                                        : ".";
  }
  return out;
}

}  // namespace

Chart draw(const XyPlot& plot) {
  Chart chart{plot.name, XyPainter(plot).paint(), data_of(plot)};
  chart.drawing.set_alternative(plot.title, describe(plot));
  return chart;
}

Chart combine(const std::string& name, const std::string& title, const std::vector<Chart>& parts,
              int columns, ReportTable data) {
  std::vector<double> heights;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i % static_cast<size_t>(columns) == 0) heights.push_back(0);
    heights.back() = std::max(heights.back(), parts[i].drawing.height());
  }
  double height = 0;
  for (const double row : heights) height += row;
  Chart chart{name, Drawing(name, kChartWidth * columns, height), std::move(data)};
  std::string description;
  double y = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto column = static_cast<int>(i) % columns;
    if (i > 0 && column == 0) y += heights[i / static_cast<size_t>(columns) - 1];
    chart.drawing.place(parts[i].drawing, {kChartWidth * column, y});
    description += parts[i].drawing.title() + ". " + parts[i].drawing.description() + " ";
  }
  chart.drawing.set_alternative(title, description);
  return chart;
}

}  // namespace sentinel
