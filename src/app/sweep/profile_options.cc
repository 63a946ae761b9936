#include "app/sweep/profile_options.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "app/prune/ranking.h"
#include "app/prune/recovery.h"
#include "base/error.h"

namespace sentinel {
namespace {

const std::set<std::string> kModes = {"basic", "memory", "throughput"};
constexpr int kMaxBatch = 1024, kMaxIterations = 100000;

void check_range(const char* flag, int value, int low, int high) {
  if (value >= low && value <= high) return;
  throw usage_error("--{}: {} is out of range; give a number from {} to {}", flag, value, low,
                    high);
}

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

}  // namespace

std::vector<int> parse_pruning_levels(const std::string& text) {
  std::vector<int> levels;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    const auto item = trimmed(std::string_view(text).substr(begin, comma - begin));
    int level = -1;
    const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), level);
    if (error != std::errc() || end != item.data() + item.size() || level < 0 || level > 100) {
      throw usage_error(
          "--pruning_levels: \"{}\" is not a whole percentage from 0 to 100; give a "
          "list as in 0,30,50,70",
          printable(item));
    }
    if (std::find(levels.begin(), levels.end(), level) != levels.end()) {
      throw usage_error("--pruning_levels: {} is listed twice", level);
    }
    levels.push_back(level);
    begin = comma + 1;
  }
  std::sort(levels.begin(), levels.end());
  return levels;
}

std::vector<std::string> parse_compare_models(const std::string& text) {
  std::vector<std::string> models;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    const std::string model(trimmed(std::string_view(text).substr(begin, comma - begin)));
    if (model.empty()) {
      throw usage_error("--compare_models: an empty name in \"{}\"; give a list as in a,b",
                        printable(text));
    }
    if (std::find(models.begin(), models.end(), model) != models.end()) {
      throw usage_error("--compare_models: {} is listed twice", printable(model));
    }
    models.push_back(model);
    begin = comma + 1;
  }
  if (models.size() < 2) {
    throw usage_error("--compare_models: {} alone is no comparison; give at least two, as in a,b",
                      printable(text));
  }
  return models;
}

bool tests_pruning(const ProfileOptions& options) { return options.profile_mode != "throughput"; }
bool tests_throughput(const ProfileOptions& options) {
  return options.profile_mode == "throughput";
}
bool profiles_memory(const ProfileOptions& options) {
  return options.memory_profile || options.profile_mode == "memory";
}

void check_options(const ProfileOptions& options) {
  if (options.device != "cpu") {
    throw usage_error("--device {}: this build runs on the CPU only; use --device cpu",
                      printable(options.device));
  }
  if (!kModes.contains(options.profile_mode)) {
    throw usage_error(
        "--profile_mode {}: not a mode of this version; use basic, memory or throughput",
        printable(options.profile_mode));
  }
  if (options.multi_model_comparison) parse_compare_models(options.compare_models);
  parse_pruning_levels(options.pruning_levels);
  find_ranking_strategy(options.strategy);
  parse_recover(options.recover);
  check_range("optimization_level", options.model_options.level, 0, 3);
  check_range("generated_tokens", options.generated_tokens, 1, 1 << 24);
  check_range("batch_size", options.batch_size, 1, kMaxBatch);
  check_range("iterations", options.iterations, 1, kMaxIterations);
  check_range("warmup", options.warmup, 0, kMaxIterations);
  if (!(options.temperature >= 0 && options.temperature <= 100)) {
    throw usage_error("--temperature: {} is out of range; give 0 (greedy) to 100",
                      options.temperature);
  }
  check_range("max_eval_windows", options.max_eval_windows, 0, 1 << 24);
  if (!(options.max_footprint_mb >= 0 && options.max_footprint_mb <= 1 << 20)) {
    throw usage_error("--max_footprint_mb: {} is out of range; give 0 (not measured) to {}",
                      options.max_footprint_mb, 1 << 20);
  }
  if (options.output_dir.empty()) throw usage_error("--output_dir: give a folder");
  if (options.output_prefix.find('/') != std::string::npos || options.output_prefix.size() > 100) {
    throw usage_error("--output_prefix {}: give a short name without /",
                      printable(options.output_prefix));
  }
}

nlohmann::json args_json(const ProfileOptions& options) {
  const ModelOptions& model = options.model_options;
  const auto text_or_null = [](const std::string& text) {
    return text.empty() ? nlohmann::json(nullptr) : nlohmann::json(text);
  };
  nlohmann::json args = {{"model_name", options.model_name},
                         {"device", options.device},
                         {"optimization_level", model.level},
                         {"pruning_levels", options.pruning_levels},
                         {"profile_mode", options.profile_mode},
                         {"sequence_length", options.sequence_length},
                         {"batch_size", options.batch_size},
                         {"generated_tokens", options.generated_tokens},
                         {"test_all_optimization_levels", options.test_all_optimization_levels},
                         {"iterations", options.iterations},
                         {"warmup", options.warmup},
                         {"temperature", options.temperature},
                         {"seed", options.seed},
                         {"strategy", options.strategy},
                         {"recover", options.recover},
                         {"agency", to_string(model.agency)},
                         {"output_dir", options.output_dir},
                         {"output_prefix", options.output_prefix},
                         {"custom_prompts", text_or_null(options.custom_prompts)},
                         {"text", text_or_null(options.text)},
                         {"calibration", text_or_null(options.calibration)},
                         {"max_eval_windows", options.max_eval_windows},
                         {"max_footprint_mb", options.max_footprint_mb},
                         {"isa", text_or_null(model.isa)},
                         {"multi_model_comparison", options.multi_model_comparison},
                         {"model_family", text_or_null(options.model_family)},
                         {"memory_profile", options.memory_profile},
                         {"visualize", options.visualize},
                         {"export_csv", options.export_csv},
                         {"save_generated_text", options.save_generated_text},
                         {"compare_with_previous", options.compare_with_previous},
                         // Part of the old tool's list; this test is not in this version.
                         {"cpu_specific_optimizations", false}};
  args["compare_models"] = options.multi_model_comparison ? nlohmann::json(options.compare_models)
                                                          : nlohmann::json(nullptr);
  args["threads"] = model.threads > 0 ? nlohmann::json(model.threads) : nlohmann::json(nullptr);
  args["weights"] = model.weights ? nlohmann::json(to_string(*model.weights)) : nullptr;
  args["lm_head"] = model.lm_head ? nlohmann::json(to_string(*model.lm_head)) : nullptr;
  args["kv"] = model.kv ? nlohmann::json(to_string(*model.kv)) : nullptr;
  return args;
}

}  // namespace sentinel
