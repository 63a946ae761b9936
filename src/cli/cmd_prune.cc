#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "app/sweep/prune_run.h"
#include "base/error.h"
#include "base/files.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/preset_measure.h"
#include "cli/progress.h"
#include "cli/table.h"

namespace sentinel::cli {
namespace {

struct Arguments {
  ModelArguments model;
  PruneRunOptions run;
  std::string recover, protect_first, calibration, text, out, plan, stats, save_stats, dtype;
  bool no_bench = false;
};

bool parse_switch(const std::string& option, const std::string& value) {
  if (value == "on") return true;
  if (value == "off") return false;
  throw usage_error("--{} {}: give on or off", option, printable(value));
}

void show(const PruneProgress& now, StageProgress& progress) {
  progress.show(now.stage, now.total > 1 ? fmt::format(" {}/{}", now.done, now.total) : "");
}

std::string widths(const std::vector<int>& values) {
  return fmt::format("{}", fmt::join(values, " "));
}

struct LayerWidths {
  std::vector<int> heads, neurons;
};

LayerWidths planned_widths(const PruneRunResult& r) {
  LayerWidths out{r.before.heads_per_layer, r.before.ffn_per_layer};
  for (size_t l = 0; l < r.plan.layers.size(); ++l) {
    out.heads[l] -= static_cast<int>(r.plan.layers[l].heads.size());
    out.neurons[l] -= static_cast<int>(r.plan.layers[l].neurons.size());
  }
  return out;
}

// Asked for and measured: the search stops by a time model, the outcome is what counts.
std::string speedup_text(const PruneRunResult& r, double asked) {
  const std::string out = fmt::format("decode speed-up  {:.2f} asked for, ", asked);
  const auto measured = measured_speedup(r);
  if (!measured) return out + "not measured\n";
  return out + fmt::format("{:.2f} measured{}\n", *measured, *measured < asked ? ": missed" : "");
}

// A refit by small ridges has large weights of opposite signs, which few bits do not bear.
const char* ridge_hint(const PruneRunResult& r) {
  constexpr double kBearsFourBits = 0.01;
  const bool small = r.plan.recover == "refit" && r.plan.min_ridge < kBearsFourBits;
  return small ? "; --min_ridge 0.01 may keep it" : "";
}

void print_levels(const PruneRunResult& r) {
  for (const LevelWeights& level : r.levels) {
    fmt::print("level {}          {}, perplexity {:+.2f} %", level.level, to_string(level.type),
               level.growth_percent);
    if (level.growth_percent > promised_growth_percent(level.level)) {
      fmt::print(", beyond its promise of {} %", promised_growth_percent(level.level));
    }
    if (level.type == level_preset(level.level).weights) {
      fmt::print("\n");
    } else {
      fmt::print(" (its own {}: {:+.2f} %, {}{})\n", to_string(level_preset(level.level).weights),
                 level.preset_growth_percent, why_widened(level), ridge_hint(r));
    }
  }
}

void print_result(const PruneRunResult& r, const Arguments& a) {
  const PruneSide &b = r.before, &n = r.after;
  std::vector<std::vector<std::string>> rows = {{"", "before", "after", "ratio"}};
  const auto add = [&](const char* name, double before, double after, const char* format) {
    rows.push_back({name, fmt::format(fmt::runtime(format), before),
                    r.dry_run ? "-" : fmt::format(fmt::runtime(format), after),
                    r.dry_run || before == 0 ? "-" : fmt::format("{:.3f}", after / before)});
  };
  add("parameters", double(b.parameters), double(n.parameters), "{:.0f}");
  add("weight bytes", double(b.weight_bytes), double(n.weight_bytes), "{:.0f}");
  add("bytes per token", double(b.bytes_per_token), double(n.bytes_per_token), "{:.0f}");
  if (b.decode_tokens_per_second) {
    add("decode tokens/s", *b.decode_tokens_per_second, n.decode_tokens_per_second.value_or(0),
        "{:.1f}");
    add("prefill tokens/s", b.prefill_tokens_per_second.value_or(0),
        n.prefill_tokens_per_second.value_or(0), "{:.1f}");
  }
  add("perplexity", b.perplexity, n.perplexity, "{:.4f}");
  if (n.perplexity_protected) {
    add("  first protected", b.perplexity, *n.perplexity_protected, "{:.4f}");
  }
  fmt::print("{}", format_table(rows));
  const LayerWidths planned = planned_widths(r);
  fmt::print("heads per layer  {}\n", widths(r.dry_run ? planned.heads : n.heads_per_layer));
  fmt::print("ffn per layer    {}\n", widths(r.dry_run ? planned.neurons : n.ffn_per_layer));
  fmt::print("removed          {} heads, {} neurons (strategy {}, recover {})\n",
             r.plan.heads_removed(), r.plan.neurons_removed(), r.plan.strategy, r.plan.recover);
  if (r.target_speedup) fmt::print("{}", speedup_text(r, *r.target_speedup));
  if (r.padded && !r.dry_run) {
    fmt::print(
        "written          with zeros in their place, {} parameters: sizes and speeds above are "
        "those without\n",
        r.before.parameters);
  }
  if (r.divergence) {
    fmt::print("KL(before||after) {:.5f} nats per token, top-1 agreement {:.2f} %\n",
               r.divergence->kl_mean, r.divergence->top1_agreement * 100);
  }
  print_levels(r);
  fmt::print("scored           {} tokens of {}, window {}, sha256 {}\n", r.tokens_scored,
             a.run.text.string(), r.window, r.text_sha256);
  for (const IntegrationFitSet& set : r.integration) {
    fmt::print("points {:<9} held-out loss {:.4f} -> {:.4f}, {} of {} layers kept\n", set.name,
               set.loss_before, set.loss_after, set.layers_kept, set.layers);
  }
  fmt::print("took             {:.1f} s, {:.1f} of them to prune; peak memory {:.0f} MB\n",
             r.seconds, r.pruning_seconds, r.peak_rss_mb);
  if (!r.dry_run) fmt::print("written          {}\n", a.out);
}

int run_command(Arguments a, const RunContext& context) {
  PruneRunOptions& o = a.run;
  o.model = model_options(a.model);
  if (!a.recover.empty()) o.recover = parse_recover(a.recover);
  if (!a.protect_first.empty()) o.protect_first = parse_switch("protect_first", a.protect_first);
  o.dtype = parse_dtype(a.dtype);
  o.calibration =
      a.calibration.empty() ? bundled_file("texts/calibration.txt").string() : a.calibration;
  o.text = a.text.empty() ? bundled_file("texts/validation.txt").string() : a.text;
  o.out = a.out;
  o.plan = a.plan;
  o.stats = a.stats;
  o.save_stats = a.save_stats;
  o.bench = !a.no_bench;
  o.cancel = context.interrupted;
  o.checkpoint = open_checkpoint(a.model.model);
  StageProgress line;
  const PruneRunResult result = run_prune(o, [&](const PruneProgress& now) { show(now, line); });
  line.clear();
  warn_of_few(result.tokens_scored);
  if (result.same_text) {
    say("warning: the perplexity was measured on the calibration text itself; give "
        "another one with --text\n");
  }
  context.emit(to_json(result));
  if (!context.json) print_result(result, a);
  return kExitOk;
}

void add_amounts(CLI::App& command, Arguments& a) {
  PruneOptions& p = a.run.prune;
  add_option(command, "heads", p.heads, "percentage of the heads to remove")->type_name("P");
  add_option(command, "ffn", p.ffn, "percentage of the feed-forward neurons to remove")
      ->type_name("Q");
  add_option(command, "target_params", a.run.target_params, "remove until this few parameters")
      ->type_name("N");
  add_option(command, "target_speedup", a.run.target_speedup,
             "remove until decoding should be this many times as fast")
      ->type_name("X");
  add_option(command, "max_perplexity_increase", a.run.max_perplexity_increase,
             "remove while perplexity grows by no more than this percentage")
      ->type_name("PERCENT");
  add_option(command, "plan", a.plan, "replay this plan instead")->type_name("FILE");
}

void add_method(CLI::App& command, Arguments& a) {
  PruneOptions& p = a.run.prune;
  add_option(command, "strategy", p.strategy, "random, magnitude, entropy, output, ablation or obs")
      ->type_name("NAME")
      ->capture_default_str();
  add_option(command, "ffn_strategy", p.ffn_strategy,
             "for neurons: random, magnitude, output or obs (default: as --strategy, else obs)")
      ->type_name("NAME");
  add_option(command, "recover", a.recover,
             "none, bias or refit (default: as in the plan, else refit)")
      ->type_name("NAME");
  add_option(command, "min_ridge", a.run.min_ridge,
             "smallest ridge of a refit; 0.01 makes weights that bear 4 bits (see "
             "docs/quantisation.md; default: as in the plan, else 0.0001)")
      ->type_name("R");
  add_option(command, "round_to", p.round_to, "neurons of a layer go in multiples of this")
      ->capture_default_str();
  add_option(command, "protect_first", a.protect_first,
             "on: position 0 will be computed by the whole model (see docs/pruning.md; default: "
             "as in the plan, else off)")
      ->type_name("on|off");
  add_option(command, "calibration", a.calibration,
             "text to calibrate on; - for standard input (default: texts/calibration.txt)")
      ->type_name("FILE");
  add_option(command, "calibration_tokens", p.calibration_tokens, "at most, from its start")
      ->capture_default_str();
  add_option(command, "window", p.window, "tokens per calibration window (default: the context)");
  add_option(command, "search_tokens", p.search_tokens,
             "tokens that obs and ablation measure losses on (default: by the model's size)");
  add_option(command, "seed", p.seed, "of strategy random")->capture_default_str();
  add_option(command, "stats", a.stats, "use these calibration statistics")->type_name("FOLDER");
  add_option(command, "save_stats", a.save_stats, "keep the calibration statistics")
      ->type_name("FOLDER");
}

// A copy of the model is hardly what was meant. "--heads 0" says that it is.
void refuse_no_change(const CLI::App& command) {
  for (const char* option :
       {"--heads", "--ffn", "--target_params", "--target_speedup", "--max_perplexity_increase",
        "--plan", "--padded", "--dtype", "--fit_integration", "--save_stats"}) {
    if (command.count(option) > 0) return;
  }
  throw usage_error(
      "nothing to remove was named; give --heads, --ffn, a target (--target_params, "
      "--target_speedup, --max_perplexity_increase) or a --plan");
}

// What goes, and in which order, is the plan's to say.
void refuse_beside_plan(const CLI::App& command) {
  if (command.count("--plan") == 0) return;
  for (const char* option :
       {"--heads", "--ffn", "--strategy", "--ffn_strategy", "--round_to", "--seed"}) {
    if (command.count(option) == 0) continue;
    throw usage_error("{}: --plan says what is removed; leave one of them out", option);
  }
}

}  // namespace

Runner setup_prune(CLI::App& command) {
  auto a = std::make_shared<Arguments>();
  add_model_options(command, a->model);
  add_amounts(command, *a);
  add_method(command, *a);
  add_option(command, "out", a->out, "folder to make")->type_name("FOLDER");
  add_flag(command, "padded", a->run.padded,
           "write the unpruned shape with zeros, for tools that need it");
  add_option(command, "dtype", a->dtype,
             "f32, f16, bf16 or int8 (see docs/quantisation.md; default: as the source)");
  add_flag(command, "fit_integration", a->run.fit_integration,
           "also fit skips and baseline mixing, for --unet and --baseline_integration mix");
  add_flag(command, "dry_run", a->run.dry_run, "only plan: write nothing");
  add_option(command, "text", a->text,
             "text to measure quality on; - for standard input (default: texts/validation.txt)")
      ->type_name("FILE");
  add_option(command, "max_eval_windows", a->run.max_eval_windows, "of that text; 0: all")
      ->capture_default_str();
  add_flag(command, "no_bench", a->no_bench, "do not measure speed");
  return [a, &command](const RunContext& context) {
    refuse_no_change(command);
    refuse_beside_plan(command);
    return run_command(*a, context);
  };
}

}  // namespace sentinel::cli
