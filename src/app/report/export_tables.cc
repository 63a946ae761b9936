#include "app/report/export_tables.h"

#include <algorithm>
#include <cmath>

#include "app/report/text_table.h"
#include "base/error.h"

namespace sentinel {
namespace {

using Columns = std::vector<ReportColumn>;

// One process holds the models of all levels: what they need themselves is their weights.
constexpr const char* kProcessMemory = "Memory of the Whole Process (MB)";
// Tokens per second go by the median.
constexpr const char* kMeanTime = "Mean Generation Time (s)";
constexpr const char* kWeights = "Weights (MB)";
constexpr double kMb = 1e6;
constexpr double kMiB = 1024.0 * 1024.0;  // what the old tool's "MB" of loading were

std::string capitalized(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] -= 'a' - 'A';
  return text;
}

bool has_series(const std::vector<ResultRun>& runs, const std::string& series) {
  return std::any_of(runs.begin(), runs.end(),
                     [&](const ResultRun& run) { return run.series == series; });
}

bool any_value(const std::vector<ResultRun>& runs, double ResultRun::*member) {
  return std::any_of(runs.begin(), runs.end(),
                     [&](const ResultRun& run) { return std::isfinite(run.*member); });
}

// Figures that the fixed columns do not have.
std::vector<RunField> extra_fields() {
  std::vector<RunField> fields;
  for (const RunField& field : run_fields()) {
    const auto member = field.member;
    if (member == &ResultRun::tokens_per_second || member == &ResultRun::generation_time ||
        member == &ResultRun::first_token_time || member == &ResultRun::cpu_memory_mb ||
        member == &ResultRun::gpu_memory_mb) {
      continue;
    }
    fields.push_back(field);
  }
  return fields;
}

// `shown`: a figure that the table has already.
void add_extra_columns(ReportTable& table, const std::vector<ResultRun>& runs,
                       double ResultRun::*shown = nullptr) {
  for (const RunField& field : extra_fields()) {
    if (field.member == shown || !any_value(runs, field.member)) continue;
    table.columns.push_back({field.heading, field.decimals, true});
    for (size_t i = 0; i < runs.size(); ++i) table.rows[i].push_back(cell(runs[i].*field.member));
  }
}

double speedup(const std::vector<ResultRun>& runs, const ResultRun& run) {
  const ResultRun* original = find_run(runs, "original", run.key);
  if (!original || run.series == "original" || !(original->tokens_per_second > 0)) {
    return kNotMeasured;
  }
  return run.tokens_per_second / original->tokens_per_second;
}

ReportTable pruning_table(const ResultFile& file) {
  ReportTable table{"pruning_comparison",
                    "Pruning Comparison",
                    {{"Model Type"},
                     {"Pruning Level", 0},
                     {"Tokens per Second", 2},
                     {"Generation Time (s)", 4, false, kMeanTime},
                     {"First Token Time (s)", 4}},
                    {}};
  const bool both = has_series(file.pruning, "original") && has_series(file.pruning, "optimized");
  if (both) table.columns.push_back({"Speedup vs Original", 2});
  for (const ResultRun& run : file.pruning) {
    table.rows.push_back({capitalized(run.series), cell(run.key), cell(run.tokens_per_second),
                          cell(run.generation_time), cell(run.first_token_time)});
    if (both) table.rows.back().push_back(cell(speedup(file.pruning, run)));
  }
  add_extra_columns(table, file.pruning);
  return table;
}

ReportTable levels_table(const ResultFile& file) {
  ReportTable table{
      "optimization_levels",
      "Optimization Levels",
      {{"Optimization Level", 0}, {"Tokens per Second", 2}, {"First Token Time (s)", 4}},
      {}};
  const bool gpu = any_value(file.levels, &ResultRun::gpu_memory_mb);
  if (gpu) table.columns.push_back({"GPU Memory (MB)", 1});
  table.columns.push_back({"CPU Memory (MB)", 1, false, kProcessMemory});
  const bool weights = any_value(file.levels, &ResultRun::weight_bytes);
  if (weights) table.columns.push_back({kWeights, 1});
  for (const ResultRun& run : file.levels) {
    table.rows.push_back({cell(run.key), cell(run.tokens_per_second), cell(run.first_token_time)});
    if (gpu) table.rows.back().push_back(cell(run.gpu_memory_mb));
    table.rows.back().push_back(cell(run.cpu_memory_mb));
    if (weights) table.rows.back().push_back(cell(run.weight_bytes / kMb));
  }
  add_extra_columns(table, file.levels, &ResultRun::weight_bytes);
  return table;
}

ReportTable loading_table(const ResultFile& file) {
  ReportTable table{"model_loading",
                    "Model Loading",
                    {{"Model Type"},
                     {"Load Time (s)", 3},
                     {"Parameters", 0},
                     {"Memory (MB)", 1, false, "Memory (MiB)"}},
                    {}};
  for (const LoadedModel& model : file.loading) {
    table.rows.push_back({model.name, cell(model.load_time), cell(model.parameters),
                          cell(model.memory_bytes / kMiB)});
  }
  return table;
}

ReportTable integration_table(const ResultFile& file) {
  ReportTable table{"integration_tests",
                    "Integration Tests",
                    {{"Configuration"},
                     {"Pruning Level", 0},
                     {"Tokens per Second", 2},
                     {"Generation Time", 4, false, kMeanTime},
                     {"First Token Time", 4}},
                    {}};
  for (const ResultRun& run : file.integration) {
    table.rows.push_back({run.series, cell(run.key), cell(run.tokens_per_second),
                          cell(run.generation_time), cell(run.first_token_time)});
  }
  add_extra_columns(table, file.integration);
  return table;
}

ReportTable isas_table(const ResultFile& file) {
  ReportTable table{"cpu_specific",
                    "Instruction Sets",
                    {{"Instruction Set"},
                     {"Tokens per Second", 2},
                     {"Generation Time (s)", 4, false, kMeanTime},
                     {"First Token Time (s)", 4},
                     {"Perplexity Change (%)", 2}},
                    {}};
  for (const ResultRun& run : file.isas) {
    table.rows.push_back({run.series, cell(run.tokens_per_second), cell(run.generation_time),
                          cell(run.first_token_time), cell(run.perplexity_delta_percent)});
  }
  return table;
}

ReportTable throughput_table(const ResultFile& file) {
  ReportTable table{"throughput_test",
                    "Throughput Test",
                    {{"Prompt"},
                     {"Tokens per Second", 2},
                     {"Generation Time", 4, false, "Generation Time (s; OVERALL: s per token)"}},
                    {}};
  for (const PromptSpeed& prompt : file.prompts) {
    table.rows.push_back(
        {prompt.prompt, cell(prompt.tokens_per_second), cell(prompt.generation_time)});
  }
  return table;
}

ReportTable components_table(const ResultFile& file) {
  ReportTable table{"component_breakdown",
                    "Component Breakdown",
                    {{"Model Type"},
                     {"Pruning Level", 0},
                     {"Component"},
                     {"Average Time (ms)", 4},
                     {"Total Time (ms)", 3},
                     {"Share (%)", 1},
                     {"Bytes per Step", 0},
                     {"Share of Bytes (%)", 1}},
                    {}};
  for (const ComponentTime& part : file.components) {
    const double pruned = part.pruning_level < 0 ? kNotMeasured : part.pruning_level;
    table.rows.push_back({capitalized(part.series), cell(pruned), part.name, cell(part.average_ms),
                          cell(part.total_ms), cell(part.percent), cell(part.bytes),
                          cell(part.bytes_percent)});
  }
  return table;
}

ReportTable models_table(const ResultFile& file) {
  ReportTable table{"multi_model_comparison",
                    "Multi Model Comparison",
                    {{"Model"},
                     {"Family"},
                     {"Base Params (M)", 2},
                     {"Adaptive Params (M)", 2},
                     {"Param Growth (%)", 2},
                     {"Tokens per Second", 2},
                     {"First Token Time", 4}},
                    {}};
  for (const ComparedModel& model : file.models) {
    table.rows.push_back({model.name, model.family, cell(model.baseline_parameters / 1e6),
                          cell(model.adaptive_parameters / 1e6), cell(model.growth_percent),
                          cell(model.run.tokens_per_second), cell(model.run.first_token_time)});
  }
  return table;
}

// The stages in which memory moved, each where it moved last. The chart and the result file have
// every sample.
std::vector<MemorySample> memory_steps(const std::vector<MemorySample>& samples) {
  const auto still = [](double before, double now) {
    constexpr double kMoved = 0.01;  // of what it was
    return std::isnan(now) || std::abs(now - before) <= kMoved * before;
  };
  std::vector<MemorySample> steps;
  for (const MemorySample& sample : samples) {
    const MemorySample* last = steps.empty() ? nullptr : &steps.back();
    if (last && still(last->rss_mb, sample.rss_mb) && still(last->gpu_mb, sample.gpu_mb)) continue;
    if (last && last->series == sample.series) steps.pop_back();
    steps.push_back(sample);
  }
  return steps;
}

ReportTable memory_table(const ResultFile& file) {
  ReportTable table{"memory", "Memory", {{"What"}, {"Seconds", 2}, {"RSS (MB)", 1}}, {}};
  const auto steps = memory_steps(file.memory_samples);
  const bool gpu = std::any_of(steps.begin(), steps.end(),
                               [](const auto& step) { return std::isfinite(step.gpu_mb); });
  if (gpu) table.columns.push_back({"GPU (MB)", 1});
  for (const MemorySample& step : steps) {
    table.rows.push_back({step.series, cell(step.seconds), cell(step.rss_mb)});
    if (gpu) table.rows.back().push_back(cell(step.gpu_mb));
  }
  return table;
}

ReportTable memory_figures_table(const ResultFile& file) {
  ReportTable table{"memory_figures", "Memory Figures", {{"Figure"}, {"Value", 2}}, {}};
  for (const auto& [name, value] : file.memory_figures) {
    table.rows.push_back({name, cell(value)});
  }
  return table;
}

ReportTable named(ReportTable table, const char* name) {
  table.name = name;
  return table;
}

void without_units(ReportTable& table) {
  for (auto& column : table.columns) {
    if (column.heading.ends_with(" (s)")) column.heading.resize(column.heading.size() - 4);
  }
}

// Level first, then model type, and no speed-up: the old profiler's own file.
ReportTable profile_pruning_table(const ResultFile& file) {
  ReportTable table{"pruning_comparison",
                    "Pruning Comparison",
                    {{"Pruning Level", 0},
                     {"Model Type"},
                     {"Tokens per Second", 2},
                     {"Generation Time", 4, false, kMeanTime},
                     {"First Token Time", 4}},
                    {}};
  std::vector<ResultRun> runs = file.pruning;
  std::stable_sort(runs.begin(), runs.end(),
                   [](const ResultRun& a, const ResultRun& b) { return a.key < b.key; });
  for (const ResultRun& run : runs) {
    table.rows.push_back({cell(run.key), run.series, cell(run.tokens_per_second),
                          cell(run.generation_time), cell(run.first_token_time)});
  }
  return table;
}

ReportTable profile_levels_table(const ResultFile& file) {
  ReportTable table{"optimization_levels",
                    "Optimization Levels",
                    {{"Optimization Level", 0},
                     {"Tokens per Second", 2},
                     {"First Token Time", 4},
                     {"Memory Usage (MB)", 1}},
                    {}};
  for (const ResultRun& run : file.levels) {
    const double memory = std::isfinite(run.gpu_memory_mb) ? run.gpu_memory_mb : run.cpu_memory_mb;
    table.rows.push_back(
        {cell(run.key), cell(run.tokens_per_second), cell(run.first_token_time), cell(memory)});
  }
  return table;
}

std::string argument(const ResultFile& file, const char* name) {
  const auto args = file.document.find("args");
  if (args == file.document.end() || !args->is_object() || !args->contains(name)) return "N/A";
  const auto& value = (*args)[name];
  return value.is_string() ? value.get<std::string>() : value.dump();
}

ReportTable summary_table(const ResultFile& file) {
  ReportTable table{"summary",
                    "Summary",
                    {{"Model"},
                     {"Device"},
                     {"Optimization Level"},
                     {"Best Pruning Level", 0},
                     {"Max Tokens/Sec", 2},
                     {"Speedup vs Original", 2},
                     {"First Token Latency", 4}},
                    {}};
  std::vector<ReportCell> row = {argument(file, "model_name"), argument(file, "device"),
                                 argument(file, "optimization_level")};
  const ResultRun* best = nullptr;
  for (const ResultRun& run : file.pruning) {
    if (run.series != "optimized" || !std::isfinite(run.tokens_per_second)) continue;
    if (!best || run.tokens_per_second > best->tokens_per_second) best = &run;
  }
  if (best) {
    row.insert(row.end(), {cell(best->key), cell(best->tokens_per_second),
                           cell(speedup(file.pruning, *best)), cell(best->first_token_time)});
  } else {
    row.insert(row.end(), {ReportCell("N/A"), ReportCell(0.0), ReportCell(0.0), ReportCell(0.0)});
  }
  table.rows.push_back(std::move(row));
  return table;
}

template <typename T>
void add_if(std::vector<ReportTable>& tables, const std::vector<T>& section, ReportTable table) {
  if (!section.empty()) tables.push_back(std::move(table));
}

}  // namespace

std::vector<ReportTable> export_tables(const ResultFile& file) {
  std::vector<ReportTable> tables;
  add_if(tables, file.pruning, pruning_table(file));
  add_if(tables, file.levels, levels_table(file));
  add_if(tables, file.loading, loading_table(file));
  add_if(tables, file.integration, integration_table(file));
  add_if(tables, file.isas, isas_table(file));
  add_if(tables, file.prompts, throughput_table(file));
  add_if(tables, file.components, components_table(file));
  add_if(tables, file.models, models_table(file));
  add_if(tables, file.memory_figures, memory_figures_table(file));
  add_if(tables, file.memory_samples, memory_table(file));
  return tables;
}

ReportTable all_runs_table(const ResultFile& file) {
  ReportTable table{"all_runs", "All Runs", {{"Section"}, {"Configuration"}, {"Key", 0}}, {}};
  for (const RunField& field : run_fields()) {
    table.columns.push_back({field.heading, field.decimals});
  }
  table.columns.push_back({"Weights"});
  table.columns.push_back({"Instruction Set"});
  const auto add = [&](const char* section, const std::vector<ResultRun>& runs) {
    for (const ResultRun& run : runs) {
      std::vector<ReportCell> row = {std::string(section), run.series, cell(run.key)};
      for (const RunField& field : run_fields()) row.push_back(cell(run.*field.member));
      row.insert(row.end(), {run.weights, run.isa});
      table.rows.push_back(std::move(row));
    }
  };
  add("pruning_comparison", file.pruning);
  add("optimization_levels", file.levels);
  add("integration_tests", file.integration);
  add("cpu_specific", file.isas);
  return table;
}

std::vector<ReportTable> profile_tables(const ResultFile& file) {
  std::vector<ReportTable> tables;
  add_if(tables, file.pruning, profile_pruning_table(file));
  add_if(tables, file.levels, profile_levels_table(file));
  add_if(tables, file.integration, integration_table(file));
  add_if(tables, file.prompts, throughput_table(file));
  add_if(tables, file.isas, isas_table(file));
  add_if(tables, file.components, components_table(file));
  add_if(tables, file.models, named(models_table(file), "model_comparison"));
  tables.push_back(summary_table(file));
  for (auto& table : tables) without_units(table);
  return tables;
}

bool is_numeric(const ReportTable& table, size_t column) {
  return !table.rows.empty() &&
         std::none_of(table.rows.begin(), table.rows.end(), [&](const auto& row) {
           return std::holds_alternative<std::string>(row[column]);
         });
}

std::string cell_text(const ReportCell& value, int decimals) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* number = std::get_if<double>(&value)) return format_number(*number, decimals);
  return "";
}

}  // namespace sentinel
