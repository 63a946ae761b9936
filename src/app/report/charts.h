// The charts of a result file. A chart whose data the file does not have is left out.
#pragma once

#include <vector>

#include "app/report/charts_plot.h"
#include "app/report/result_file.h"

namespace sentinel {

// `sentinel export --create_charts` and the HTML report: pruning_comparison, optimization_levels,
// optimization_latency, cpu_specific, model_loading, quality_speed, integration_optimizations,
// component_breakdown, step_times, memory, memory_over_time, roofline, head_scores,
// throughput_test, multi_model_comparison, parameter_growth.
std::vector<Chart> export_charts(const ResultFile& file);

// `sentinel profile --visualize`, under the old profiler's names: model_loading_comparison,
// multi_model_comparison, parameter_growth, pruning_performance, component_breakdown,
// integration_optimizations; and quality_speed, step_times, memory, memory_over_time, roofline,
// head_scores.
std::vector<Chart> profile_charts(const ResultFile& file);

// Scores of all heads, [layer][head]. `name` is the file's.
Chart head_heat_map(const std::string& name, const std::string& title, const std::string& unit,
                    const std::vector<std::vector<double>>& values);

// Speeds (charts_speed.cc).
Chart pruning_chart(const ResultFile& file);
Chart pruning_performance_chart(const ResultFile& file);
Chart levels_chart(const ResultFile& file);
Chart latency_chart(const ResultFile& file);
Chart integration_chart(const ResultFile& file);
Chart throughput_chart(const ResultFile& file);
Chart isas_chart(const ResultFile& file);
// Speed against what limits or costs it (charts_limits.cc).
Chart quality_speed_chart(const ResultFile& file);
Chart step_times_chart(const ResultFile& file);
Chart roofline_chart(const ResultFile& file);
// Sizes and parts (charts_parts.cc).
Chart loading_chart(const ResultFile& file, const std::string& name);
Chart components_chart(const ResultFile& file);
Chart memory_chart(const ResultFile& file);
Chart memory_over_time_chart(const ResultFile& file);
Chart models_chart(const ResultFile& file);
Chart growth_chart(const ResultFile& file);

}  // namespace sentinel
