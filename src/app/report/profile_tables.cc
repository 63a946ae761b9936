#include "app/report/profile_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "app/report/noise_text.h"
#include "app/report/operations_json.h"
#include "app/report/previous_run.h"
#include "base/escape.h"
#include "base/statistics.h"
#include "model/model.h"

namespace sentinel {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<std::string> run_cells(const RunResult& run) {
  const auto& q = run.quality;
  return {format_number(prefill_tokens_per_second(run), 0),
          format_number(decode_tokens_per_second(run), 1),
          format_number(tokens_per_second(run), 1),
          format_number(median(run.first_token_times) * 1e3, 2),
          format_number(q ? q->perplexity : kNaN, 3),
          format_change(q ? q->perplexity_delta_percent : kNaN),
          format_number(q ? q->kl_mean : kNaN, 4),
          format_number(q ? 100 * q->top1_agreement : kNaN, 1),
          format_number(static_cast<double>(run.weight_bytes) / 1e6, 1)};
}

const std::vector<std::string> kRunColumns = {
    "Prefill tok/s", "Decode tok/s", "Total tok/s", "First ms", "Perplexity",
    "Change",        "KL",           "Agree %",     "MB"};

void add_row(TextTable& table, std::vector<std::string> front, const RunResult& run) {
  const auto cells = run_cells(run);
  front.insert(front.end(), cells.begin(), cells.end());
  table.rows.push_back(std::move(front));
}

TextTable run_table(std::vector<std::string> front) {
  front.insert(front.end(), kRunColumns.begin(), kRunColumns.end());
  return {std::move(front), {}};
}

}  // namespace

bool has_operations(const std::map<std::string, RunResult>& runs) {
  return std::any_of(runs.begin(), runs.end(),
                     [](const auto& entry) { return entry.second.operations.has_value(); });
}

TextTable loading_table(const LoadingResult& loading) {
  TextTable table{{"Model Type", "Loading Time (s)", "Parameters", "Memory"}, {}};
  const auto add = [&](const char* name, const LoadResult& load) {
    table.rows.push_back({name, format_number(median(load.load_times), 3),
                          format_number(static_cast<double>(load.parameter_count), 0),
                          format_bytes(static_cast<double>(load.memory_bytes))});
  };
  add("Baseline", loading.baseline);
  add("Original", loading.original);
  add("Optimized", loading.optimized);
  return table;
}

TextTable pruning_table(const ProfileResult& result) {
  TextTable table = run_table({"Pruning", "Variant", "Heads"});
  std::set<int> levels;
  for (const auto& [level, run] : result.original) levels.insert(level);
  for (const auto& [level, run] : result.optimized) levels.insert(level);
  for (const int level : levels) {
    for (const auto* runs : {&result.original, &result.optimized}) {
      const auto it = runs->find(level);
      if (it == runs->end()) continue;
      const auto& run = it->second;
      add_row(table,
              {fmt::format("{} %", level), run.variant,
               fmt::format("{}/{}", run.heads_active, run.heads_total)},
              run);
    }
  }
  if (result.aa_second) {
    const auto& run = *result.aa_second;
    add_row(table,
            {"0 %", "original (A/A)", fmt::format("{}/{}", run.heads_active, run.heads_total)},
            run);
  }
  return table;
}

TextTable levels_table(const ProfileResult& result) {
  TextTable table = run_table({"Level", "Pruning", "Weights", "Agency"});
  for (const auto& [level, run] : result.levels) {
    add_row(
        table,
        {std::to_string(level), fmt::format("{} %", run.pruning_level), run.weights, run.agency},
        run);
  }
  return table;
}

constexpr const char* kPromiseRemedy =
    "; --weights bf16 costs less of it, and `sentinel prune --heads 0 --recover none` writes a "
    "checkpoint that names the types which keep it.";

// Promises are measured each time, and broken ones said.
std::string levels_note(const ProfileResult& result) {
  std::string note;
  for (const int level : {2, 3}) {
    const LevelPromise promise = *level_promise(result, level);
    if (!std::isfinite(promise.growth_percent)) continue;
    const bool kept = promise.growth_percent <= promise.promised_percent;
    note +=
        fmt::format("Level {}: perplexity {:+.2f} % of level 0's, {} the +{:.0f} % it promises{}\n",
                    level, promise.growth_percent, kept ? "within" : "beyond",
                    promise.promised_percent, kept ? "." : kPromiseRemedy);
  }
  return note;
}

bool runs_preset(const RunResult& run) {
  const LevelPreset preset = level_preset(run.level);
  return run.weights == to_string(preset.weights) && run.lm_head == to_string(preset.lm_head) &&
         run.kv == to_string(preset.kv);
}

// A level's own types against "original", which runs in f32.
std::string promise_note(const ProfileResult& result) {
  if (!result.levels.empty()) return "";
  for (const auto& [pruning, run] : result.optimized) {
    const auto exact = result.original.find(pruning);
    const double promised = promised_growth_percent(run.level);
    if (promised == 0 || exact == result.original.end() || !run.quality || !exact->second.quality ||
        !runs_preset(run)) {
      continue;
    }
    const double growth = 100 * (run.quality->perplexity / exact->second.quality->perplexity - 1);
    if (growth <= promised) continue;
    return fmt::format(
        "Level {}: at {} % pruning perplexity {:+.2f} % of the f32 model's, beyond the +{:.0f} % "
        "it promises{}\n",
        run.level, pruning, growth, promised, kPromiseRemedy);
  }
  return "";
}

TextTable throughput_table(const ProfileResult& result) {
  TextTable table{{"Prompt", "Tokens", "Decode tok/s", "Total tok/s", "Noise", "First ms"}, {}};
  const RunGroup together = throughput_runs(result);
  for (const auto& [prompt, run] : result.throughput) {
    table.rows.push_back(
        {prompt, std::to_string(int64_t{run.tokens_generated.front()} * run.batch_size),
         format_number(decode_tokens_per_second(run), 1), format_number(tokens_per_second(run), 1),
         fmt::format("{} %", format_number(moderated_noise_percent(together, run), 1)),
         format_number(median(run.first_token_times) * 1e3, 2)});
  }
  return table;
}

TextTable models_table(const ProfileResult& result) {
  TextTable table{{"Model", "Family", "Parameters", "Loading (s)", "Prefill tok/s", "Decode tok/s",
                   "Total tok/s", "First ms", "MB", "Bits/byte", "Perplexity"},
                  {}};
  for (const auto& model : result.models) {
    const RunResult& run = model.inference;
    const QualityFigures* q = run.quality ? &*run.quality : nullptr;
    table.rows.push_back(
        {model.name, model.family,
         format_number(static_cast<double>(model.loading.optimized.parameter_count), 0),
         format_number(median(model.loading.optimized.load_times), 3),
         format_number(prefill_tokens_per_second(run), 0),
         format_number(decode_tokens_per_second(run), 1), format_number(tokens_per_second(run), 1),
         format_number(median(run.first_token_times) * 1e3, 2),
         format_number(static_cast<double>(run.weight_bytes) / 1e6, 1),
         format_number(q ? q->bits_per_byte : kNaN, 4),
         format_number(q ? q->perplexity : kNaN, 3)});
  }
  return table;
}

TextTable isas_table(const ProfileResult& result) {
  TextTable table = run_table({"Instructions", "Level", "Weights"});
  for (const auto& [isa, run] : result.isas) {
    add_row(table, {isa, std::to_string(run.level), run.weights}, run);
  }
  return table;
}

TextTable integration_table(const ProfileResult& result) {
  TextTable table = run_table({"Configuration", "Pruning", "Level"});
  for (const auto& [name, runs] : result.integration) {
    for (const auto& [level, run] : runs) {
      add_row(table, {name, fmt::format("{} %", level), std::to_string(run.level)}, run);
    }
  }
  return table;
}

TextTable components_table(const ProfileResult& result) {
  TextTable table{{"Component", "Variant", "Prompt ms", "Step us", "Time %", "Bytes %"}, {}};
  const auto value = [](const std::map<std::string, double>& values, const char* name) {
    const auto it = values.find(name);
    return it == values.end() ? kNaN : it->second;
  };
  for (const char* name : kComponents) {
    for (const auto* variant : {"original", "optimized"}) {
      const auto it = result.components.find(variant);
      if (it == result.components.end() || !it->second.operations) continue;
      const OperationProfile& profile = *it->second.operations;
      if (!(value(profile.prefill_ms, name) + value(profile.step_ms, name) > 0)) continue;
      table.rows.push_back({name, fmt::format("{} {} %", variant, it->second.pruning_level),
                            format_number(value(profile.prefill_ms, name), 3),
                            format_number(value(profile.step_ms, name) * 1e3, 1),
                            format_number(time_percent(profile, name), 1),
                            format_number(bytes_percent(profile, name), 1)});
    }
  }
  return table;
}

std::string components_note(const ProfileResult& result) {
  std::string note;
  for (const auto& [variant, run] : result.components) {
    if (!run.operations) continue;
    const OperationProfile& profile = *run.operations;
    // Recorded and plain generations are as noisy as all others: less than nothing is noise.
    const double cost = overhead_percent(profile);
    note += fmt::format(
        "{}{}: {:.1f} % of the time is waiting for other threads (inside the shares above); "
        "recording costs {}",
        note.empty() ? "" : "\n", variant, profile.wait_percent,
        cost < 0 ? "less than the noise" : format_change(cost));
    if (profile.dropped_events > 0) {
      note += fmt::format("; {} events did not fit: the shares are of the beginning only",
                          profile.dropped_events);
    }
  }
  return note;
}

std::string memory_line(const MemoryFigures& memory) {
  return fmt::format(
      "packed weights {:.1f} MB, KV cache {:.1f} MB; peak resident {:.1f} MB, with all models that "
      "were "
      "measured",
      memory.packed_weights_mb, memory.kv_cache_mb, memory.peak_rss_mb);
}

std::string noise_note(const ProfileResult& result) {
  std::string note;
  for (const auto& sentence : noise_notes(aa_difference_percent(result),
                                          difference_noise_percent(result), result.environment)) {
    if (!note.empty()) note += '\n';
    note += sentence;
  }
  return note;
}

std::string describe(const Pick& pick) {
  std::string cost = "quality not measured";
  if (pick.quality) {
    cost = fmt::format("perplexity {} ({}), KL {:.4f}, top-1 agreement {:.1f} %",
                       format_number(pick.quality->perplexity, 3),
                       format_change(pick.quality->perplexity_delta_percent), pick.quality->kl_mean,
                       100 * pick.quality->top1_agreement);
  }
  return fmt::format(
      "{}: {} at {} % pruning, level {}: {} tokens/s, {:.2f}x the dense original "
      "({}); {}{}",
      pick.title, pick.variant, pick.pruning_level, pick.level,
      format_number(pick.tokens_per_second, 1), pick.speedup, noise_text(pick.noise_percent), cost,
      pick.warning.empty() ? "" : ". " + pick.warning);
}

std::string console_report(const ProfileResult& result) {
  std::string out;
  if (result.loading)
    out += fmt::format("Model loading\n{}\n", loading_table(*result.loading).plain());
  if (!result.original.empty() || !result.optimized.empty()) {
    out += fmt::format("Pruning comparison (strategy {})\n",
                       result.strategy ? result.strategy->name : "-");
    out += pruning_table(result).plain() + noise_note(result) + "\n" + promise_note(result) + "\n";
  }
  if (!result.levels.empty()) {
    out += fmt::format("Optimization levels\n{}{}\n", levels_table(result).plain(),
                       levels_note(result));
  }
  if (!result.isas.empty()) {
    out += fmt::format("Instruction sets\n{}\n", isas_table(result).plain());
  }
  if (!result.integration.empty()) {
    out += fmt::format("Integration points\n{}", integration_table(result).plain());
    for (const auto& verdict : result.integration_verdicts) out += verdict + "\n";
    out += "\n";
  }
  if (has_operations(result.components)) {
    out += fmt::format("Components (share of a generation's time, of a step's bytes)\n{}{}\n\n",
                       components_table(result).plain(), components_note(result));
  }
  if (!result.throughput.empty()) {
    out += fmt::format("Throughput\n{}\n", throughput_table(result).plain());
  }
  if (!result.models.empty()) out += fmt::format("Models\n{}\n", models_table(result).plain());
  if (result.memory) out += fmt::format("Memory: {}\n\n", memory_line(*result.memory));
  if (!result.comparison.is_null()) {
    out += comparison_heading(result.comparison);
    const TextTable table = comparison_table(result.comparison);
    if (!table.rows.empty()) out += table.plain();
    out += "\n";
  }
  if (!result.recommendation.empty()) {
    out +=
        "Recommendation for this machine (equally fast within the noise: the better quality "
        "wins)\n";
    for (const auto& pick : result.recommendation) {
      out += fmt::format("  {}\n    chosen by: {}\n", describe(pick), pick.reason);
    }
    out += "\n";
  }
  if (result.interrupted) {
    out += fmt::format(
        "Interrupted: what was measured until then is kept; \"sentinel profile --resume {}\" "
        "measures the rest.\n",
        escape_shell(result.run_folder));
  }
  if (!result.traces.empty()) {
    out += fmt::format("Traces: {}/traces (open in https://ui.perfetto.dev)\n", result.run_folder);
  }
  out += fmt::format("Report: {}/summary.md\nResult: {}\n", result.run_folder, result.result_file);
  return out;
}

}  // namespace sentinel
