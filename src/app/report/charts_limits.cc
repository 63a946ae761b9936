// Speed against what it costs (quality) and against what limits it (the memory bus).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "app/report/charts.h"
#include "app/report/charts_axes.h"

namespace sentinel {
namespace {

// Every run of the file, named as people would.
struct NamedRun {
  std::string name;
  int style;
  const ResultRun* run;
};

std::vector<NamedRun> named_runs(const ResultFile& file) {
  std::vector<NamedRun> runs;
  for (const ResultRun& run : file.pruning) {
    runs.push_back(
        {fmt::format("{} {} %", run.series, run.key), run.series == "original" ? 0 : 1, &run});
  }
  for (const ResultRun& run : file.levels) {
    runs.push_back({fmt::format("level {}", run.key), 2, &run});
  }
  return runs;
}

// The runs that no other beats in both speed and perplexity, fastest last.
std::vector<NamedRun> pareto_front(std::vector<NamedRun> runs) {
  std::stable_sort(runs.begin(), runs.end(), [](const NamedRun& a, const NamedRun& b) {
    if (a.run->tokens_per_second != b.run->tokens_per_second) {
      return a.run->tokens_per_second > b.run->tokens_per_second;
    }
    return a.run->perplexity < b.run->perplexity;
  });
  std::vector<NamedRun> front;
  double best = HUGE_VAL;
  for (const NamedRun& run : runs) {
    if (run.run->perplexity >= best) continue;
    best = run.run->perplexity;
    front.push_back(run);
  }
  std::reverse(front.begin(), front.end());
  return front;
}

constexpr const char* kStyleNames[] = {"original", "optimized", "optimisation levels"};

}  // namespace

Chart quality_speed_chart(const ResultFile& file) {
  std::vector<NamedRun> runs = named_runs(file);
  std::erase_if(runs, [](const NamedRun& run) {
    return !(run.run->perplexity > 0) || !(run.run->tokens_per_second > 0);
  });
  const auto front = pareto_front(runs);
  const auto on_front = [&](const NamedRun& run) {
    return std::any_of(front.begin(), front.end(),
                       [&](const NamedRun& other) { return other.run == run.run; });
  };
  std::vector<double> speeds, perplexities;
  for (const auto& run : runs) {
    speeds.push_back(run.run->tokens_per_second);
    perplexities.push_back(run.run->perplexity);
  }
  XyPlot plot{"quality_speed",
              "Speed against quality",
              {"Tokens per second", spans(speeds)},
              {"Perplexity (lower is better)", spans(perplexities, 3)},
              {}};
  for (int style = 0; style < 3; ++style) {
    PlotSeries series{kStyleNames[style], style, {}, false, true};
    for (const auto& run : runs) {
      if (run.style != style) continue;
      series.points.push_back({run.run->tokens_per_second, run.run->perplexity, kNotMeasured,
                               kNotMeasured, on_front(run) ? run.name : "",
                               on_front(run) ? run.name + " (Pareto front)" : run.name});
    }
    if (!series.points.empty()) plot.series.push_back(std::move(series));
  }
  PlotSeries line{"Pareto front", 5, {}, true, false};
  for (const auto& run : front) {
    line.points.push_back({run.run->tokens_per_second, run.run->perplexity});
    line.points.back().name = run.name;
  }
  if (line.points.size() > 1) plot.series.push_back(std::move(line));
  return draw(plot);
}

Chart step_times_chart(const ResultFile& file) {
  RangePlot plot{
      "step_times", "Time of one decode step", "milliseconds", {"p50", "p90", "p99"}, {}};
  for (const auto& run : named_runs(file)) {
    if (!std::isfinite(run.run->step_p50)) continue;
    plot.ranges.push_back({run.name, {run.run->step_p50, run.run->step_p90, run.run->step_p99}});
  }
  return draw(plot);
}

Chart roofline_chart(const ResultFile& file) {
  constexpr double kMb = 1e6, kGb = 1e9;
  XyPlot plot{"roofline",
              "Bytes read against the machine's limit",
              {"Bytes read per step (MB)", true},
              {"GB per second", true},
              {}};
  PlotSeries limit{"limit: measured read bandwidth", 5, {}, true, false};
  for (const auto& [bytes, rate] : file.roof.read) {
    limit.points.push_back({bytes / kMb, rate / kGb});
    limit.points.back().name = fmt::format("limit at {:.4g} MB", bytes / kMb);
  }
  plot.series.push_back(std::move(limit));
  for (int style = 0; style < 3; ++style) {
    PlotSeries series{kStyleNames[style], style, {}, false, true};
    for (const auto& run : named_runs(file)) {
      const double rate = run.run->bytes_per_step / (run.run->step_p50 / 1e3) / kGb;
      if (run.style != style || !(rate > 0) || !std::isfinite(rate)) continue;
      std::string name = run.name;
      if (std::isfinite(run.run->bandwidth_fraction)) {
        name += fmt::format(": {:.0f} % of the limit", 100 * run.run->bandwidth_fraction);
      }
      series.points.push_back({run.run->bytes_per_step / kMb, rate, kNotMeasured, kNotMeasured,
                               style == 2 ? run.name : "", name});
    }
    if (!series.points.empty()) plot.series.push_back(std::move(series));
  }
  return draw(plot);
}

}  // namespace sentinel
