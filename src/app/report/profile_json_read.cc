#include "app/report/profile_json_read.h"

#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "app/report/operations_json.h"
#include "base/error.h"
#include "base/json_numbers.h"

namespace sentinel {
namespace {

using nlohmann::json;

// null is what was not measured.
double number(const json& object, const char* key) {
  const json& value = object.at(key);
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

void read(const json& object, const char* key, std::vector<int>& out) {
  out.clear();
  for (const json& value : object.at(key)) out.push_back(whole_number<int>(value));
}
void read(const json& object, const char* key, std::vector<std::pair<int, int>>& out) {
  out.clear();
  for (const json& pair : object.at(key)) {
    out.emplace_back(whole_number<int>(pair.at(0)), whole_number<int>(pair.at(1)));
  }
}
template <typename T>
void read(const json& object, const char* key, T& out) {
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    out = whole_number<T>(object.at(key));
  } else {
    out = object.at(key).get<T>();
  }
}

std::optional<QualityFigures> read_quality(const json& run) {
  if (run.at("perplexity").is_null()) return std::nullopt;
  QualityFigures quality;
  quality.perplexity = number(run, "perplexity");
  quality.perplexity_delta_percent = number(run, "perplexity_delta_percent");
  quality.nll_mean = number(run, "nll_mean");
  quality.bits_per_byte = number(run, "bits_per_byte");
  quality.kl_mean = number(run, "kl_mean");
  quality.kl_p99 = number(run, "kl_p99");
  quality.top1_agreement = number(run, "top1_agreement");
  read(run, "tokens_scored", quality.tokens_scored);
  return quality;
}

void read_timing(const json& object, RunResult& run) {
  read(object, "prompt_tokens", run.prompt_tokens);
  read(object, "prompt_tokens_total", run.prompt_total);
  read(object, "batch_size", run.batch_size);
  read(object, "generation_times", run.generation_times);
  read(object, "prefill_times", run.prefill_times);
  read(object, "first_token_times", run.first_token_times);
  read(object, "decode_times", run.decode_times);
  read(object, "step_times", run.step_times);
  read(object, "warmup_generations", run.warmup_generations);
  read(object, "tokens_generated", run.tokens_generated);
  const size_t generations = run.generation_times.size();
  for (const size_t n :
       {run.prefill_times.size(), run.first_token_times.size(), run.tokens_generated.size()}) {
    if (n != generations) throw bad_input("lists of one entry a generation differ in length");
  }
  if (generations == 0 || run.batch_size < 1) throw bad_input("a run without a generation");
}

RunResult read_run(const json& object) {
  RunResult run;
  read(object, "variant", run.variant);
  read(object, "pruning_level", run.pruning_level);
  read(object, "level", run.level);
  read(object, "threads", run.threads);
  read(object, "isa", run.isa);
  read(object, "weights", run.weights);
  read(object, "lm_head", run.lm_head);
  read(object, "kv", run.kv);
  read(object, "agency", run.agency);
  read(object, "tracking_interval", run.tracking_interval);
  read(object, "baseline_integration", run.baseline_integration);
  read(object, "unet", run.unet);
  read(object, "kv_cache", run.kv_cache);
  read(object, "head_means", run.head_means);
  read(object, "protect_first", run.protect_first);
  read(object, "seed", run.seed);
  read_timing(object, run);
  if (!object.at("generated_text").is_null()) run.generated_text = object.at("generated_text");
  read(object, "weight_bytes", run.weight_bytes);
  read(object, "bytes_per_token", run.bytes_per_token);
  read(object, "bytes_per_step", run.bytes_per_step);
  if (!object.at("machine_bandwidth").is_null()) {
    read(object, "machine_bandwidth", run.machine_bandwidth);
  }
  run.peak_rss_mb = number(object, "peak_rss_mb");
  read(object, "heads_active", run.heads_active);
  read(object, "heads_total", run.heads_total);
  read(object, "heads_pruned", run.heads_pruned);
  run.agency_stats = object.at("agency_stats");
  run.quality = read_quality(object);
  for (const json& snapshot : object.value("memory_profile", json::array())) {
    const json& cpu = snapshot.at("cpu");
    run.memory_profile.push_back(
        {number(snapshot, "timestamp"), number(cpu, "percent"), number(cpu, "rss_mb"), "timing"});
  }
  // Of a pruning cell beside its figures, of the component breakdown among them.
  run.operation_details = object.contains("operation_profile");
  run.operations = read_operations(run.operation_details ? object.at("operation_profile") : object);
  return run;
}

template <typename Key>
void read_runs(const json& section, std::map<Key, RunResult>& runs) {
  for (const auto& [key, run] : section.items()) {
    if (!run.contains("generation_times")) continue;  // "comparison"
    if constexpr (std::is_same_v<Key, int>) {
      int number = 0;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), number);
      if (error != std::errc() || end != key.data() + key.size()) {
        throw bad_input("\"{}\" is not a level", printable(key, 40));
      }
      runs[number] = read_run(run);
    } else {
      runs[key] = read_run(run);
    }
  }
}

LoadResult read_load(const json& object) {
  LoadResult load;
  read(object, "load_times", load.load_times);
  read(object, "memory_usage", load.memory_bytes);
  read(object, "parameter_count", load.parameter_count);
  return load;
}

LoadingResult read_loading(const json& object) {
  LoadingResult loading;
  loading.first_open_time = number(object, "first_open_time");
  loading.baseline = read_load(object.at("baseline_model"));
  loading.original = read_load(object.at("original_model"));
  loading.optimized = read_load(object.at("optimized_model"));
  return loading;
}

StrategyResult read_strategy(const json& object) {
  StrategyResult strategy;
  read(object, "name", strategy.name);
  read(object, "definition", strategy.definition);
  strategy.calibration = object.at("calibration");
  read(object, "scores", strategy.scores);
  read(object, "removal_order", strategy.removal_order);
  return strategy;
}

void read_throughput(const json& section, std::vector<ThroughputResult>& prompts) {
  for (size_t i = 0; section.contains(fmt::format("prompt_{}", i)); ++i) {
    const json& entry = section.at(fmt::format("prompt_{}", i));
    prompts.push_back({entry.at("full_prompt").get<std::string>(), read_run(entry)});
  }
}

void read_models(const json& section, std::vector<ModelResult>& models) {
  for (const auto& [name, entry] : section.items()) {
    models.push_back({name, entry.at("model_family").get<std::string>(),
                      read_loading(entry.at("loading")), read_run(entry.at("inference")),
                      number(entry, "total_time")});
  }
}

void read_sections(const json& document, ProfileResult& result) {
  const auto section = [&](const char* name) -> const json* {
    const auto it = document.find(name);
    return it == document.end() ? nullptr : &*it;
  };
  if (const json* found = section("model_loading")) result.loading = read_loading(*found);
  if (const json* found = section("pruning_strategy")) result.strategy = read_strategy(*found);
  if (const json* found = section("pruning_comparison")) {
    read_runs(found->at("original"), result.original);
    read_runs(found->at("optimized"), result.optimized);
  }
  if (const json* found = section("aa_test")) {
    result.aa_first = read_run(found->at("first"));
    result.aa_second = read_run(found->at("second"));
  }
  if (const json* found = section("optimization_levels")) read_runs(*found, result.levels);
  if (const json* found = section("integration_tests")) {
    for (const auto& [name, runs] : found->items()) read_runs(runs, result.integration[name]);
  }
  if (const json* found = section("cpu_specific")) read_runs(*found, result.isas);
  if (const json* found = section("component_breakdown")) {
    for (const auto& [variant, entry] : found->items()) {
      result.components[variant] = read_run(entry.at("run"));
      result.components[variant].operations = read_operations(entry);
    }
  }
  if (const json* found = section("throughput_test")) read_throughput(*found, result.throughput);
  if (const json* found = section("multi_model_comparison")) read_models(*found, result.models);
  if (const json* found = section("memory")) {
    result.memory.emplace();
    for (const json& sample : found->at("samples")) {
      result.memory->samples.push_back({number(sample, "timestamp"), number(sample, "cpu_percent"),
                                        number(sample, "rss_mb"),
                                        sample.at("stage").get<std::string>()});
    }
    result.memory->peak_rss_mb = number(*found, "peak_rss_mb");
  }
}

// What the run adds to, and what the reports read.
void check_environment(const json& environment) {
  if (!environment.is_object()) throw bad_input("environment is no object");
  for (const char* list : {"conditions", "resumed"}) {
    if (environment.contains(list) && !environment[list].is_array()) {
      throw bad_input("environment.{} is no list", list);
    }
  }
  for (const json& part : environment.value("conditions", json::array())) {
    part.at("neighbours_cpu_percent");
  }
}

}  // namespace

ProfileResult read_profile_result(const json& document, const std::string& name) {
  try {
    if (document.at("schema_version") != kResultSchemaVersion) {
      throw bad_input("schema_version {} is not this version's {}",
                      printable(document.at("schema_version").dump(), 40), kResultSchemaVersion);
    }
    ProfileResult result;
    result.environment = document.at("environment");
    check_environment(result.environment);
    result.args = document.at("args");
    result.prompts = document.at("prompts");
    result.timestamp = document.at("timestamp");
    result.interrupted = document.at("interrupted");
    result.quality_protocol = document.value("quality_protocol", json(nullptr));
    read_sections(document, result);
    return result;
  } catch (const json::exception& error) {
    throw bad_input("{}: not a result file that this version can resume ({}); profile anew", name,
                    printable(error.what(), 120));
  } catch (const Error& error) {
    throw bad_input("{}: {}; profile anew", name, error.what());
  }
}

}  // namespace sentinel
