#include "app/report/charts.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <regex>
#include <set>

#include "app/report/chart_files.h"
#include "app/report/charts_axes.h"
#include "app/report/export_fixtures.h"
#include "app/report/xml_check.h"

namespace sentinel {
namespace {

using testing::full_result;
using testing::hostile_result;
using testing::python_result;
using testing::xml_problem;

std::vector<std::string> names(const std::vector<Chart>& charts) {
  std::vector<std::string> out;
  for (const Chart& chart : charts) out.push_back(chart.name);
  return out;
}

Chart chart_named(const std::vector<Chart>& charts, const std::string& name) {
  for (const Chart& chart : charts) {
    if (chart.name == name) return chart;
  }
  throw std::runtime_error("no chart " + name);
}

// What every chart owes its reader.
void expect_sound(const Chart& chart) {
  SCOPED_TRACE(chart.name);
  const std::string svg = render(chart, ChartFormat::svg);
  EXPECT_EQ(xml_problem(svg), "");
  EXPECT_NE(svg.find("role=\"img\""), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  for (const char* infinite : {"inf,", "\"inf\"", "\"-inf\""}) {
    EXPECT_EQ(svg.find(infinite), std::string::npos);
  }
  EXPECT_FALSE(chart.drawing.title().empty());
  EXPECT_FALSE(chart.drawing.description().empty());
  EXPECT_FALSE(chart.data.rows.empty());
  for (const auto& row : chart.data.rows) EXPECT_EQ(row.size(), chart.data.columns.size());
}

// Every text stands inside the picture, by the estimate that the layout uses.
void expect_texts_inside(const Chart& chart) {
  SCOPED_TRACE(chart.name);
  const std::string svg = chart.drawing.svg();
  const std::regex text(
      "<text x=\"([-0-9.]+)\" y=\"([-0-9.]+)\" font-size=\"([0-9.]+)\" text-anchor=\"(\\w+)\""
      "([^>]*)>([^<]*)");
  int count = 0;
  for (std::sregex_iterator it(svg.begin(), svg.end(), text), end; it != end; ++it, ++count) {
    const std::string anchor = (*it)[4], attributes = (*it)[5], shown = (*it)[6];
    const bool upright = attributes.find("rotate") == std::string::npos;
    const double width = upright ? text_width(shown, std::stod((*it)[3])) : 0;
    const double share = anchor == "start" ? 0 : anchor == "middle" ? 0.5 : 1;
    EXPECT_GE(std::stod((*it)[1]) - share * width, 0) << shown;
    EXPECT_LE(std::stod((*it)[1]) + (1 - share) * width, chart.drawing.width()) << shown;
    EXPECT_GE(std::stod((*it)[2]), 0);
    EXPECT_LE(std::stod((*it)[2]), chart.drawing.height());
  }
  EXPECT_GT(count, 2);
}

TEST(Charts, OfAFullFile) {
  const auto charts = export_charts(full_result(SENTINEL_SOURCE_DIR));
  EXPECT_EQ(names(charts),
            (std::vector<std::string>{
                "pruning_comparison", "optimization_levels", "optimization_latency",
                "model_loading", "quality_speed", "integration_optimizations",
                "component_breakdown", "step_times", "memory", "memory_over_time", "roofline",
                "head_scores", "multi_model_comparison", "parameter_growth", "throughput_test"}));
  for (const Chart& chart : charts) {
    expect_sound(chart);
    expect_texts_inside(chart);
  }
}

TEST(Charts, OfThePythonSystem) {
  const auto charts = export_charts(python_result(SENTINEL_SOURCE_DIR));
  EXPECT_EQ(names(charts), (std::vector<std::string>{"pruning_comparison", "model_loading"}));
  for (const Chart& chart : charts) expect_sound(chart);
}

TEST(Charts, OfTheProfilerHaveTheirNames) {
  const auto charts = profile_charts(full_result(SENTINEL_SOURCE_DIR));
  const auto list = names(charts);
  const std::set<std::string> set(list.begin(), list.end());
  for (const char* name :
       {"model_loading_comparison", "multi_model_comparison", "parameter_growth",
        "pruning_performance", "component_breakdown", "integration_optimizations"}) {
    EXPECT_TRUE(set.contains(name)) << name;
  }
  for (const Chart& chart : charts) expect_sound(chart);
}

TEST(Charts, HostileTextsStayText) {
  for (const auto& charts : {export_charts(hostile_result()), profile_charts(hostile_result())}) {
    EXPECT_GE(charts.size(), 5u);
    for (const Chart& chart : charts) expect_sound(chart);
  }
}

TEST(Charts, PruningShowsSpeedupsAndIntervals) {
  const Chart chart =
      chart_named(export_charts(full_result(SENTINEL_SOURCE_DIR)), "pruning_comparison");
  const std::string svg = chart.drawing.svg();
  EXPECT_NE(svg.find(">0.97x</text>"), std::string::npos);
  ASSERT_EQ(chart.data.rows.size(), 8u);
  EXPECT_LT(std::get<double>(chart.data.rows[0][4]), std::get<double>(chart.data.rows[0][3]));
  EXPECT_NE(svg.find("stroke-dasharray"), std::string::npos);  // not by colour alone
}

TEST(Charts, LevelsAreSortedBySpeed) {
  const Chart chart =
      chart_named(export_charts(full_result(SENTINEL_SOURCE_DIR)), "optimization_levels");
  std::vector<std::string> order;
  for (const auto& row : chart.data.rows) order.push_back(std::get<std::string>(row[1]));
  EXPECT_EQ(order, (std::vector<std::string>{"Level 3", "Level 2", "Level 1", "Level 0"}));
  EXPECT_NE(chart.drawing.svg().find("ppl 44.3 (+2.5 %)"), std::string::npos);
}

// Noise near and above 100 %: the intervals are there, and the values still fill the frame.
TEST(Charts, WideIntervalsAreDrawnAndFlattenNothing) {
  const auto charts_with = [](double noise) {
    nlohmann::json runs;
    for (const auto& [key, speed] : {std::pair{"0", 100.0}, {"30", 120.0}, {"50", 150.0}}) {
      runs[key] = {{"tokens_per_second", speed}};
      if (std::isfinite(noise)) runs[key]["noise_percent"] = noise;
    }
    const ResultFile file = read_result(
        {{"pruning_comparison", {{"original", runs}}}, {"optimization_levels", runs}}, "f");
    return std::vector<Chart>{pruning_chart(file), levels_chart(file)};
  };
  const auto lines = [](const Chart& chart) {
    const std::string svg = chart.drawing.svg();
    int count = 0;
    for (size_t at = 0; (at = svg.find("<line", at)) != svg.npos; ++at) ++count;
    return count;
  };
  const auto none = charts_with(NAN), narrow = charts_with(5);
  for (const double noise : {94.0, 100.0, 250.0}) {
    const auto wide = charts_with(noise);
    for (size_t i = 0; i < wide.size(); ++i) {
      SCOPED_TRACE(noise);
      expect_sound(wide[i]);
      expect_texts_inside(wide[i]);
      EXPECT_GE(lines(wide[i]), lines(none[i]) + 3 * 4) << wide[i].name;  // with arrows
      EXPECT_NE(wide[i].drawing.svg(), narrow[i].drawing.svg());
    }
    // The axis of speeds up to 150 does not go into the thousands.
    EXPECT_EQ(wide[0].drawing.svg().find(",000<"), std::string::npos);
  }
}

TEST(Charts, ParetoFrontLeavesOutWhatIsBeaten) {
  nlohmann::json runs;
  const auto add = [&](const char* key, double speed, double perplexity) {
    runs[key] = {{"tokens_per_second", speed}, {"perplexity", perplexity}};
  };
  add("0", 10, 20);
  add("30", 20, 21);
  add("50", 15, 25);  // slower and worse than 30 %
  add("70", 30, 90);
  const ResultFile file = read_result({{"pruning_comparison", {{"original", runs}}}}, "f");
  const Chart chart = quality_speed_chart(file);
  std::vector<std::string> front;
  for (const auto& row : chart.data.rows) {
    if (std::get<std::string>(row[0]) == "Pareto front") {
      front.push_back(std::get<std::string>(row[1]));
    }
  }
  EXPECT_EQ(front, (std::vector<std::string>{"original 0 %", "original 30 %", "original 70 %"}));
}

TEST(Charts, EveryPointOfTheParetoFrontIsNamed) {
  const Chart chart = quality_speed_chart(full_result(SENTINEL_SOURCE_DIR));
  const std::string svg = chart.drawing.svg();
  int front = 0;
  for (const auto& row : chart.data.rows) {
    if (std::get<std::string>(row[0]) != "Pareto front") continue;
    ++front;
    EXPECT_NE(svg.find(">" + std::get<std::string>(row[1]) + "</text>"), std::string::npos);
  }
  EXPECT_EQ(front, 4);
}

TEST(Charts, ExtremeAndMissingFigures) {
  nlohmann::json runs;
  runs["0"] = {{"tokens_per_second", 1e18}, {"perplexity", 1e-12}, {"first_token_time", 0}};
  runs["1"] = {{"tokens_per_second", 0}, {"perplexity", 1e17}};
  runs["2"] = {{"tokens_per_second", -5}, {"step_ms", {{"p50", 0}, {"p90", nullptr}}}};
  runs["1000000"] = {{"tokens_per_second", nullptr}};
  const ResultFile file =
      read_result({{"pruning_comparison", {{"original", runs}, {"optimized", runs}}},
                   {"optimization_levels", runs},
                   {"model_loading", {{"baseline_model", {{"load_time", nullptr}}}}},
                   {"pruning_strategy", {{"scores", {{nullptr, 1.0}, nlohmann::json::array()}}}}},
                  "f");
  for (const auto& charts : {export_charts(file), profile_charts(file)}) {
    EXPECT_GE(charts.size(), 6u);
    for (const Chart& chart : charts) expect_sound(chart);
  }
}

TEST(Charts, PngAndPdf) {
  const Chart chart = pruning_chart(python_result(SENTINEL_SOURCE_DIR));
  EXPECT_EQ(render(chart, ChartFormat::png).substr(0, 8), "\x89PNG\r\n\x1a\n");
  EXPECT_EQ(render(chart, ChartFormat::pdf).substr(0, 5), "%PDF-");
}

TEST(Charts, FilesOfTheProfiler) {
  std::string folder = (std::filesystem::temp_directory_path() / "sentinel-charts-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const auto charts = profile_charts(full_result(SENTINEL_SOURCE_DIR));
  const auto paths = write_charts(charts, folder, ChartFormat::png);
  EXPECT_EQ(paths.size(), charts.size());
  for (const auto& path : paths) EXPECT_GT(std::filesystem::file_size(path), 1000u) << path;
  EXPECT_TRUE(std::filesystem::exists(folder + "/pruning_performance.png"));
  std::filesystem::remove_all(folder);
}

TEST(Charts, HeatMap) {
  const Chart chart = head_heat_map("entropy", "Entropy", "nats", {{0.5, 1.5}, {NAN, 2.5}});
  expect_sound(chart);
  const std::string svg = chart.drawing.svg();
  EXPECT_NE(svg.find("Layer 1, Head 1: 2.5"), std::string::npos);
  EXPECT_EQ(svg.find("Layer 1, Head 0"), std::string::npos);
  expect_sound(head_heat_map("e", "Equal", "x",
                             std::vector<std::vector<double>>(48, std::vector<double>(25, 1.0))));
}

TEST(Axes, RoundTicks) {
  const Scale linear = make_scale({0, 480}, false, true);
  EXPECT_EQ(linear.low, 0);
  EXPECT_GE(linear.high, 480);
  const auto ticks = round_ticks(linear, 5);
  EXPECT_GE(ticks.size(), 4u);
  EXPECT_LE(ticks.size(), 8u);
  for (const auto& label : tick_labels({0, 0.5, 1}, false)) EXPECT_EQ(label.size(), 3u) << label;
  EXPECT_EQ(tick_labels({0, 100, 1500}, false)[2], "1,500");
  EXPECT_EQ(tick_labels({0.01, 1, 100}, true), (std::vector<std::string>{"0.01", "1", "100"}));
}

TEST(Axes, ScalesOfUselessValues) {
  for (const bool log : {false, true}) {
    for (const auto& values : std::vector<std::vector<double>>{
             {}, {NAN}, {0}, {-1, -2}, {1e18, 1e18 + 256}, {-1e18, 1e18}, {1e-300, 1e-300}}) {
      const Scale scale = make_scale(values, log, false);
      EXPECT_LT(scale.low, scale.high);
      EXPECT_LT(round_ticks(scale, 5).size(), 40u);
    }
  }
}

TEST(Text, FitsWithAnEllipsis) {
  EXPECT_EQ(fit_text("short", 100, 12), "short");
  const std::string cut = fit_text("a long text that will not fit", 80, 12);
  EXPECT_TRUE(cut.ends_with("\u2026"));
  EXPECT_LE(text_width(cut, 12), 80);
  const std::string path = fit_text("/a/long/path/of/a/model", 80, 12);
  EXPECT_TRUE(path.starts_with("\u2026") && path.ends_with("/model")) << path;
  EXPECT_LE(text_width(path, 12), 80 + 12);
  EXPECT_TRUE(fit_text("\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4", 60, 12)
                  .ends_with("\u00e4\u2026"));  // cut between characters
}

}  // namespace
}  // namespace sentinel
