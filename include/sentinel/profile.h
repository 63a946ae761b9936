// `sentinel profile` from a program: how speed and quality change with the share of heads that is
// left out, measured in one interleaved run, with a recommendation for this machine.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "sentinel/export.h"

namespace sentinel {

// Where a run stands.
struct ProfilingProgress {
  std::string stage;        // "loading", "ranking heads", "timing", "quality", ...
  int done = 0, total = 0;  // of the stage; total 0: not countable
  std::string detail;       // what is measured now
  std::string notice;       // if not empty: a line for the user, and the stage goes on as it was
};

// The flags of the command line (docs/profiling.md says what each changes) under their own names.
struct ProfilingOptions {
  std::string model_name = {};  // folder, file in it or hub name; empty: the bundled model

  // Of the optimized variant; as in AdaptiveOptions.
  std::optional<int> optimization_level = {};
  int threads = 0;
  std::string isa = {}, weights = {}, lm_head = {}, kv = {}, agency = {};

  // What is measured.
  std::vector<int> pruning_levels = {0, 30, 50, 70};  // percent of all heads
  std::string strategy = "output";     // random, magnitude, entropy, output, ablation, obs
  std::string recover = "none";        // none, bias, refit
  std::string profile_mode = "basic";  // detailed, component, memory, throughput, all
  bool test_all_optimization_levels = false;
  bool test_integration_points = false;
  bool disable_baseline = false, disable_unet = false;  // leave it out of that test
  bool cpu_specific_optimizations = false;  // also every instruction set of this processor
  bool memory_profile = false;
  std::vector<std::string> compare_models = {};  // at least two; empty: no multi-model comparison
  std::string model_family = {};                 // label in it; empty: the checkpoint's own

  // The work that is timed.
  int sequence_length = 64;   // tokens of the prompt; <= 0: prompts as they are
  int generated_tokens = 20;  // of each sequence
  int batch_size = 1;
  int iterations = 5, warmup = 2;   // timed and untimed generations of each cell
  double temperature = 0;           // 0: greedy
  uint64_t seed = 0;                // of sampling, and of strategy random
  std::string custom_prompts = {};  // file, one prompt a line; empty: built-in ones
  std::string text = {};          // file to measure quality on; empty: the bundled validation text
  std::string calibration = {};   // file for what calibrates; empty: the bundled calibration text
  int max_eval_windows = 8;       // of the text; 0: all
  double max_footprint_mb = 512;  // of the bandwidth measurement, 2^20 bytes; 0: not measured

  // What is written: a run folder below output_dir.
  std::string output_dir = "profiling_results/full_model";
  std::string output_prefix = {};
  bool visualize = false;     // charts/
  bool export_csv = false;    // csv_reports/
  bool trace_export = false;  // traces/
  bool save_generated_text = false;
  bool compare_with_previous = false;

  std::stop_token cancel = {};  // requested: stops soon, keeps what was measured
  // Called in the calling thread. What it throws ends the run, which is kept, and passes through.
  std::function<void(const ProfilingProgress&)> on_progress = {};
};

struct ProfilingResult {
  std::string json;    // the result file's text: docs/result_schema.json describes it
  std::string report;  // tables and recommendation, as the command line prints them
  std::string run_folder, result_file;
  bool interrupted = false;  // resume_profile() goes on from here
};

// Takes minutes. Error (usage, bad_input): nothing has been written. Error (runtime): what was
// measured is kept. Several runs at a time would measure each other.
SENTINEL_API ProfilingResult profile(const ProfilingOptions& options = {});

// Measures what an interrupted run lacks, with the run's own settings, into its folder. Error
// (usage, bad_input) also: no run there, or it was measured on another machine or by another build.
SENTINEL_API ProfilingResult
resume_profile(const std::string& run_folder, std::stop_token cancel = {},
               const std::function<void(const ProfilingProgress&)>& on_progress = nullptr);

}  // namespace sentinel
