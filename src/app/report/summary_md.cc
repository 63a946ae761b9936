#include "app/report/summary_md.h"

#include <fmt/format.h>

#include <optional>

#include "app/report/export_findings.h"
#include "app/report/previous_run.h"
#include "app/report/profile_json.h"
#include "app/report/profile_tables.h"
#include "base/escape.h"

namespace sentinel {
namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* key) {
  if (!object.contains(key) || object[key].is_null()) return "-";
  if (object[key].is_array()) {
    std::string list;
    for (const auto& item : object[key]) {
      list += fmt::format("{}{}", list.empty() ? "" : ", ", text_of({{"item", item}}, "item"));
    }
    return list;
  }
  return object[key].is_string() ? object[key].get<std::string>() : object[key].dump();
}

std::string environment_section(const ProfileResult& result) {
  const auto& env = result.environment;
  const auto& args = result.args;
  std::string out = "## Environment\n\n";
  const auto line = [&](const char* name, const std::string& value) {
    out += fmt::format("- **{}**: {}\n", name, escape_markdown(value));
  };
  line("Device", text_of(env, "device"));
  line("Model", text_of(args, "model_name"));
  line("Optimization Level", text_of(args, "optimization_level"));
  line("Pruning Levels Tested", text_of(args, "pruning_levels"));
  line("Pruning Strategy",
       result.strategy ? fmt::format("{} ({})", result.strategy->name, result.strategy->definition)
                       : text_of(args, "strategy"));
  line("Processor", text_of(env, "cpu_model"));
  line("Instruction Sets", text_of(env, "instruction_sets"));
  line("Compiler", text_of(env, "compiler"));
  line("Commit", text_of(env, "commit"));
  for (const auto& prompt : result.prompts) {
    line("Prompt", fmt::format("{} tokens, of which {} of the prompt's own text",
                               text_of(prompt, "tokens"), text_of(prompt, "own_tokens")));
  }
  if (result.quality_protocol.is_object()) {
    line("Quality", fmt::format("perplexity over {} windows of {} tokens of {}",
                                text_of(result.quality_protocol, "windows"),
                                text_of(result.quality_protocol, "window"),
                                text_of(result.quality_protocol, "text")));
  }
  return out + "\n";
}

std::string performance_section(const ProfileResult& result) {
  TextTable table{{"Pruning Level", "Original (tokens/sec)", "Optimized (tokens/sec)", "Speedup"},
                  {}};
  for (const auto& [level, original] : result.original) {
    const auto it = result.optimized.find(level);
    if (it == result.optimized.end()) continue;
    const double a = tokens_per_second(original), b = tokens_per_second(it->second);
    table.rows.push_back({fmt::format("{} %", level), format_number(a, 2), format_number(b, 2),
                          fmt::format("{:.2f}x", b / a)});
  }
  std::string out = fmt::format("## Pruning Performance\n\n{}", table.markdown());
  out +=
      "\nEmitted tokens per second of the whole generation, prompt included; medians.\n"
      "Original: the plain transformer with the heads removed from memory. Optimized: the "
      "adaptive model with the same heads closed.\n";
  out += fmt::format("\n### Speed and quality\n\n{}\n{}\n\n", pruning_table(result).markdown(),
                     noise_note(result));
  if (const std::string note = promise_note(result); !note.empty()) out += note + "\n";
  return out;
}

std::string visualization_section(const ProfileResult& result) {
  std::string out = "## Visualizations\n\n";
  if (result.charts.empty()) return out + "None in this run.\n\n";
  for (const auto& name : result.charts) out += fmt::format("- [{0}](charts/{0})\n", name);
  return out + "\n";
}

// The old tool's two lines, with what an exported report says of them.
std::string fastest_lines(const ProfileResult& result) {
  if (result.levels.empty() && result.optimized.empty()) return "";
  const ResultFile file = read_result(to_json(result), result.result_file);
  std::string out;
  const auto line = [&](const char* title, const std::optional<Finding>& found) {
    if (!found) return;
    out += fmt::format("- **{}**: {}: {}\n  - chosen by: {}\n", title, found->choice,
                       found->figures, found->reason);
  };
  line("Best Pruning Level", best_pruning(file));
  line("Recommended Optimization Level", best_level(file));
  return out;
}

std::string recommendation_section(const ProfileResult& result) {
  std::string out = "## Recommendations\n\n" + fastest_lines(result);
  if (result.recommendation.empty()) {
    return out + "Not enough was measured to weigh speed against quality.\n\n";
  }
  for (const auto& pick : result.recommendation) {
    out += fmt::format("- **{}**{}\n  - chosen by: {}\n", pick.title,
                       describe(pick).substr(pick.title.size()), pick.reason);
  }
  return out + "\n";
}

std::string reproduce_section(const ProfileResult& result) {
  return "## Reproduce This Test\n\n" + markdown_code_block(profile_command(result.args));
}

}  // namespace

std::string summary_markdown(const ProfileResult& result) {
  std::string out = fmt::format("# Sentinel AI Model Profiling Results\n\nDate: {}\n\n",
                                text_of(result.environment, "date"));
  if (result.interrupted) out += "**Interrupted**: only what was measured until then.\n\n";
  out += environment_section(result);
  if (result.loading) {
    out += fmt::format("## Model Loading\n\n{}\n", loading_table(*result.loading).markdown());
  }
  if (!result.original.empty() || !result.optimized.empty()) out += performance_section(result);
  if (!result.levels.empty()) {
    out += fmt::format("## Optimization Levels\n\n{}\n{}\n", levels_table(result).markdown(),
                       levels_note(result));
  }
  if (!result.integration.empty()) {
    out += fmt::format("## Integration Points\n\n{}\n", integration_table(result).markdown());
    for (const auto& verdict : result.integration_verdicts) out += verdict + "\n\n";
  }
  if (!result.isas.empty()) {
    out += fmt::format("## Instruction Sets\n\n{}\n", isas_table(result).markdown());
  }
  if (has_operations(result.components)) {
    out += fmt::format("## Components\n\n{}\n{}\n\n", components_table(result).markdown(),
                       components_note(result));
  }
  if (!result.traces.empty()) {
    out += "## Traces\n\nFor https://ui.perfetto.dev or chrome://tracing:\n\n";
    for (const auto& name : result.traces) out += fmt::format("- [{0}](traces/{0})\n", name);
    out += "\n";
  }
  if (!result.throughput.empty()) {
    out += fmt::format("## Throughput\n\n{}\n", throughput_table(result).markdown());
  }
  if (!result.models.empty()) {
    out += fmt::format("## Models\n\n{}\n", models_table(result).markdown());
  }
  if (result.memory) out += fmt::format("## Memory\n\n{}\n\n", memory_line(*result.memory));
  if (!result.comparison.is_null()) {
    out += "## Comparison with the previous run\n\n" + comparison_heading(result.comparison) + "\n";
    const TextTable table = comparison_table(result.comparison);
    if (!table.rows.empty()) out += table.markdown() + "\n";
  }
  return out + visualization_section(result) + recommendation_section(result) +
         reproduce_section(result);
}

}  // namespace sentinel
