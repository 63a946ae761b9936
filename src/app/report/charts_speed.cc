// Speeds: by pruning level, optimisation level, configuration and prompt.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "app/report/charts.h"
#include "app/report/text_table.h"

namespace sentinel {
namespace {

constexpr const char* kSeries[] = {"original", "optimized"};

std::string speedup_text(const ResultRun* original, const ResultRun& run) {
  if (!original || !(original->tokens_per_second > 0)) return "";
  if (!std::isfinite(run.tokens_per_second)) return "";
  return fmt::format("{:.2f}x", run.tokens_per_second / original->tokens_per_second);
}

std::vector<double> pruning_ticks(const ResultFile& file) {
  std::vector<double> ticks;
  for (const ResultRun& run : file.pruning) ticks.push_back(run.key);
  std::sort(ticks.begin(), ticks.end());
  ticks.erase(std::unique(ticks.begin(), ticks.end()), ticks.end());
  return ticks;
}

XyPlot by_pruning(const ResultFile& file, const std::string& name, const std::string& title,
                  const std::string& unit) {
  XyPlot plot{name, title, {"Heads pruned (%)"}, {unit, false, true}, {}, 6};
  plot.x.ticks = pruning_ticks(file);
  return plot;
}

// One line for each series of a figure in the pruning comparison.
XyPlot figure_plot(const ResultFile& file, const std::string& name, const std::string& title,
                   const std::string& unit, double ResultRun::*member) {
  XyPlot plot = by_pruning(file, name, title, unit);
  for (int i = 0; i < 2; ++i) {
    PlotSeries series{kSeries[i], i, {}};
    for (const ResultRun& run : file.pruning) {
      if (run.series != kSeries[i]) continue;
      series.points.push_back({static_cast<double>(run.key), run.*member});
    }
    if (!series.points.empty()) plot.series.push_back(std::move(series));
  }
  return plot;
}

XyPlot speed_plot(const ResultFile& file, const std::string& name) {
  XyPlot plot = by_pruning(file, name, "Speed by pruning level", "Tokens per second");
  for (int i = 0; i < 2; ++i) {
    PlotSeries series{kSeries[i], i, {}};
    for (const ResultRun& run : file.pruning) {
      if (run.series != kSeries[i]) continue;
      PlotPoint point{static_cast<double>(run.key), run.tokens_per_second, run.speed_low(),
                      run.speed_high()};
      if (i == 1) point.label = speedup_text(find_run(file.pruning, "original", run.key), run);
      series.points.push_back(std::move(point));
    }
    if (!series.points.empty()) plot.series.push_back(std::move(series));
  }
  return plot;
}

std::string quality_note(const ResultRun& run) {
  if (!std::isfinite(run.perplexity)) return "";
  std::string note = "ppl " + format_number(run.perplexity, 1);
  if (std::isfinite(run.perplexity_delta_percent)) {
    note += fmt::format(" ({:+.1f} %)", run.perplexity_delta_percent);
  }
  return note;
}

Chart speedup_chart(const ResultFile& file) {
  BarPanel panel{"Optimized against original, times", 2, {}, 1.0};
  for (const ResultRun& run : file.pruning) {
    const ResultRun* original = find_run(file.pruning, "original", run.key);
    if (run.series != "optimized" || !original || !(original->tokens_per_second > 0)) continue;
    panel.bars.push_back({fmt::format("{} % pruned", run.key),
                          run.tokens_per_second / original->tokens_per_second, kNotMeasured,
                          kNotMeasured, "", 1});
  }
  return draw(BarPlot{"speedup", "Speed-up by pruning level", {panel}});
}

}  // namespace

Chart pruning_chart(const ResultFile& file) { return draw(speed_plot(file, "pruning_comparison")); }

Chart pruning_performance_chart(const ResultFile& file) {
  const auto figure = [&](const char* title, const char* unit, double ResultRun::*member) {
    return draw(figure_plot(file, title, title, unit, member));
  };
  ReportTable data;
  auto tables = export_tables(file);
  for (ReportTable& table : tables) {
    if (table.name == "pruning_comparison") data = std::move(table);
  }
  return combine(
      "pruning_performance", "Performance by pruning level",
      {draw(speed_plot(file, "speed")),
       figure("Generation time by pruning level", "Seconds", &ResultRun::generation_time),
       speedup_chart(file),
       figure("First token by pruning level", "Seconds", &ResultRun::first_token_time)},
      2, std::move(data));
}

Chart levels_chart(const ResultFile& file) {
  BarPanel panel{"Tokens per second", 1, {}};
  for (const ResultRun& run : file.levels) {
    panel.bars.push_back({fmt::format("Level {}", run.key), run.tokens_per_second, run.speed_low(),
                          run.speed_high(), quality_note(run), 1});
  }
  sort_bars(panel, Best::highest);
  return draw(BarPlot{"optimization_levels", "Speed by optimisation level", {panel}});
}

Chart latency_chart(const ResultFile& file) {
  BarPanel panel{"Time to the first token (ms), lower is better", 1, {}};
  for (const ResultRun& run : file.levels) {
    panel.bars.push_back({fmt::format("Level {}", run.key), run.first_token_time * 1e3,
                          kNotMeasured, kNotMeasured, "", 1});
  }
  sort_bars(panel, Best::lowest);
  return draw(BarPlot{"optimization_latency", "Latency by optimisation level", {panel}});
}

Chart integration_chart(const ResultFile& file) {
  std::map<int, BarPanel> panels, latencies;
  for (const ResultRun& run : file.integration) {
    BarPanel& panel = panels[run.key];
    panel.title = fmt::format("Tokens per second, {} % of the heads pruned", run.key);
    const ResultRun* original = find_run(file.integration, "original", run.key);
    if (original) panel.reference = original->tokens_per_second;
    panel.bars.push_back({run.series, run.tokens_per_second, run.speed_low(), run.speed_high(),
                          run.series == "original" ? "" : speedup_text(original, run),
                          run.series == "original" ? 0 : 1});
    BarPanel& latency = latencies[run.key];
    latency.title =
        fmt::format("Time to the first token (ms), {} % pruned, lower is better", run.key);
    latency.bars.push_back({run.series, run.first_token_time * 1e3, kNotMeasured, kNotMeasured, "",
                            run.series == "original" ? 0 : 1});
  }
  BarPlot plot{"integration_optimizations", "Integration points", {}};
  for (auto& [key, panel] : panels) {
    sort_bars(panel, Best::highest);
    plot.panels.push_back(std::move(panel));
  }
  for (auto& [key, panel] : latencies) {
    sort_bars(panel, Best::lowest);
    plot.panels.push_back(std::move(panel));
  }
  return draw(plot);
}

Chart isas_chart(const ResultFile& file) {
  BarPanel panel{"Tokens per second", 1, {}};
  for (const ResultRun& run : file.isas) {
    panel.bars.push_back({run.series, run.tokens_per_second, run.speed_low(), run.speed_high(),
                          quality_note(run), 1});
  }
  sort_bars(panel, Best::highest);
  return draw(BarPlot{"cpu_specific", "Speed by instruction set", {panel}});
}

Chart throughput_chart(const ResultFile& file) {
  BarPanel panel{"Tokens per second", 1, {}};
  for (const PromptSpeed& prompt : file.prompts) {
    panel.bars.push_back({prompt.prompt, prompt.tokens_per_second, kNotMeasured, kNotMeasured, "",
                          prompt.prompt == "OVERALL" ? 5 : 1});
  }
  return draw(BarPlot{"throughput_test", "Throughput by prompt", {panel}});
}

}  // namespace sentinel
