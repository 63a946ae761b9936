#include "app/report/profile_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "app/report/operations_json.h"
#include "base/json_numbers.h"
#include "base/statistics.h"

namespace sentinel {
namespace {

using nlohmann::json;

json to_json(const Percentiles& p) {
  return {{"p50", number(p.p50)}, {"p90", number(p.p90)}, {"p99", number(p.p99)}};
}

json to_json(const LoadResult& load) {
  return {{"load_time", number(median(load.load_times))},
          {"load_times", load.load_times},
          {"memory_usage", load.memory_bytes},
          {"parameter_count", load.parameter_count}};
}

void add_quality(json& run, const std::optional<QualityFigures>& quality) {
  const char* names[] = {
      "perplexity",    "perplexity_delta_percent", "nll_mean", "bits_per_byte", "kl_mean", "kl_p99",
      "top1_agreement"};
  for (const char* name : names) run[name] = nullptr;
  run["tokens_scored"] = 0;
  if (!quality) return;
  run["perplexity"] = number(quality->perplexity);
  run["perplexity_delta_percent"] = number(quality->perplexity_delta_percent);
  run["nll_mean"] = number(quality->nll_mean);
  run["bits_per_byte"] = number(quality->bits_per_byte);
  run["kl_mean"] = number(quality->kl_mean);
  run["kl_p99"] = number(quality->kl_p99);
  run["top1_agreement"] = number(quality->top1_agreement);
  run["tokens_scored"] = quality->tokens_scored;
}

json to_json(const Pick& pick) {
  json out = {{"title", pick.title},
              {"variant", pick.variant},
              {"pruning_level", pick.pruning_level},
              {"level", pick.level},
              {"tokens_per_second", number(pick.tokens_per_second)},
              {"speedup", number(pick.speedup)},
              {"noise_percent", number(pick.noise_percent)},
              {"reason", pick.reason},
              {"advised", pick.warning.empty()},
              {"warning", pick.warning}};
  add_quality(out, pick.quality);
  return out;
}

json aa_test(const ProfileResult& result) {
  const auto& a = *result.aa_first;
  const auto& b = *result.aa_second;
  const RunGroup together = interleaved_runs(result);
  const auto difference = [](double x, double y) { return number(100 * (y - x) / ((x + y) / 2)); };
  return {{"first", sentinel::to_json(a, together)},
          {"second", sentinel::to_json(b, together)},
          {"interval_percent", number(pair_noise_percent(result, a, b))},
          {"rows_interval_percent", number(difference_noise_percent(result))},
          {"difference_percent",
           {{"tokens_per_second", difference(tokens_per_second(a), tokens_per_second(b))},
            {"prefill_tokens_per_second",
             difference(prefill_tokens_per_second(a), prefill_tokens_per_second(b))},
            {"decode_tokens_per_second",
             difference(decode_tokens_per_second(a), decode_tokens_per_second(b))},
            {"first_token_time",
             difference(median(a.first_token_times), median(b.first_token_times))}}}};
}

// Enough for a distribution, spread over all: a long run would fill the file with them.
json kept_steps(const std::vector<double>& seconds) {
  constexpr size_t kMost = 20000;
  const size_t n = std::min(seconds.size(), kMost);
  std::vector<double> kept;
  for (size_t i = 0; i < n; ++i) kept.push_back(seconds[i * seconds.size() / n]);
  return kept;
}

// Of tokens_per_second, null without noise; the fast end has none where noise reaches 100 %.
json speed_interval(const RunResult& run, double noise_percent) {
  const double speed = tokens_per_second(run), noise = noise_percent / 100;
  if (!std::isfinite(speed * noise)) return nullptr;
  return {speed / (1 + noise), noise < 1 ? number(speed / (1 - noise)) : json(nullptr)};
}

void add_timing(json& out, const RunResult& run, double noise) {
  out["generation_times"] = run.generation_times;
  out["avg_generation_time"] = number(mean(run.generation_times));
  out["median_generation_time"] = number(median(run.generation_times));
  out["tokens_per_second"] = number(tokens_per_second(run));
  out["noise_percent"] = number(noise);
  out["tokens_per_second_interval"] = speed_interval(run, noise);
  out["outliers"] = outliers(run);
  out["first_token_time"] = number(median(run.first_token_times));
  out["first_token_times"] = run.first_token_times;
  out["prefill_times"] = run.prefill_times;
  out["decode_times"] = run.decode_times;
  out["prefill_tokens_per_second"] = number(prefill_tokens_per_second(run));
  out["decode_tokens_per_second"] = number(decode_tokens_per_second(run));
  out["step_ms"] = to_json(step_ms(run));
  const std::vector<double> counts(run.tokens_generated.begin(), run.tokens_generated.end());
  out["tokens_generated"] = run.tokens_generated;
  out["avg_tokens_generated"] = number(mean(counts));
  out["prompt_tokens"] = run.prompt_tokens;
  out["prompt_tokens_total"] = run.prompt_total;
  out["warmup_generations"] = run.warmup_generations;
  out["step_times"] = kept_steps(run.step_times);
  out["batch_size"] = run.batch_size;
}

json snapshot_json(const MemorySnapshot& snapshot) {
  return {{"timestamp", snapshot.timestamp},
          {"cpu", {{"percent", snapshot.cpu_percent}, {"rss_mb", snapshot.rss_mb}}}};
}

json memory_section(const MemoryFigures& memory) {
  json samples = json::array();
  for (const auto& sample : memory.samples) {
    samples.push_back({{"timestamp", sample.timestamp},
                       {"stage", sample.stage},
                       {"rss_mb", sample.rss_mb},
                       {"cpu_percent", sample.cpu_percent}});
  }
  return {{"samples", samples},
          {"packed_weights_mb", memory.packed_weights_mb},
          {"kv_cache_mb", memory.kv_cache_mb},
          {"peak_rss_mb", memory.peak_rss_mb}};
}

// The first 50 characters; a character of several bytes is not cut.
std::string shortened(const std::string& prompt) {
  size_t end = 0;
  for (int characters = 0; end < prompt.size(); ++end) {
    const bool starts = (static_cast<unsigned char>(prompt[end]) & 0xC0) != 0x80;
    if (starts && ++characters > 50) break;
  }
  return end < prompt.size() ? prompt.substr(0, end) + "..." : prompt;
}

// `overall` counts the tokens that were emitted in all timed generations, and their time.
json throughput_section(const ProfileResult& result) {
  const auto& prompts = result.throughput;
  const RunGroup together = throughput_runs(result);
  json out = json::object();
  int64_t tokens = 0;
  double time = 0;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const RunResult& run = prompts[i].run;
    json entry = sentinel::to_json(run, together);
    entry["prompt"] = shortened(prompts[i].prompt);
    entry["full_prompt"] = prompts[i].prompt;
    out[fmt::format("prompt_{}", i)] = std::move(entry);
    for (const int count : run.tokens_generated) tokens += int64_t{count} * run.batch_size;
    time += std::accumulate(run.generation_times.begin(), run.generation_times.end(), 0.0);
  }
  out["overall"] = {{"total_tokens", tokens},
                    {"total_time", time},
                    {"tokens_per_second", number(static_cast<double>(tokens) / time)}};
  return out;
}

json loading_section(const LoadingResult& loading) {
  return {{"operation", "model_loading"},
          {"first_open_time", number(loading.first_open_time)},
          {"baseline_model", to_json(loading.baseline)},
          {"original_model", to_json(loading.original)},
          {"optimized_model", to_json(loading.optimized)}};
}

json models_section(const std::vector<ModelResult>& models) {
  json out = json::object();
  for (const auto& model : models) {
    const auto baseline = static_cast<double>(model.loading.baseline.parameter_count);
    const auto adaptive = static_cast<double>(model.loading.optimized.parameter_count);
    out[model.name] = {{"model_family", model.family},
                       {"loading", loading_section(model.loading)},
                       {"inference", sentinel::to_json(model.inference, {})},
                       {"total_time", model.total_time},
                       {"parameter_counts",
                        {{"baseline", model.loading.baseline.parameter_count},
                         {"adaptive", model.loading.optimized.parameter_count},
                         {"increase_percentage", number(100 * (adaptive / baseline - 1))}}}};
  }
  return out;
}

json components_section(const ProfileResult& result) {
  json out = json::object();
  for (const auto& [variant, run] : result.components) {
    json& entry = out[variant] = {{"variant", run.variant},
                                  {"pruning_level", run.pruning_level},
                                  {"level", run.level},
                                  {"agency_stats", run.agency_stats},
                                  {"model_stats", json::object()},
                                  {"run", sentinel::to_json(run, interleaved_runs(result))}};
    if (!run.operations) continue;
    entry["model_stats"] = model_stats_json(*run.operations);
    entry.update(operations_json(*run.operations, true));
  }
  return out;
}

template <typename Key>
json keyed(const ProfileResult& result, const std::map<Key, RunResult>& runs) {
  const RunGroup together = interleaved_runs(result);
  json out = json::object();
  for (const auto& [key, run] : runs) {
    out[fmt::format("{}", key)] = sentinel::to_json(run, together);
  }
  return out;
}

json levels_section(const ProfileResult& result) {
  const std::map<int, RunResult>& levels = result.levels;
  json out = keyed(result, levels);
  json comparison = json::object();
  for (const auto& [level, run] : levels) {
    json& entry = out[std::to_string(level)];
    // The old shape of a memory snapshot, here with the peak instead of a reading before warm-up.
    entry["memory_usage"] = {{"cpu", {{"percent", nullptr}, {"rss_mb", number(run.peak_rss_mb)}}}};
    comparison[std::to_string(level)] = {
        {"tokens_per_second", number(tokens_per_second(run))},
        {"first_token_latency", number(median(run.first_token_times))}};
    if (const auto promise = level_promise(result, level)) {
      comparison[std::to_string(level)]["perplexity_over_level_0_percent"] =
          number(promise->growth_percent);
      comparison[std::to_string(level)]["promised_percent"] = promise->promised_percent;
    }
  }
  out["comparison"] = comparison;
  return out;
}

}  // namespace

json to_json(const RunResult& run, const RunGroup& together) {
  // 0 stands for what was not measured.
  const auto measured = [](double value) { return value > 0 ? json(value) : json(nullptr); };
  json out = {{"model_type", run.variant},
              {"variant", run.variant},
              {"pruning_level", run.pruning_level},
              {"level", run.level},
              {"threads", run.threads},
              {"isa", run.isa},
              {"weights", run.weights},
              {"lm_head", run.lm_head},
              {"kv", run.kv},
              {"kv_cache", run.kv_cache},
              {"agency", run.agency},
              {"tracking_interval", run.tracking_interval},
              {"baseline_integration", run.baseline_integration},
              {"unet", run.unet},
              {"head_means", run.head_means},
              {"protect_first", run.protect_first},
              {"seed", run.seed},
              {"profile_data", nullptr},
              {"generated_text", run.generated_text ? json(*run.generated_text) : json(nullptr)},
              {"model_stats", json::object()},
              {"agency_stats", run.agency_stats},
              {"weight_bytes", run.weight_bytes},
              {"bytes_per_token", run.bytes_per_token},
              {"bytes_per_step", run.bytes_per_step},
              {"machine_bandwidth", measured(run.machine_bandwidth)},
              {"bandwidth_fraction", number(bandwidth_fraction(run))},
              {"peak_rss_mb", number(run.peak_rss_mb)},
              {"heads_active", run.heads_active},
              {"heads_total", run.heads_total},
              {"heads_pruned", json::array()}};
  for (const auto& [layer, head] : run.heads_pruned) {
    out["heads_pruned"].push_back(json::array({layer, head}));
  }
  if (!run.memory_profile.empty()) {
    for (const auto& snapshot : run.memory_profile) {
      out["memory_profile"].push_back(snapshot_json(snapshot));
    }
  }
  add_timing(out, run, moderated_noise_percent(together, run));
  add_quality(out, run.quality);
  if (run.operations) out["model_stats"] = model_stats_json(*run.operations);
  if (run.operations && run.operation_details) {
    out["profile_data"] = operations_text(*run.operations);
    out["operation_profile"] = operations_json(*run.operations, true);
  }
  return out;
}

json to_json(const ProfileResult& result) {
  json out = {{"schema_version", kResultSchemaVersion}, {"environment", result.environment},
              {"timestamp", result.timestamp},          {"args", result.args},
              {"interrupted", result.interrupted},      {"prompts", result.prompts},
              {"run_folder", result.run_folder}};
  if (!result.quality_protocol.is_null()) out["quality_protocol"] = result.quality_protocol;
  if (result.loading) out["model_loading"] = loading_section(*result.loading);
  if (result.strategy) {
    const auto& strategy = *result.strategy;
    json order = json::array();
    for (const auto& [layer, head] : strategy.removal_order) order.push_back({layer, head});
    out["pruning_strategy"] = {{"name", strategy.name},
                               {"definition", strategy.definition},
                               {"calibration", strategy.calibration},
                               {"scores", strategy.scores},
                               {"removal_order", order}};
  }
  if (!result.original.empty() || !result.optimized.empty()) {
    out["pruning_comparison"] = {{"original", keyed(result, result.original)},
                                 {"optimized", keyed(result, result.optimized)}};
  }
  if (result.aa_first && result.aa_second) out["aa_test"] = aa_test(result);
  if (!result.levels.empty()) out["optimization_levels"] = levels_section(result);
  if (!result.isas.empty()) out["cpu_specific"] = keyed(result, result.isas);
  for (const auto& [name, runs] : result.integration)
    out["integration_tests"][name] = keyed(result, runs);
  if (!result.integration.empty()) {
    out["integration_points"] = {{"fit", result.integration_fit},
                                 {"verdicts", result.integration_verdicts}};
  }
  if (!result.components.empty()) {
    out["component_breakdown"] = components_section(result);
  }
  if (!result.throughput.empty()) out["throughput_test"] = throughput_section(result);
  if (!result.models.empty()) out["multi_model_comparison"] = models_section(result.models);
  if (result.memory) out["memory"] = memory_section(*result.memory);
  if (!result.comparison.is_null()) out["comparison_with_previous"] = result.comparison;
  json picks = json::array();
  for (const auto& pick : result.recommendation) picks.push_back(to_json(pick));
  out["recommendation"] = picks;
  return out;
}

std::string to_text(const json& document) {
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace sentinel
