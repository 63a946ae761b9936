// A profiler's result file as reports read it: ours (docs/result_schema.json) and those of the
// Python system, whose keys ours contain. What a file does not hold is NaN or empty.
#pragma once

#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sentinel {

inline constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();

// One measured configuration, from any section.
struct ResultRun {
  std::string series;  // "original", "optimized", or the integration configuration
  int key = 0;         // pruning percent; in `levels` the optimisation level

  double tokens_per_second = kNotMeasured;
  double generation_time = kNotMeasured;   // s, mean
  double first_token_time = kNotMeasured;  // s
  double noise_percent = kNotMeasured;     // half-width of the interval of the times
  double prefill_tokens_per_second = kNotMeasured, decode_tokens_per_second = kNotMeasured;
  double step_p50 = kNotMeasured, step_p90 = kNotMeasured, step_p99 = kNotMeasured;  // ms
  double perplexity = kNotMeasured, perplexity_delta_percent = kNotMeasured;
  double kl_mean = kNotMeasured, top1_agreement = kNotMeasured;
  double weight_bytes = kNotMeasured, bytes_per_step = kNotMeasured;
  double bandwidth_fraction = kNotMeasured;
  double peak_rss_mb = kNotMeasured, cpu_memory_mb = kNotMeasured, gpu_memory_mb = kNotMeasured;
  double heads_active = kNotMeasured, heads_total = kNotMeasured;
  std::string weights, isa;

  // The interval around tokens_per_second, as in the file; NaN without noise_percent, the high end
  // also where that reaches 100.
  double speed_low() const;
  double speed_high() const;
};

// A figure of every run: its key in the file ("step_ms/p50"), heading, and decimals for people.
struct RunField {
  const char* key;
  const char* heading;
  double ResultRun::*member;
  int decimals;
};
std::span<const RunField> run_fields();

struct LoadedModel {
  std::string name;  // "Baseline"
  double load_time = kNotMeasured, parameters = kNotMeasured, memory_bytes = kNotMeasured;
};
struct PromptSpeed {
  std::string prompt;
  double tokens_per_second = kNotMeasured, generation_time = kNotMeasured;
  double noise_percent = kNotMeasured;  // OVERALL: the largest of the prompts'
};
struct ComponentTime {
  std::string series, name;
  int pruning_level = -1;  // percent of the heads; -1: not recorded
  double average_ms = kNotMeasured, total_ms = kNotMeasured, percent = kNotMeasured;
  double bytes = kNotMeasured, bytes_percent = kNotMeasured;  // read by one decode step
};
struct ComparedModel {
  std::string name, family;
  double baseline_parameters = kNotMeasured, adaptive_parameters = kNotMeasured;
  double growth_percent = kNotMeasured;
  double load_time = kNotMeasured;  // s, of the optimized model
  ResultRun run;
};
struct MemorySample {
  std::string series;  // "original 30 %"
  double seconds = 0;  // since the first sample of the file
  double rss_mb = kNotMeasured, gpu_mb = kNotMeasured;
};
struct RecommendedRun {
  std::string title, variant, reason;
  int pruning_level = 0, level = 0;
  double tokens_per_second = kNotMeasured, speedup = kNotMeasured, noise_percent = kNotMeasured;
  double perplexity = kNotMeasured, perplexity_delta_percent = kNotMeasured;
};
struct HeadScoreTable {
  std::string strategy, definition;
  std::vector<std::vector<double>> scores;  // [layer][head]
};
struct MachineRoof {
  std::vector<std::pair<double, double>> read;  // bytes of the working set, bytes per second
};

struct ResultFile {
  std::string name;         // for messages and commands
  nlohmann::json document;  // whole
  bool from_python = false;
  std::vector<ResultRun> pruning, levels, integration;  // by series, then key as a number
  std::vector<ResultRun> isas;                          // series: the instruction set
  std::vector<LoadedModel> loading;
  std::vector<PromptSpeed> prompts;  // the last one is "OVERALL" if the file has it
  std::vector<ComponentTime> components;
  std::vector<ComparedModel> models;
  std::vector<MemorySample> memory_samples;
  std::vector<std::pair<std::string, double>> memory_figures;  // "packed_weights_mb"
  std::vector<RecommendedRun> recommendation;
  HeadScoreTable heads;
  MachineRoof roof;
  double aa_percent = kNotMeasured;          // |difference| of the same thing measured twice
  double rows_noise_percent = kNotMeasured;  // what two rows must differ by to differ at all
};

// Error (bad_input): unreadable, not JSON, a section of another type than expected, or no
// measurements in it. Bare NaN and Infinity, which Python writes, are read as null.
ResultFile load_result_file(const std::filesystem::path& path);
ResultFile read_result(nlohmann::json document, const std::string& name);

// The run of a section with that series and key; null if there is none.
const ResultRun* find_run(std::span<const ResultRun> runs, const std::string& series, int key);

}  // namespace sentinel
