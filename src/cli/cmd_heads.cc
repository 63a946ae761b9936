#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/eval/eval.h"
#include "app/prune/calibration.h"
#include "app/prune/head_report.h"
#include "app/report/chart_files.h"
#include "base/error.h"
#include "base/files.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/preset_measure.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "kernels/registry.h"

namespace sentinel::cli {
namespace {

// Scores come from the weights as they are stored, by vector code and threads.
constexpr int kScoresLevel = 1;
constexpr WeightType kScoresWeights = WeightType::f32;

struct Arguments {
  ModelArguments model;
  std::string text, heatmap;
  AgencyArguments agency;
  std::string save_preset, preset_name = "unnamed";
  bool unmeasured = false;
  int max_windows = 8;
  uint64_t seed = 0;
};

void print_report(const HeadReport& report) {
  std::vector<std::vector<std::string>> rows = {{"layer", "head"}};
  for (const auto& score : report.scores) rows[0].push_back(score.strategy);
  rows[0].insert(rows[0].end(), {"H (nats)", "utilisation"});
  for (size_t l = 0; l < report.entropy.size(); ++l) {
    for (size_t h = 0; h < report.entropy[l].size(); ++h) {
      std::vector<std::string> row = {std::to_string(l), std::to_string(h)};
      for (const auto& score : report.scores) {
        row.push_back(fmt::format("{:.5f}", score.scores[l][h]));
      }
      row.push_back(fmt::format("{:.3f}", report.entropy[l][h]));
      row.push_back(fmt::format("{:.3f}", report.utilization[l][h]));
      rows.push_back(std::move(row));
    }
  }
  fmt::print("{}\nThe lowest score is removed first. Measured on {} tokens.\n", format_table(rows),
             report.tokens);
  for (const auto& score : report.scores) {
    fmt::print("{:<10} {}\n", score.strategy, score.definition);
  }
}

void write_heatmap(const HeadReport& report, const std::string& model, const std::string& path) {
  const std::string svg = heatmap_svg(report, "Heads of " + model);
  write_file_atomic(path, path.ends_with(".png") ? svg_to_png(svg) : svg);
}

// Instead of scores: the heads as the arguments set them, with what they were measured to do.
int run_save_preset(const Arguments& a, const RunContext& context) {
  const OpenedModel opened = open_model(a.model, a.agency);
  Model& model = *opened.model;
  Preset preset = preset_of(model.heads(), a.preset_name);
  if (!a.unmeasured) {
    const EvalText text = load_eval_text(a.text, *opened.tokenizer, false, context.interrupted);
    EvalOptions options;
    options.max_windows = a.max_windows;
    options.cancel = context.interrupted;
    const EvalResult result = evaluate(model, text.tokens, options);
    if (result.interrupted) throw Error(ErrorKind::interrupted, "interrupted");
    warn_of_few(result.tokens_scored);
    PresetMeasurement measured = preset_measurement(model.info(), result, a.text, text);
    if (model.info().head_means) {
      measured.perplexity_without_head_means =
          perplexity_without_means(a.model, a.agency, nullptr, text, options);
      if (!measured.perplexity_without_head_means) {
        throw Error(ErrorKind::interrupted, "interrupted");
      }
    }
    measured.decode_tokens_per_second = decode_tokens_per_second(model, text, context.interrupted);
    preset.measured = measured;
  }
  save_preset(a.save_preset, preset);
  context.emit({{"preset", to_json(preset)}, {"file", a.save_preset}});
  if (context.json) return kExitOk;
  fmt::print("{}: {} heads that are not simply active", printable(a.save_preset),
             preset.heads.size());
  if (const auto& m = preset.measured) {
    fmt::print("; perplexity {:.3f} on {} tokens, {:.0f} tokens/s", m->perplexity, m->tokens_scored,
               *m->decode_tokens_per_second);
    if (m->perplexity_without_head_means) {
      fmt::print("; without head means {:.3f}", *m->perplexity_without_head_means);
    }
  }
  fmt::print("\n");
  return kExitOk;
}

void check_preset_arguments(const Arguments& a) {
  const bool chosen =
      !a.agency.close_heads.empty() || !a.agency.preset.empty() || !a.agency.head_means.empty();
  if (a.save_preset.empty() && (chosen || a.unmeasured)) {
    throw usage_error(
        "--close_heads, --preset, --head_means and --unmeasured belong to --save_preset FILE; "
        "scores are those of open heads");
  }
  const ModelArguments& m = a.model;
  if (a.save_preset.empty() && (m.level || m.weights || m.lm_head || m.kv || m.agency)) {
    say("sentinel heads: scores are computed in f32: --level, --weights, --lm_head, --kv and "
        "--agency have no effect without --save_preset\n");
  }
  if (!a.save_preset.empty() && !a.heatmap.empty()) {
    throw usage_error("--heatmap shows scores, which --save_preset does not compute; run it apart");
  }
}

int run_heads(Arguments a, const RunContext& context) {
  check_preset_arguments(a);
  if (!a.heatmap.empty() && !a.heatmap.ends_with(".svg") && !a.heatmap.ends_with(".png")) {
    throw usage_error("--heatmap {}: name a .svg or .png file", printable(a.heatmap));
  }
  if (a.heatmap.ends_with(".png") && !can_write(ChartFormat::png)) {
    throw usage_error(
        "--heatmap {}: rsvg-convert does not run here; name a .svg file, or install Debian's "
        "librsvg2-bin",
        printable(a.heatmap));
  }
  check_output_file(a.heatmap, "--heatmap");
  check_output_file(a.save_preset, "--save_preset");
  if (a.max_windows < 0) {
    throw usage_error("--max_windows: {} is negative; give 0 for all", a.max_windows);
  }
  if (a.text.empty()) a.text = bundled_file("texts/calibration.txt").string();
  if (!a.save_preset.empty()) return run_save_preset(a, context);
  a.model.level = kScoresLevel;                         // not the environment's, either
  const ModelOptions options = model_options(a.model);  // cheap errors before slow loading
  const auto checkpoint = open_checkpoint(a.model.model);
  const auto tokenizer = Tokenizer::load(checkpoint->folder());
  const EvalText text = load_eval_text(a.text, *tokenizer, false, context.interrupted);
  if (text.tokens.size() < kMinCalibrationTokens) {
    say(fmt::format("sentinel heads: {} tokens: scores of fewer than {} say next to nothing\n",
                    text.tokens.size(), kMinCalibrationTokens));
  }
  const auto limit = a.max_windows > 0
                         ? static_cast<size_t>(a.max_windows) *
                               static_cast<size_t>(checkpoint->config().context_length)
                         : text.tokens.size();
  ThreadPool pool(ThreadPool::count_for(options.threads));
  SublayerRunner runner(select_kernels(detect_cpu_features(), options.isa), pool);
  RankingInput input;
  input.checkpoint = checkpoint;
  input.runner = &runner;
  input.calibration = std::span(text.tokens).first(std::min(limit, text.tokens.size()));
  input.seed = a.seed;
  input.cancel = context.interrupted;
  Progress progress;
  const HeadReport report =
      report_heads(input, [&](const std::string& stage) { progress.update(stage); });
  progress.clear();
  nlohmann::json document = to_json(report);
  document["level"] = kScoresLevel;
  document["threads"] = pool.size();
  document["isa"] = runner.kernels().isa;
  document["weights"] = to_string(kScoresWeights);
  document["text"] = a.text;
  document["text_sha256"] = text.sha256;
  document["model"] = checkpoint->origin();
  context.emit(document);
  if (!context.json) print_report(report);
  if (!a.heatmap.empty()) write_heatmap(report, checkpoint->origin(), a.heatmap);
  if (report.interrupted) say("sentinel heads: interrupted; the last scores are missing\n");
  return report.interrupted ? kExitInterrupted : kExitOk;
}

}  // namespace

Runner setup_heads(CLI::App& command) {
  auto a = std::make_shared<Arguments>();
  add_model_options(command, a->model);
  for (const char* name : {"--level", "--weights", "--lm_head", "--kv", "--agency"}) {
    CLI::Option* option = command.get_option(name);
    option->description("with --save_preset: " + option->get_description());
  }
  add_option(command, "text", a->text,
             "UTF-8 text to measure on; - for standard input (default: texts/calibration.txt)")
      ->type_name("FILE");
  add_option(command, "max_windows", a->max_windows, "of that text, from its start; 0: all")
      ->type_name("N")
      ->capture_default_str();
  add_option(command, "seed", a->seed, "of the score random")->capture_default_str();
  add_agency_options(command, a->agency);
  CLI::Option* save_preset =
      add_option(command, "save_preset", a->save_preset,
                 "instead of scores: write the heads as set, with perplexity and speed, to a file")
          ->type_name("FILE");
  add_option(command, "preset_name", a->preset_name, "its name")
      ->type_name("NAME")
      ->needs(save_preset);
  add_flag(command, "unmeasured", a->unmeasured, "... that says nothing of what it does");
  add_option(command, "heatmap", a->heatmap, "draw a heat map: .svg, or .png")->type_name("FILE");
  return [a](const RunContext& context) { return run_heads(*a, context); };
}

}  // namespace sentinel::cli
