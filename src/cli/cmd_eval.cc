#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/level.h"
#include "app/eval/eval.h"
#include "base/error.h"
#include "base/files.h"
#include "base/json_numbers.h"
#include "cli/agency_arguments.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/preset_measure.h"
#include "cli/progress.h"
#include "cli/verify_arguments.h"
#include "model/model_json.h"

namespace sentinel::cli {
namespace {

struct Arguments {
  ModelArguments model;
  std::string text;
  std::string against;
  int against_level = 1;
  EvalOptions eval;
  AgencyArguments agency;
  VerifyArguments points;
  std::string save_preset, preset_name = "unnamed";
  bool parse_special = false;
};

nlohmann::json to_json(const EvalResult& result, const EvalText& text, const ModelInfo& info,
                       const std::string& file) {
  nlohmann::json document = model_json(info);
  document["perplexity"] = number(result.perplexity);
  document["nll_mean"] = number(result.nll_mean);
  document["bits_per_byte"] =
      result.bits_per_byte ? number(*result.bits_per_byte) : nlohmann::json(nullptr);
  document["tokens_scored"] = result.tokens_scored;
  document["bytes_scored"] = result.bytes_scored;
  document["window"] = result.window;
  document["windows"] = result.windows;
  document["window_nll"] = result.window_nll;
  document["text"] = file;
  document["text_sha256"] = text.sha256;
  document["seconds"] = result.seconds;
  document["interrupted"] = result.interrupted;
  if (result.divergence) {
    const Divergence& d = *result.divergence;
    document["kl_mean"] = d.kl_mean;
    document["kl_p50"] = d.kl_p50;
    document["kl_p99"] = d.kl_p99;
    document["top1_agreement"] = d.top1_agreement;
    document["perplexity_base"] = d.perplexity_base;
  }
  return document;
}

void print_result(const EvalResult& result, const EvalText& text, const std::string& file) {
  fmt::print("perplexity       {:.4f}  (nll {:.5f} nats per token)\n", result.perplexity,
             result.nll_mean);
  if (result.bits_per_byte) fmt::print("bits per byte    {:.5f}\n", *result.bits_per_byte);
  fmt::print("tokens scored    {}  in {} windows of {}{}\n", result.tokens_scored, result.windows,
             result.window, result.interrupted ? "  (interrupted)" : "");
  fmt::print("text             {}  sha256 {}\n", text_name(file), text.sha256);
  if (result.divergence) {
    const Divergence& d = *result.divergence;
    fmt::print("perplexity base  {:.4f}\n", d.perplexity_base);
    fmt::print("KL(base||model)  mean {:.6f}  p50 {:.6f}  p99 {:.6f} nats per token\n", d.kl_mean,
               d.kl_p50, d.kl_p99);
    fmt::print("top-1 agreement  {:.2f} %\n", d.top1_agreement * 100);
  }
  const double speed =
      result.seconds > 0 ? static_cast<double>(result.tokens_scored) / result.seconds : 0;
  say(fmt::format("{:.1f} s, {:.0f} tokens/s\n", result.seconds, speed));
}

// The base at full precision, whatever the model runs at.
std::unique_ptr<Model> open_base(const Arguments& arguments) {
  ModelArguments base;
  base.model = arguments.against;
  base.level = arguments.against_level;
  base.threads = arguments.model.threads;
  base.isa = arguments.model.isa;
  const ModelOptions options = model_options(base);
  return Model::create(open_checkpoint(base.model), options);
}

void save_measured(const Arguments& arguments, const Model& model, const EvalResult& result,
                   const EvalText& text, std::optional<double> without_means) {
  Preset preset = preset_of(model.heads(), arguments.preset_name);
  preset.measured = preset_measurement(model.info(), result, arguments.text, text);
  preset.measured->perplexity_without_head_means = without_means;
  save_preset(arguments.save_preset, preset);
}

int run_eval(Arguments arguments, const RunContext& context) {
  check_output_file(arguments.save_preset, "--save_preset");
  choose_optimization_level(arguments.against_level, "--against_level");  // before slow loading
  if (arguments.text.empty()) arguments.text = bundled_file("texts/validation.txt").string();
  ModelOptions model_choice = model_options(arguments.model);
  if (wants_verify(arguments.points)) {
    throw usage_error("--baseline_integration verify: its text is the baseline's; evaluate that");
  }
  auto checkpoint = apply_points(arguments.points, arguments.model.model, model_choice);
  const OpenedModel opened =
      open_model(arguments.model, arguments.agency, &model_choice, std::move(checkpoint));
  const EvalText text = load_eval_text(arguments.text, *opened.tokenizer, arguments.parse_special,
                                       context.interrupted);
  EvalOptions options = arguments.eval;
  options.tokenizer = opened.tokenizer.get();
  options.cancel = context.interrupted;
  Progress progress;
  const EvalCallback show = [&](const EvalProgress& p) {
    progress.update(
        fmt::format("window {}/{}  perplexity {:.3f}", p.windows_done, p.windows, p.perplexity));
  };
  std::unique_ptr<Model> base_model;
  std::optional<BaseLogits> base;
  if (!arguments.against.empty()) {
    base_model = open_base(arguments);
    base.emplace(*base_model, text.tokens, options, 0);  // 0: side by side, block by block
  }
  EvalResult result = evaluate(*opened.model, text.tokens, options, base ? &*base : nullptr, show);
  progress.clear();
  if (result.tokens_scored == 0) {
    throw Error(ErrorKind::interrupted, "interrupted before the first window was scored");
  }
  warn_of_few(result.tokens_scored);
  nlohmann::json document = to_json(result, text, opened.model->info(), arguments.text);
  document["baseline_integration"] = arguments.points.integration;
  document["unet"] = arguments.points.unet;
  if (base_model) document["level_base"] = base_model->info().level;
  std::optional<double> plain;
  if (!arguments.agency.head_means.empty() && !result.interrupted) {
    plain =
        perplexity_without_means(arguments.model, arguments.agency, &model_choice, text, options);
    result.interrupted = !plain;  // what was measured before is kept
    document["interrupted"] = result.interrupted;
    document["perplexity_without_head_means"] = plain ? number(*plain) : nlohmann::json(nullptr);
    if (plain && !context.json) fmt::print("without means    {:.4f}\n", *plain);
  }
  if (!arguments.save_preset.empty() && !result.interrupted) {
    save_measured(arguments, *opened.model, result, text, plain);
  }
  context.emit(document);
  if (!context.json) print_result(result, text, arguments.text);
  return result.interrupted ? kExitInterrupted : kExitOk;
}

}  // namespace

Runner setup_eval(CLI::App& command) {
  auto a = std::make_shared<Arguments>();
  add_model_options(command, a->model);
  add_option(command, "text", a->text,
             "UTF-8 text to score; - for standard input (default: the bundled validation text)")
      ->type_name("FILE");
  CLI::Option* against =
      add_option(command, "against", a->against, "base model: also KL divergence and agreement")
          ->type_name("MODEL");
  add_option(command, "against_level", a->against_level, "optimisation level of the base")
      ->type_name("N")
      ->capture_default_str()
      ->needs(against);
  add_option(command, "window", a->eval.window, "tokens per window (default: the model's context)")
      ->type_name("N");
  add_option(command, "max_windows", a->eval.max_windows,
             "stop after N windows; 0: all (default: all)")
      ->type_name("N");
  add_flag(command, "parse_special", a->parse_special,
           "the text of a special token, such as <|endoftext|>, is that token");
  add_agency_options(command, a->agency);
  add_point_options(command, a->points);
  CLI::Option* save_preset =
      add_option(command, "save_preset", a->save_preset,
                 "write the head states, and what this run measured with them, to a preset file")
          ->type_name("FILE");
  add_option(command, "preset_name", a->preset_name, "its name")
      ->type_name("NAME")
      ->needs(save_preset);
  return [a](const RunContext& context) { return run_eval(*a, context); };
}

}  // namespace sentinel::cli
