// Any text as the result file that `sentinel export` and --compare_with_previous read: every table,
// report and chart that can be made of it.
#include <cstdint>
#include <nlohmann/json.hpp>

#include "app/report/chart_files.h"
#include "app/report/charts.h"
#include "app/report/csv_export.h"
#include "app/report/export_findings.h"
#include "app/report/html_export.h"
#include "app/report/markdown_export.h"
#include "app/report/previous_run.h"
#include "app/report/result_file.h"
#include "json_mutator.h"
#include "scratch.h"

namespace {
using namespace sentinel;

// A run of this program, as far as a comparison looks at it.
const nlohmann::json& this_run() {
  static const nlohmann::json run = {
      {"tokens_per_second", 10.0}, {"noise_percent", 1.0}, {"perplexity", 40.0}};
  static const nlohmann::json document = {
      {"schema_version", 1},
      {"timestamp", 1e9},
      {"args", {{"model_name", "m"}, {"iterations", 3}}},
      {"model_loading", {{"baseline_model", {{"load_time", 1.0}, {"load_times", {1.0, 1.1}}}}}},
      {"pruning_comparison", {{"original", {{"0", run}}}, {"optimized", {{"0", run}}}}},
      {"optimization_levels", {{"1", run}}},
      {"throughput_test", {{"overall", {{"tokens_per_second", 1}, {"total_tokens", 1}}}}}};
  return document;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::filesystem::path path = scratch_path("export");
  write_scratch(path, {reinterpret_cast<const char*>(data), size});
  accepted([&] {
    const ResultFile file = load_result_file(path);
    export_csv(file, "base");
    profile_csv(file);
    export_markdown(file, "base", "now");
    export_html(file, "base", "now");
    for (const auto& chart : export_charts(file)) render(chart, ChartFormat::svg);
    for (const auto& chart : profile_charts(file)) render(chart, ChartFormat::svg);
    const nlohmann::json comparison = compare_with_previous(path, this_run());
    comparison_heading(comparison);
    comparison_table(comparison);
  });
  return 0;
}
