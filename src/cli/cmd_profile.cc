// sentinel profile
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "app/report/profile_json.h"
#include "app/report/profile_tables.h"
#include "app/sweep/operation_profile.h"
#include "app/sweep/profile_run.h"
#include "app/sweep/throughput.h"
#include "base/error.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/progress.h"

namespace sentinel::cli {
namespace {

struct ProfileArguments {
  ModelArguments model;
  ProfileOptions options;
  std::string compare_models = join_names(options.compare_models);
  std::string resume;
};

void add_measurement_options(CLI::App& command, ProfileArguments& arguments) {
  ProfileOptions& options = arguments.options;
  add_option(command, "specific_model_size", options.specific_model_size,
             "small, medium, large or xl: gpt2 of that size, from the hub cache");
  add_option(command, "device", options.device, "cpu")->capture_default_str();
  add_option(command, "pruning_levels", options.pruning_levels, "percentages of all heads")
      ->capture_default_str();
  add_option(command, "strategy", options.strategy,
             "which heads go first: random, magnitude, entropy, output, ablation or obs")
      ->capture_default_str();
  add_option(command, "recover", options.recover,
             "what the heads that are left are refitted with: none, bias or refit")
      ->capture_default_str();
  add_option(command, "sequence_length", options.sequence_length,
             "prompt tokens: prompts are cut or continued with real text; 0: as they are")
      ->capture_default_str();
  add_option(command, "generated_tokens", options.generated_tokens, "new tokens per sequence")
      ->capture_default_str();
  add_option(command, "batch_size", options.batch_size, "sequences at a time")
      ->capture_default_str();
  add_option(command, "iterations", options.iterations, "timed generations per cell")
      ->capture_default_str();
  add_option(command, "warmup", options.warmup, "untimed generations per cell before them")
      ->capture_default_str();
  add_option(command, "temperature", options.temperature, "of sampling; 0: greedy")
      ->capture_default_str();
  add_option(command, "seed", options.seed, "of sampling and of strategy random")
      ->capture_default_str();
  add_option(command, "max_footprint_mb", options.max_footprint_mb,
             "largest working set of the bandwidth measurement, 2^20 bytes; 0: not measured")
      ->capture_default_str();
  add_option(command, "profile_mode", options.profile_mode,
             "basic, detailed, component, memory, throughput or all: which tests run")
      ->capture_default_str();
  add_flag(command, "test_integration_points", options.test_integration_points,
           "also measure baseline mixing and U-Net skips, fitted, at 0 and 50 % pruning");
  add_flag(command, "disable_baseline", options.disable_baseline,
           "leave baseline mixing out of that test (every other test runs without it)");
  add_flag(command, "disable_unet", options.disable_unet, "leave U-Net skips out of it");
  add_flag(command, "test_all_optimization_levels", options.test_all_optimization_levels,
           "also measure levels 0 to 3 at 30 % pruning");
  add_flag(command, "memory_profile", options.memory_profile,
           "record resident memory before warm-up, after each generation and by stage");
  add_flag(command, "cpu_specific_optimizations", options.cpu_specific_optimizations,
           "also measure every instruction set that this CPU has");
  add_flag(command, "multi_model_comparison", options.multi_model_comparison,
           "also measure the models of --compare_models");
  add_option(command, "compare_models", arguments.compare_models, "at least two, comma-separated")
      ->capture_default_str();
  add_option(command, "model_family", options.model_family,
             "label in the multi-model comparison: gpt2, bloom, opt, pythia or llama (default: the "
             "checkpoint's own)")
      ->check(CLI::IsMember({"gpt2", "bloom", "opt", "pythia", "llama"}));
}

void add_file_options(CLI::App& command, ProfileOptions& options) {
  add_option(command, "output_dir", options.output_dir, "parent of the run's folder")
      ->type_name("FOLDER")
      ->capture_default_str();
  add_option(command, "output_prefix", options.output_prefix,
             "in front of the result file's name, followed by _");
  add_option(command, "custom_prompts", options.custom_prompts,
             "file with one prompt per line (default: built-in ones)")
      ->type_name("FILE");
  add_option(command, "text", options.text,
             "text to measure quality on (default: texts/validation.txt)")
      ->type_name("FILE");
  add_option(command, "calibration", options.calibration,
             "text that strategies, --recover and integration points fit to (default: "
             "texts/calibration.txt)")
      ->type_name("FILE");
  add_flag(command, "visualize", options.visualize, "draw charts into the run's folder");
  add_flag(command, "trace_export", options.trace_export,
           "record single operations; traces for Perfetto or chrome://tracing");
  add_flag(command, "export_csv", options.export_csv, "write tables into the run's folder");
  add_flag(command, "save_generated_text", options.save_generated_text,
           "keep the text of the levels and throughput tests too");
  add_flag(command, "compare_with_previous", options.compare_with_previous,
           "print the change since the last run of this model in --output_dir");
  add_option(command, "max_eval_windows", options.max_eval_windows,
             "windows of the text that quality is measured on; 0: all")
      ->capture_default_str();
}

void show(const ProfileProgress& now, StageProgress& progress) {
  if (!now.notice.empty()) {
    progress.clear();
    say(now.notice + "\n");
    return;
  }
  if (now.checking && !progress.live()) return;
  std::string details;
  if (now.total > 0) details += fmt::format(" {}/{}", now.done + 1, now.total);
  if (!now.detail.empty()) details += ": " + now.detail;
  progress.show(now.stage, details);
}

// A resumed run has its settings already: others would be ignored.
void check_alone(const CLI::App& command) {
  for (const CLI::Option* option : command.get_options()) {
    const std::string name = option->get_single_name();
    if (option->count() == 0 || name == "resume" || name == "json") continue;
    throw usage_error("--resume takes every setting from the run; leave out --{}", name);
  }
}

// Old command lines give them all; so this is a remark, no error.
void remark_idle(const CLI::App& command, const ProfileOptions& options) {
  struct Pair {
    const char *option, *test;
  };
  constexpr Pair kPairs[] = {{"--compare_models", "--multi_model_comparison"},
                             {"--model_family", "--multi_model_comparison"},
                             {"--disable_baseline", "--test_integration_points"},
                             {"--disable_unet", "--test_integration_points"}};
  for (const auto& [option, test] : kPairs) {
    if (command.count(option) == 0 || command.count(test) > 0) continue;
    say(fmt::format("{} has no effect without {}\n", option, test));
  }
  const bool calibrated =
      ranks_by_calibration(options) || recovers(options) || fits_points(options);
  if (command.count("--calibration") > 0 && !calibrated) {
    say("--calibration has no effect without a --strategy that calibrates, --recover or "
        "--test_integration_points\n");
  }
  if (command.count("--pruning_levels") > 0 && !tests_pruning(options)) {
    const bool components = options.profile_mode == "component";
    say(fmt::format(
        "--pruning_levels has no effect with --profile_mode {}, which leaves out {} %\n",
        options.profile_mode, components ? kComponentPruning : kThroughputPruning));
  }
}

// "a, b" -> {"a", "b"}
std::vector<std::string> parse_compare_models(const std::string& text) {
  std::vector<std::string> models = split_names(text);
  for (std::string& model : models) {
    model.erase(0, model.find_first_not_of(" \t"));
    model.erase(model.find_last_not_of(" \t") + 1);
  }
  return models;
}

int run_command(const RunContext& context, ProfileArguments& arguments) {
  ProfileOptions options = arguments.options;
  options.model_name = arguments.model.model;
  options.model_options = model_options(arguments.model);
  options.compare_models = parse_compare_models(arguments.compare_models);
  StageProgress line;
  const ProfileCallback progress = [&](const ProfileProgress& now) { show(now, line); };
  const ProfileResult result =
      arguments.resume.empty() ? run_profile(options, progress, context.interrupted)
                               : resume_profile(arguments.resume, progress, context.interrupted);
  line.clear();
  context.emit(to_json(result));
  if (!context.json) std::fputs(console_report(result).c_str(), stdout);
  return result.interrupted ? kExitInterrupted : kExitOk;
}

}  // namespace

Runner setup_profile(CLI::App& command) {
  const auto arguments = std::make_shared<ProfileArguments>();
  add_model_options(command, arguments->model);
  add_measurement_options(command, *arguments);
  add_file_options(command, arguments->options);
  add_option(command, "resume", arguments->resume,
             "folder of an interrupted run: measures what it lacks, with the run's own settings")
      ->type_name("FOLDER");
  return [arguments, &command](const RunContext& context) {
    if (!arguments->resume.empty()) check_alone(command);
    remark_idle(command, arguments->options);
    return run_command(context, *arguments);
  };
}

}  // namespace sentinel::cli
