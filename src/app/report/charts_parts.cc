// Sizes and parts: loading, components, memory, models, heads; and which charts a file gets.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "app/report/charts.h"
#include "app/report/charts_axes.h"

namespace sentinel {
namespace {

constexpr int kBaseline = 2, kOriginal = 0, kOptimized = 1;  // styles

int style_of(const std::string& name) {
  if (name == "Baseline") return kBaseline;
  return name == "Original" || name == "original" ? kOriginal : kOptimized;
}

bool any_finite(const std::vector<ResultRun>& runs, double ResultRun::*member) {
  return std::any_of(runs.begin(), runs.end(),
                     [&](const ResultRun& run) { return std::isfinite(run.*member); });
}

BarPanel memory_panel(const ResultFile& file, const char* title, double ResultRun::*member,
                      double unit) {
  BarPanel panel{title, 1, {}};
  const auto add = [&](const std::string& label, const ResultRun& run, int style) {
    if (std::isfinite(run.*member)) {
      panel.bars.push_back({label, run.*member / unit, kNotMeasured, kNotMeasured, "", style});
    }
  };
  for (const ResultRun& run : file.pruning) {
    add(fmt::format("{} {} %", run.series, run.key), run, style_of(run.series));
  }
  for (const ResultRun& run : file.levels) add(fmt::format("level {}", run.key), run, 2);
  return panel;
}

BarPanel models_panel(const ResultFile& file, const char* title, int decimals,
                      double (*value)(const ComparedModel&)) {
  BarPanel panel{title, decimals, {}};
  for (const ComparedModel& model : file.models) {
    panel.bars.push_back({model.name, value(model), kNotMeasured, kNotMeasured, "", kOptimized});
  }
  return panel;
}

bool has_memory(const ResultFile& file) {
  for (const auto* runs : {&file.pruning, &file.levels}) {
    if (any_finite(*runs, &ResultRun::weight_bytes) || any_finite(*runs, &ResultRun::peak_rss_mb) ||
        any_finite(*runs, &ResultRun::cpu_memory_mb)) {
      return true;
    }
  }
  return false;
}

bool has(const ResultFile& file, double ResultRun::*member) {
  return any_finite(file.pruning, member) || any_finite(file.levels, member);
}

// Charts that the exporter and the profiler share.
void add_measured(const ResultFile& file, std::vector<Chart>& charts) {
  if (has(file, &ResultRun::perplexity)) charts.push_back(quality_speed_chart(file));
  if (!file.integration.empty()) charts.push_back(integration_chart(file));
  if (!file.isas.empty()) charts.push_back(isas_chart(file));
  if (!file.components.empty()) charts.push_back(components_chart(file));
  if (has(file, &ResultRun::step_p50)) charts.push_back(step_times_chart(file));
  if (has_memory(file)) charts.push_back(memory_chart(file));
  if (file.memory_samples.size() > 1) charts.push_back(memory_over_time_chart(file));
  if (!file.roof.read.empty() && has(file, &ResultRun::bytes_per_step)) {
    charts.push_back(roofline_chart(file));
  }
  if (!file.heads.scores.empty()) {
    charts.push_back(head_heat_map("head_scores", "Score of every head",
                                   "Score by strategy " + file.heads.strategy, file.heads.scores));
  }
  if (!file.models.empty()) {
    charts.push_back(models_chart(file));
    charts.push_back(growth_chart(file));
  }
}

// "optimized at 30 % pruning"
std::string series_name(const ComponentTime& part) {
  if (part.pruning_level < 0) return part.series;
  return fmt::format("{} at {} % pruning", part.series, part.pruning_level);
}

// "optimized 30 %"
std::string short_name(const ComponentTime& part) {
  if (part.pruning_level < 0) return part.series;
  return fmt::format("{} {} %", part.series, part.pruning_level);
}

// Each part's time in the plain transformer against its time in the adaptive model.
BarPanel part_speedups(const ResultFile& file) {
  BarPanel panel{"", 2, {}};
  panel.reference = 1;
  for (const ComponentTime& part : file.components) {
    const auto original = std::find_if(
        file.components.begin(), file.components.end(), [&](const ComponentTime& other) {
          return other.series == "original" && other.name == part.name;
        });
    if (part.series != "optimized" || original == file.components.end()) continue;
    if (!(original->average_ms > 0) || !(part.average_ms > 0)) continue;
    panel.title =
        fmt::format("Times as fast: {} against {}", short_name(part), short_name(*original));
    panel.bars.push_back(
        {part.name, original->average_ms / part.average_ms, kNotMeasured, kNotMeasured,
         fmt::format("{:.3g} to {:.3g} ms", original->average_ms, part.average_ms), 1});
  }
  return panel;
}

}  // namespace

Chart loading_chart(const ResultFile& file, const std::string& name) {
  BarPanel time{"Loading time (s)", 3, {}}, size{"Parameters (millions)", 2, {}},
      memory{"Memory (MiB)", 1, {}};
  const auto bar = [](const LoadedModel& model, double value) {
    return Bar{model.name, value, kNotMeasured, kNotMeasured, "", style_of(model.name)};
  };
  for (const LoadedModel& model : file.loading) {
    time.bars.push_back(bar(model, model.load_time));
    size.bars.push_back(bar(model, model.parameters / 1e6));
    memory.bars.push_back(bar(model, model.memory_bytes / 1024 / 1024));
  }
  return draw(BarPlot{name, "Model loading", {time, size, memory}});
}

Chart components_chart(const ResultFile& file) {
  BarPlot plot{"component_breakdown", "Where time and bytes go", {}};
  const auto add = [&](const char* series, const char* what, double ComponentTime::*share,
                       double ComponentTime::*amount, const char* unit, double scale) {
    BarPanel panel{"", 1, {}};
    for (const ComponentTime& part : file.components) {
      if (part.series != series || !(part.*share > 0)) continue;
      panel.title = fmt::format("{}, {}", what, series_name(part));
      std::string note;
      if (std::isfinite(part.*amount)) note = fmt::format("{:.3g} {}", part.*amount / scale, unit);
      panel.bars.push_back(
          {part.name, part.*share, kNotMeasured, kNotMeasured, note, style_of(series)});
    }
    sort_bars(panel, Best::highest);
    if (!panel.bars.empty()) plot.panels.push_back(std::move(panel));
  };
  constexpr double kMb = 1e6;
  for (const char* series : {"original", "optimized"}) {
    add(series, "Share of time (%)", &ComponentTime::percent, &ComponentTime::average_ms, "ms", 1);
    add(series, "Share of a step's bytes (%)", &ComponentTime::bytes_percent, &ComponentTime::bytes,
        "MB", kMb);
  }
  BarPanel speedups = part_speedups(file);
  if (!speedups.bars.empty()) plot.panels.push_back(std::move(speedups));
  return draw(plot);
}

Chart memory_chart(const ResultFile& file) {
  constexpr double kMb = 1e6;
  BarPlot plot{"memory", "Memory", {}};
  const BarPanel panels[] = {
      memory_panel(file, "Weights held (MB)", &ResultRun::weight_bytes, kMb),
      memory_panel(file, "Peak resident memory of the process (MB)", &ResultRun::peak_rss_mb, 1)};
  for (BarPanel panel : panels) {
    const auto& bars = panel.bars;
    const bool same = std::all_of(bars.begin(), bars.end(),
                                  [&](const Bar& bar) { return bar.value == bars[0].value; });
    if (bars.size() > 1 && same) {  // one process, one peak: a column of twins says no more
      panel.bars.resize(1);
      panel.bars[0].label = "every run";
    }
    if (!panel.bars.empty()) plot.panels.push_back(std::move(panel));
  }
  if (plot.panels.empty()) {  // a file of the Python system
    plot.panels.push_back(
        memory_panel(file, "Resident memory before warm-up (MB)", &ResultRun::cpu_memory_mb, 1));
  }
  return draw(plot);
}

Chart memory_over_time_chart(const ResultFile& file) {
  XyPlot plot{"memory_over_time",
              "Memory over time",
              {"Seconds"},
              {"Resident memory (MB)", false, true},
              {}};
  PlotSeries series{"resident memory", 0, {}, true, false};
  // Stages that last, named once, and not beside another name: labels would lie on each other.
  constexpr double kLasts = 0.05, kApart = 0.15;  // of the whole time
  double labelled = -HUGE_VAL;
  std::set<std::string> named;
  const auto& samples = file.memory_samples;
  const double total = samples.back().seconds - samples.front().seconds;
  for (size_t i = 0; i < samples.size(); ++i) {
    const std::string& stage = samples[i].series;
    series.points.push_back({samples[i].seconds, samples[i].rss_mb});
    series.points.back().name = stage;
    if (i > 0 && samples[i - 1].series == stage) continue;
    size_t next = i + 1;
    while (next < samples.size() && samples[next].series == stage) ++next;
    const double begin = samples[i].seconds;
    const double end = samples[std::min(next, samples.size() - 1)].seconds;
    if (end - begin < kLasts * total || begin - labelled < kApart * total) continue;
    if (!named.insert(stage).second) continue;
    series.points.back().label = stage;
    labelled = begin;
  }
  plot.series.push_back(std::move(series));
  return draw(plot);
}

Chart models_chart(const ResultFile& file) {
  BarPanel size{"Parameters (millions), adaptive", 1, {}};
  for (const ComparedModel& model : file.models) {
    std::string note;
    if (std::isfinite(model.growth_percent)) note = fmt::format("{:+.2g} %", model.growth_percent);
    size.bars.push_back({model.name, model.adaptive_parameters / 1e6, kNotMeasured, kNotMeasured,
                         note, kOptimized});
  }
  BarPlot plot{
      "multi_model_comparison",
      "Models compared",
      {size,
       models_panel(file, "Loading time (s)", 3,
                    [](const ComparedModel& model) { return model.load_time; }),
       models_panel(file, "Tokens per second", 1,
                    [](const ComparedModel& model) { return model.run.tokens_per_second; }),
       models_panel(file, "First token (ms)", 1,
                    [](const ComparedModel& model) { return model.run.first_token_time * 1e3; })}};
  const bool measured = std::any_of(file.models.begin(), file.models.end(), [](const auto& model) {
    return std::isfinite(model.run.perplexity);
  });
  if (measured) {
    plot.panels.push_back(
        models_panel(file, "Perplexity (comparable with one tokenizer), lower is better", 2,
                     [](const ComparedModel& model) { return model.run.perplexity; }));
  }
  return draw(plot);
}

Chart growth_chart(const ResultFile& file) {
  std::vector<ComparedModel> models = file.models;
  std::stable_sort(models.begin(), models.end(), [](const auto& a, const auto& b) {
    return a.baseline_parameters < b.baseline_parameters ||
           (!std::isnan(a.baseline_parameters) && std::isnan(b.baseline_parameters));
  });
  BarPanel panel{"Parameters added (%), smallest model first", 2, {}};
  double largest = 0;
  for (const ComparedModel& model : models) {
    if (std::isfinite(model.growth_percent)) largest = std::max(largest, model.growth_percent);
  }
  panel.decimals = decimals_for(largest);
  for (const ComparedModel& model : models) {
    panel.bars.push_back({model.name, model.growth_percent, kNotMeasured, kNotMeasured,
                          std::isfinite(model.baseline_parameters)
                              ? fmt::format("of {:.4g} M", model.baseline_parameters / 1e6)
                              : "",
                          kOptimized});
  }
  return draw(BarPlot{"parameter_growth", "Growth by model size", {panel}});
}

Chart head_heat_map(const std::string& name, const std::string& title, const std::string& unit,
                    const std::vector<std::vector<double>>& values) {
  return draw(HeatMap{name, title, "Layer", "Head", unit, values});
}

std::vector<Chart> export_charts(const ResultFile& file) {
  std::vector<Chart> charts;
  if (!file.pruning.empty()) charts.push_back(pruning_chart(file));
  if (!file.levels.empty()) {
    charts.push_back(levels_chart(file));
    charts.push_back(latency_chart(file));
  }
  if (!file.loading.empty()) charts.push_back(loading_chart(file, "model_loading"));
  add_measured(file, charts);
  if (!file.prompts.empty()) charts.push_back(throughput_chart(file));
  return charts;
}

std::vector<Chart> profile_charts(const ResultFile& file) {
  std::vector<Chart> charts;
  if (!file.loading.empty()) charts.push_back(loading_chart(file, "model_loading_comparison"));
  if (!file.pruning.empty()) charts.push_back(pruning_performance_chart(file));
  if (!file.levels.empty()) charts.push_back(levels_chart(file));
  add_measured(file, charts);
  return charts;
}

}  // namespace sentinel
