#include "app/report/export_findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>

#include "app/report/noise_text.h"
#include "app/report/recommend.h"
#include "app/report/text_table.h"
#include "base/escape.h"

namespace sentinel {
namespace {

using nlohmann::json;

const json& member(const json& object, const std::string& key) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  const auto it = object.find(key);
  return it == object.end() ? kNull : *it;
}

std::string value_text(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return format_number(value.get<double>(), 2);
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_array()) {
    std::string out;
    for (const auto& item : value) out += (out.empty() ? "" : ", ") + value_text(item);
    return out;
  }
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string caches_text(const json& caches) {
  std::string out;
  if (!caches.is_array()) return out;
  for (const auto& cache : caches) {
    const json& bytes = member(cache, "bytes");
    if (!bytes.is_number()) continue;
    out += fmt::format("{}{} {:.0f} KiB", out.empty() ? "" : ", ",
                       value_text(member(cache, "level")), bytes.get<double>() / 1024);
  }
  return out;
}

// The run with the highest speed, and the names of those that are as fast within the noise.
struct Fastest {
  const ResultRun* best = nullptr;
  std::vector<int> equals;
};

Fastest fastest(const std::vector<ResultRun>& runs, const std::string& series, double aa_percent) {
  Fastest found;
  for (const ResultRun& run : runs) {
    if (run.series != series || !(run.tokens_per_second > 0)) continue;
    if (!found.best || run.tokens_per_second > found.best->tokens_per_second) found.best = &run;
  }
  for (const ResultRun& run : runs) {
    if (!found.best || &run == found.best || run.series != series) continue;
    if (!(run.tokens_per_second > 0)) continue;
    const double behind = 100 * (found.best->tokens_per_second / run.tokens_per_second - 1);
    const double noise = std::hypot(run.noise_percent, found.best->noise_percent);
    if (std::isnan(noise)) continue;  // `figures` says that it is unknown
    if (behind <= std::fmax(noise, aa_percent)) found.equals.push_back(run.key);
  }
  return found;
}

std::string perplexity_text(double perplexity, double delta_percent) {
  std::string out = format_number(perplexity, 2);
  if (std::isfinite(delta_percent)) out += fmt::format(" ({:+.2f} %)", delta_percent);
  return out;
}

Finding fastest_finding(const Fastest& found, const std::string& title, const std::string& choice,
                        const char* key_format) {
  const ResultRun& run = *found.best;
  std::string figures = format_number(run.tokens_per_second, 2) + " tokens/s";
  figures += fmt::format(" ({})", noise_text(run.noise_percent));
  if (std::isfinite(run.perplexity)) {
    figures += "; perplexity " + perplexity_text(run.perplexity, run.perplexity_delta_percent);
  } else {
    figures += "; quality was not measured";
  }
  std::string reason = "speed alone: most tokens per second, prompt included";
  if (run.perplexity_delta_percent > kLargeLossPercent) {
    reason += fmt::format("; not advised as it is: perplexity is {:.1f} times the dense original's",
                          1 + run.perplexity_delta_percent / 100);
  }
  if (!found.equals.empty()) {
    std::string names;
    for (const int key : found.equals) {
      names += (names.empty() ? "" : ", ") + fmt::format(fmt::runtime(key_format), key);
    }
    reason += fmt::format("; {} not distinguishable within the noise", names);
  }
  return {title, choice, figures, reason};
}

std::string pick_figures(const RecommendedRun& pick) {
  std::string out = format_number(pick.tokens_per_second, 1) + " tokens/s";
  if (std::isfinite(pick.speedup)) {
    out += fmt::format(", {:.2f}x the dense original ({})", pick.speedup,
                       noise_text(pick.noise_percent));
  }
  if (std::isfinite(pick.perplexity)) {
    out += "; perplexity " + perplexity_text(pick.perplexity, pick.perplexity_delta_percent);
  }
  return out;
}

bool is_flag_name(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

std::vector<std::pair<std::string, std::string>> environment_rows(const ResultFile& file) {
  const json& env = member(file.document, "environment");
  const json& cpu = member(env, "cpu_info");
  const json& gpu = member(env, "gpu_info");
  const json& args = member(file.document, "args");
  const json& machine = member(env, "measured_bandwidth");
  const std::pair<const char*, const json&> values[] = {
      {"Device", member(env, "device").is_null() ? member(args, "device") : member(env, "device")},
      {"CPU Cores", member(cpu, "count")},
      {"Memory (GB)", member(env, "memory_total_gb")},
      {"GPU", member(gpu, "name")},
      {"GPU Memory (GB)", member(gpu, "memory_total_gb")},
      {"Processor", member(env, "cpu_model")},
      {"Logical Cores", member(cpu, "logical_count")},
      {"Instruction Sets", member(env, "instruction_sets")},
      {"Multiply-Add Peak (GFLOP/s)", member(machine, "fma_gflops")},
      {"Operating System", member(env, "operating_system")},
      {"Compiler", member(env, "compiler")},
      {"Build Type", member(env, "build_type")},
      {"Commit", member(env, "commit")},
      {"Model", member(args, "model_name")},
      {"Optimization Level", member(args, "optimization_level")},
      {"Profile Mode", member(args, "profile_mode")},
      {"Prompt Tokens Asked", member(args, "sequence_length")},
      {"Generated Tokens", member(args, "generated_tokens")},
      {"Batch Size", member(args, "batch_size")},
      {"Iterations", member(args, "iterations")},
      {"Seed", member(args, "seed")},
      {"Pruning Strategy", member(args, "strategy")},
      {"Quality Text", member(member(file.document, "quality_protocol"), "text")}};
  std::vector<std::pair<std::string, std::string>> rows;
  for (const auto& [name, value] : values) {
    if (!value.is_null()) rows.emplace_back(name, value_text(value));
  }
  const std::string caches = caches_text(member(env, "caches"));
  if (!caches.empty()) rows.emplace_back("Caches", caches);
  const json& timestamp = member(file.document, "timestamp");
  if (timestamp.is_number()) {
    rows.emplace_back("Measured", local_time(timestamp.get<double>()));
  }
  return rows;
}

std::optional<Finding> best_level(const ResultFile& file) {
  const Fastest found = fastest(file.levels, "", file.aa_percent);
  if (!found.best) return std::nullopt;
  return fastest_finding(found, "Best optimization level", fmt::format("level {}", found.best->key),
                         "level {}");
}

std::optional<Finding> best_pruning(const ResultFile& file) {
  const Fastest found = fastest(file.pruning, "optimized", file.aa_percent);
  if (!found.best) return std::nullopt;
  return fastest_finding(found, "Best pruning level",
                         fmt::format("{} % of the optimized model", found.best->key), "{} %");
}

std::vector<Finding> findings(const ResultFile& file) {
  std::vector<Finding> out;
  for (const RecommendedRun& pick : file.recommendation) {
    out.push_back(
        {pick.title,
         fmt::format("{} at {} % pruning, level {}", pick.variant, pick.pruning_level, pick.level),
         pick_figures(pick), pick.reason});
  }
  for (const auto& found : {best_level(file), best_pruning(file)}) {
    if (found) out.push_back(*found);
  }
  return out;
}

std::vector<std::string> notes(const ResultFile& file) {
  std::vector<std::string> out;
  if (member(file.document, "interrupted") == json(true)) {
    out.push_back("The run was interrupted: only what was measured until then is here.");
  }
  if (!file.from_python) {
    const auto noise =
        noise_notes(file.aa_percent, file.rows_noise_percent, member(file.document, "environment"));
    out.insert(out.end(), noise.begin(), noise.end());
    return out;
  }
  out.push_back(
      "Written by the Python system: its first-token time is the duration of a whole "
      "generation, its speeds include the prompt, and it measured no quality.");
  const auto count = [&](const char* name) {
    const auto it = std::find_if(file.loading.begin(), file.loading.end(),
                                 [&](const LoadedModel& model) { return model.name == name; });
    return it == file.loading.end() ? kNotMeasured : it->parameters;
  };
  if (count("Original") == count("Optimized")) {
    out.push_back(
        "Original and optimized have the same number of parameters here: that system "
        "measured one model twice, so differences between them are noise.");
  }
  return out;
}

std::string profile_command(const json& args) {
  if (!args.is_object()) return "";
  std::string command = "sentinel profile";
  for (const auto& [name, value] : args.items()) {
    if (!is_flag_name(name) || value.is_null() || value == json(false) || value == json("")) {
      continue;
    }
    command += " --" + name;
    if (value == json(true)) continue;
    command += " " + escape_shell(value.is_string() ? value.get<std::string>() : value.dump());
  }
  return command;
}

std::string export_command(const ResultFile& file) {
  return "sentinel export --input_file " + escape_shell(file.name) +
         " --format all --create_charts";
}

std::string local_time(double seconds_since_1970) {
  if (!(std::abs(seconds_since_1970) < 1e11)) return "unknown";
  const auto seconds = static_cast<std::time_t>(seconds_since_1970);
  std::tm parts{};
  localtime_r(&seconds, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts)};
}

}  // namespace sentinel
