// What `sentinel profile` may be asked for.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "model/model.h"

namespace sentinel {

struct ProfileOptions {
  std::string model_name;           // folder, file or hub name; empty: the bundled model
  std::string specific_model_size;  // small, medium, large or xl: GPT-2 of that size
  std::string device = "cpu";
  ModelOptions model_options;                 // of the optimized variant
  std::string pruning_levels = "0,30,50,70";  // percentages of all heads
  std::string strategy = "output";
  std::string recover = "none";  // of the heads that are left: none, bias or refit
  int sequence_length = 64;      // prompts are cut or extended to it; <= 0: as they are
  int generated_tokens = 20;
  int batch_size = 1;
  int iterations = 5;      // timed generations per cell
  int warmup = 2;          // untimed ones
  double temperature = 0;  // 0: greedy
  uint64_t seed = 0;       // of sampling and of strategy random
  std::string profile_mode = "basic";
  bool test_all_optimization_levels = false;
  bool test_integration_points = false;
  bool disable_baseline = false, disable_unet = false;  // of the integration test: left out
  std::string output_dir = "profiling_results/full_model";
  std::string output_prefix;
  std::string custom_prompts;     // file, one prompt per line; empty: built-in ones
  std::string text;               // file to measure quality on; empty: texts/validation.txt
  std::string calibration;        // file that is fitted to; empty: texts/calibration.txt
  int max_eval_windows = 8;       // 0: the whole text
  double max_footprint_mb = 512;  // of the bandwidth measured, 2^20 bytes; 0: not measured
  bool visualize = false;         // charts/
  bool export_csv = false;        // csv_reports/
  bool memory_profile = false;    // resident memory over time; modes memory and all have it too
  bool trace_export = false;      // traces/
  bool cpu_specific_optimizations = false;  // every instruction set this CPU has
  bool save_generated_text = false;  // of the levels and throughput tests; the others always do
  bool compare_with_previous = false;
  bool multi_model_comparison = false;
  std::vector<std::string> compare_models = {"gpt2", "gpt2-medium"};
  std::string model_family;  // label in the multi-model test; empty: the checkpoint's own
};

// "0,30,50" -> {0, 30, 50}, ascending. Error (usage): none, not a whole number from 0 to 100,
// listed twice.
std::vector<int> parse_pruning_levels(const std::string& text);

// {"a", "b"} <-> "a,b", as command line and result file have them; a comma in a name is "\,".
std::string join_names(const std::vector<std::string>& names);
std::vector<std::string> split_names(std::string_view text);

// The model that model_name and specific_model_size come to. Error (usage): an unknown size, or a
// size for a model whose sizes are not known.
std::string model_of(const ProfileOptions& options);

// Which tests a mode runs.
bool tests_pruning(const ProfileOptions& options);
bool tests_throughput(const ProfileOptions& options);
bool tests_components(const ProfileOptions& options);
bool details_operations(const ProfileOptions& options);  // of every pruning cell
bool profiles_memory(const ProfileOptions& options);
bool ranks_by_calibration(const ProfileOptions& options);  // heads, on the calibration text
bool recovers(const ProfileOptions& options);              // what is left, on it too
bool fits_points(const ProfileOptions& options);           // integration points, to it as well

// Error (usage) for what can be seen to be wrong without opening a file.
void check_options(const ProfileOptions& options);

// The options by the names of their flags, for the result file and the command that repeats a run.
// The level, and the threads and isa when they were asked for, come from model_options.
nlohmann::json args_json(const ProfileOptions& options);
// Its inverse. nlohmann::json::exception: something is missing or of another type; Error (usage):
// a name that this version does not know.
ProfileOptions options_from_args(const nlohmann::json& args);

}  // namespace sentinel
