#include "app/report/csv_export.h"

#include <gtest/gtest.h>

#include <map>

#include "app/report/export_fixtures.h"
#include "base/escape.h"

namespace sentinel {
namespace {

using testing::full_result;
using testing::python_result;

std::map<std::string, std::string> by_name(const std::vector<NamedText>& files) {
  std::map<std::string, std::string> out;
  for (const auto& file : files) out[file.name] = file.text;
  return out;
}

std::string line(const std::string& text, int number) {
  size_t start = 0;
  for (int i = 0; i < number; ++i) start = text.find('\n', start) + 1;
  return text.substr(start, text.find('\n', start) - start);
}

// RFC 4180, as a reader sees it.
std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> rows(1, {""});
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    std::string& field = rows.back().back();
    if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
      field += text[++i];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && c == ',') {
      rows.back().push_back("");
    } else if (!quoted && c == '\n') {
      rows.push_back({""});
    } else {
      field += c;
    }
  }
  rows.pop_back();
  return rows;
}

TEST(CsvExport, HeadersOfTheExporter) {
  const auto files = by_name(export_csv(full_result(SENTINEL_SOURCE_DIR), "run"));
  EXPECT_EQ(line(files.at("run_pruning_comparison.csv"), 0),
            "Model Type,Pruning Level,Tokens per Second,Generation Time (s),First Token Time (s),"
            "Speedup vs Original");
  EXPECT_EQ(
      line(files.at("run_optimization_levels.csv"), 0),
      "Optimization Level,Tokens per Second,First Token Time (s),CPU Memory (MB),Weights (MB)");
  EXPECT_EQ(line(files.at("run_model_loading.csv"), 0),
            "Model Type,Load Time (s),Parameters,Memory (MB)");
  EXPECT_EQ(line(files.at("run_integration_tests.csv"), 0),
            "Configuration,Pruning Level,Tokens per Second,Generation Time,First Token Time");
  EXPECT_EQ(line(files.at("run_throughput_test.csv"), 0),
            "Prompt,Tokens per Second,Generation Time");
  EXPECT_EQ(line(files.at("run_multi_model_comparison.csv"), 0),
            "Model,Family,Base Params (M),Adaptive Params (M),Param Growth (%),Tokens per Second,"
            "First Token Time");
  EXPECT_EQ(line(files.at("run_component_breakdown.csv"), 0),
            "Model Type,Pruning Level,Component,Average Time (ms),Total Time (ms),Share (%),Bytes "
            "per Step,"
            "Share of Bytes (%)");
  for (const char* name : {"run_memory.csv", "run_memory_figures.csv", "run_all_runs.csv"}) {
    EXPECT_TRUE(files.contains(name)) << name;
  }
}

TEST(CsvExport, HeadersOfTheProfiler) {
  const auto files = by_name(profile_csv(full_result(SENTINEL_SOURCE_DIR), "p_"));
  EXPECT_EQ(line(files.at("p_pruning_comparison.csv"), 0),
            "Pruning Level,Model Type,Tokens per Second,Generation Time,First Token Time");
  EXPECT_EQ(line(files.at("p_optimization_levels.csv"), 0),
            "Optimization Level,Tokens per Second,First Token Time,Memory Usage (MB)");
  EXPECT_EQ(line(files.at("p_integration_tests.csv"), 0),
            "Configuration,Pruning Level,Tokens per Second,Generation Time,First Token Time");
  EXPECT_EQ(line(files.at("p_throughput_test.csv"), 0), "Prompt,Tokens per Second,Generation Time");
  EXPECT_EQ(line(files.at("p_model_comparison.csv"), 0),
            "Model,Family,Base Params (M),Adaptive Params (M),Param Growth (%),Tokens per Second,"
            "First Token Time");
  EXPECT_EQ(line(files.at("p_summary.csv"), 0),
            "Model,Device,Optimization Level,Best Pruning Level,Max Tokens/Sec,Speedup vs Original,"
            "First Token Latency");
  EXPECT_TRUE(files.contains("p_component_breakdown.csv"));
  EXPECT_EQ(files.size(), 7u);
}

TEST(CsvExport, ThroughputEndsWithTheOverallRow) {
  const std::string text =
      by_name(profile_csv(full_result(SENTINEL_SOURCE_DIR))).at("throughput_test.csv");
  const auto rows = parse_csv(text);
  EXPECT_EQ(rows.back()[0], "OVERALL");
  EXPECT_NEAR(std::stod(rows.back()[2]), 3.5 / 1100, 1e-12);  // seconds per token
}

TEST(CsvExport, SummaryWithoutPruningTest) {
  const ResultFile file =
      read_result({{"optimization_levels", {{"1", {{"tokens_per_second", 3}}}}}}, "f");
  EXPECT_EQ(line(by_name(profile_csv(file)).at("summary.csv"), 1), "N/A,N/A,N/A,N/A,0,0,0");
}

TEST(CsvExport, PythonFile) {
  const auto files = by_name(export_csv(python_result(SENTINEL_SOURCE_DIR), "base"));
  EXPECT_EQ(files.size(), 3u);  // missing sections are left out
  const auto rows = parse_csv(files.at("base_pruning_comparison.csv"));
  ASSERT_EQ(rows.size(), 9u);
  EXPECT_EQ(rows[1], (std::vector<std::string>{"Original", "0", "19.698630912877075",
                                               "1.0152989864349364", "1.013028860092163", ""}));
  EXPECT_EQ(rows[8][0], "Optimized");
  EXPECT_EQ(rows[8][1], "70");
  EXPECT_NEAR(std::stod(rows[8][5]), 23.08996799292972 / 22.009304947830604, 1e-12);
  EXPECT_EQ(line(files.at("base_model_loading.csv"), 1),
            "Baseline,1.0851361751556396,124439808,474.7001953125");
}

TEST(CsvExport, OneVariantHasNoSpeedup) {
  const ResultFile file = read_result(
      {{"pruning_comparison", {{"original", {{"0", {{"tokens_per_second", 3}}}}}}}}, "f");
  EXPECT_EQ(by_name(export_csv(file, "b")).at("b_pruning_comparison.csv"),
            "Model Type,Pruning Level,Tokens per Second,Generation Time (s),First Token Time (s)\n"
            "Original,0,3,,\n");
}

TEST(CsvExport, GpuMemoryOnlyWhereThereIsAGpu) {
  const nlohmann::json memory = {{"cpu", {{"rss_mb", 5}}}, {"gpu", {{"allocated_mb", 7}}}};
  const ResultFile file = read_result(
      {{"optimization_levels", {{"1", {{"tokens_per_second", 3}, {"memory_usage", memory}}}}}},
      "f");
  EXPECT_EQ(by_name(export_csv(file, "b")).at("b_optimization_levels.csv"),
            "Optimization Level,Tokens per Second,First Token Time (s),GPU Memory (MB),"
            "CPU Memory (MB)\n1,3,,7,5\n");
  EXPECT_EQ(line(by_name(profile_csv(file)).at("optimization_levels.csv"), 1), "1,3,,7");
}

TEST(CsvExport, MemoryHasARowPerStageThatMovedIt) {
  nlohmann::json samples;
  const auto add = [&](const char* stage, double rss) {
    samples.push_back({{"stage", stage},
                       {"timestamp", 100.0 + static_cast<double>(samples.size())},
                       {"rss_mb", rss}});
  };
  add("loading", 40);
  add("loading", 80);
  for (int i = 0; i < 50; ++i) {
    add("warming up", 80.1);
    add("timing", 80.2);
  }
  add("quality", 120);
  const ResultFile file = read_result({{"memory", {{"samples", samples}}}}, "f");
  EXPECT_EQ(by_name(export_csv(file, "b")).at("b_memory.csv"),
            "What,Seconds,RSS (MB)\nloading,1,80\nquality,102,120\n");
}

TEST(CsvExport, HostileTextsComeBackAsTheyWere) {
  for (const auto& file : export_csv(testing::hostile_result(), "b")) {
    const auto rows = parse_csv(file.text);
    for (const auto& row : rows) EXPECT_EQ(row.size(), rows[0].size()) << file.name;
  }
  const auto files = by_name(export_csv(testing::hostile_result(), "b"));
  EXPECT_EQ(parse_csv(files.at("b_throughput_test.csv"))[1][0], testing::kHostile);
}

TEST(Escape, Shell) {
  EXPECT_EQ(escape_shell("a/b-1.json"), "a/b-1.json");
  EXPECT_EQ(escape_shell(""), "''");
  EXPECT_EQ(escape_shell("it's $(x)"), "'it'\\''s $(x)'");
}

}  // namespace
}  // namespace sentinel
