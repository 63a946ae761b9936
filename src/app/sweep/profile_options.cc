#include "app/sweep/profile_options.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "app/prune/ranking.h"
#include "app/prune/recovery.h"
#include "app/sweep/profile_arguments.h"
#include "base/error.h"
#include "base/json_numbers.h"

namespace sentinel {
namespace {

const std::set<std::string> kModes = {"basic",  "detailed",   "component",
                                      "memory", "throughput", "all"};
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

void check_compared(const std::vector<std::string>& models) {
  for (auto model = models.begin(); model != models.end(); ++model) {
    if (model->empty()) {
      throw usage_error("--compare_models: an empty name in \"{}\"; give a list as in a,b",
                        printable(join_names(models)));
    }
    if (std::find(models.begin(), model, *model) != model) {
      throw usage_error("--compare_models: {} is listed twice", printable(*model));
    }
  }
  if (models.size() < 2) {
    throw usage_error("--compare_models: {} alone is no comparison; give at least two, as in a,b",
                      printable(join_names(models)));
  }
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

std::string join_names(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) {
    if (&name != &names.front()) text += ',';
    for (const char c : name) text += c == ',' ? "\\," : std::string(1, c);
  }
  return text;
}

std::vector<std::string> split_names(std::string_view text) {
  std::vector<std::string> names(1);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 2) == "\\,") {
      names.back() += text[++i];
    } else if (text[i] == ',') {
      names.emplace_back();
    } else {
      names.back() += text[i];
    }
  }
  return names;
}

std::string model_of(const ProfileOptions& options) {
  const std::string& size = options.specific_model_size;
  if (size.empty()) return options.model_name;
  static const std::map<std::string, std::string> kGpt2 = {
      {"small", "gpt2"}, {"medium", "gpt2-medium"}, {"large", "gpt2-large"}, {"xl", "gpt2-xl"}};
  const auto found = kGpt2.find(size);
  if (found == kGpt2.end()) {
    throw usage_error("--specific_model_size {}: give small, medium, large or xl", printable(size));
  }
  const bool known =
      options.model_name.empty() || std::any_of(kGpt2.begin(), kGpt2.end(), [&](const auto& entry) {
        return entry.second == options.model_name;
      });
  if (!known) {
    throw usage_error(
        "--specific_model_size {}: names the sizes of gpt2, and {} is another model; leave one out",
        size, printable(options.model_name));
  }
  return found->second;
}

bool tests_pruning(const ProfileOptions& options) {
  return options.profile_mode != "throughput" && options.profile_mode != "component";
}
bool tests_throughput(const ProfileOptions& options) {
  return options.profile_mode == "throughput" || options.profile_mode == "all";
}
bool tests_components(const ProfileOptions& options) {
  return options.profile_mode == "component" || options.profile_mode == "all";
}
bool details_operations(const ProfileOptions& options) {
  return options.profile_mode == "detailed" || options.profile_mode == "all";
}
bool profiles_memory(const ProfileOptions& options) {
  return options.memory_profile || options.profile_mode == "memory" ||
         options.profile_mode == "all";
}
bool ranks_by_calibration(const ProfileOptions& options) {
  return find_ranking_strategy(options.strategy).calibrates;
}
bool recovers(const ProfileOptions& options) {
  return parse_recover(options.recover) != Recover::none;
}
bool fits_points(const ProfileOptions& options) {
  return options.test_integration_points && !(options.disable_baseline && options.disable_unet);
}

void check_options(const ProfileOptions& options) {
  if (options.device != "cpu") {
    throw usage_error("--device {}: this build runs on the CPU only; use --device cpu",
                      printable(options.device));
  }
  if (!kModes.contains(options.profile_mode)) {
    throw usage_error(
        "--profile_mode {}: there is no such mode; use basic, detailed, component, memory, "
        "throughput or all",
        printable(options.profile_mode));
  }
  for (const auto& [flag, path] : {std::pair{"text", options.text},
                                   {"calibration", options.calibration},
                                   {"custom_prompts", options.custom_prompts}}) {
    if (path == "-") {
      throw usage_error(
          "--{} -: a profile reads it more than once, also when it is resumed; name "
          "a file",
          flag);
    }
  }
  model_of(options);
  if (options.multi_model_comparison) check_compared(options.compare_models);
  parse_pruning_levels(options.pruning_levels);
  find_ranking_strategy(options.strategy);
  parse_recover(options.recover);
  check_range("optimization_level", options.model_options.level, 0, kLevels - 1);
  check_range("sequence_length", std::max(options.sequence_length, 0), 0, 1 << 24);
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
  using nlohmann::json;
  const ModelOptions& model = options.model_options;
  const auto text_or_null = [](const std::string& text) {
    return text.empty() ? json(nullptr) : json(text);
  };
  const auto name_or_null = [](const auto& type) {
    return type ? json(to_string(*type)) : json(nullptr);
  };
  json args = {
      {"specific_model_size", text_or_null(options.specific_model_size)},
      {"device", options.device},
      {"pruning_levels", options.pruning_levels},
      {"multi_model_comparison", options.multi_model_comparison},
      {"compare_models",
       options.multi_model_comparison ? json(join_names(options.compare_models)) : json(nullptr)},
      {"optimization_level", model.level},
      {"threads", model.threads > 0 ? json(model.threads) : json(nullptr)},
      {"isa", text_or_null(model.isa)},
      {"weights", name_or_null(model.weights)},
      {"lm_head", name_or_null(model.lm_head)},
      {"kv", name_or_null(model.kv)},
      {"agency", name_or_null(model.agency)}};
  visit_arguments<ProfileOptions>(
      [&](const char* name, auto field) { args[name] = options.*field; });
  visit_optional_texts<ProfileOptions>(
      [&](const char* name, auto field) { args[name] = text_or_null(options.*field); });
  return args;
}

ProfileOptions options_from_args(const nlohmann::json& args) {
  ProfileOptions options;
  const auto read = [&]<typename T>(const char* name, T& value) {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      value = whole_number<T>(args.at(name));
    } else {
      args.at(name).get_to(value);
    }
  };
  const auto read_unless_null = [&](const char* name, auto& value) {
    if (!args.at(name).is_null()) read(name, value);
  };
  const auto parse_unless_null = [&](const char* name, auto& value, const auto& parse) {
    if (!args.at(name).is_null()) value = parse(args.at(name).get<std::string>());
  };
  visit_arguments<ProfileOptions>(
      [&](const char* name, auto field) { read(name, options.*field); });
  visit_optional_texts<ProfileOptions>(
      [&](const char* name, auto field) { read_unless_null(name, options.*field); });
  read_unless_null("specific_model_size", options.specific_model_size);
  read("device", options.device);
  read("pruning_levels", options.pruning_levels);
  read("multi_model_comparison", options.multi_model_comparison);
  parse_unless_null("compare_models", options.compare_models, split_names);
  ModelOptions& model = options.model_options;
  const auto weight_type = [](const std::string& name) { return parse_weight_type(name); };
  read("optimization_level", model.level);
  read_unless_null("threads", model.threads);
  read_unless_null("isa", model.isa);
  parse_unless_null("weights", model.weights, weight_type);
  parse_unless_null("lm_head", model.lm_head, weight_type);
  parse_unless_null("kv", model.kv, parse_kv_type);
  parse_unless_null("agency", model.agency, parse_agency_mode);
  return options;
}

}  // namespace sentinel
