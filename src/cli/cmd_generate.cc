#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>

#include "app/controller/journal.h"
#include "app/generate/generate_text.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "cli/agency_arguments.h"
#include "cli/commands.h"
#include "cli/controller_arguments.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/verify_arguments.h"
#include "model/agency/report.h"
#include "model/model_json.h"

namespace sentinel::cli {
namespace {

struct Arguments {
  ModelArguments model;
  std::optional<std::string> prompt;
  std::string prompt_file;
  GenerateOptions generate;
  std::optional<uint64_t> seed;
  AgencyArguments agency;
  std::string agency_script;
  ControllerArguments controller;
  VerifyArguments verify;
  bool performance_stats = false;

  // Whether the reader of the text will want to know what became of the heads.
  bool asks_for_heads() const {
    return !agency_script.empty() || !agency.preset.empty() || model.agency == "auto" ||
           controller.asked() || performance_stats;
  }
};

std::string prompt_text(const Arguments& arguments, const std::atomic<bool>* interrupted) {
  if (arguments.prompt) return *arguments.prompt;
  if (!arguments.prompt_file.empty()) return read_text(arguments.prompt_file, interrupted);
  throw usage_error("give a prompt with --prompt TEXT or --prompt_file FILE (\"-\" for stdin)");
}

nlohmann::json to_json(const Generation& result, const std::vector<int32_t>& prompt,
                       const ModelInfo& info, uint64_t seed) {
  nlohmann::json document = model_json(info);
  document["prompt_tokens"] = prompt;
  document["tokens"] = result.tokens;
  document["text"] = result.text;
  document["stop_reason"] = to_string(result.stop_reason);
  document["tokenize_ms"] = result.timings.tokenize_ms;
  document["first_token_ms"] = result.timings.first_token_ms;
  document["sampling_ms"] = result.timings.sampling_ms;
  document["step_ns"] = result.timings.step_ns;
  const auto measured = [](double speed) {
    return speed > 0 ? nlohmann::json(speed) : nlohmann::json(nullptr);
  };
  document["prefill_tokens_per_second"] = measured(result.timings.prefill_tokens_per_second());
  document["decode_tokens_per_second"] = measured(result.timings.decode_tokens_per_second());
  document["seed"] = seed;
  return document;
}

// What generates: the model, and with verify the baseline that decides.
struct Engine {
  OpenedModel opened;
  std::unique_ptr<Model> baseline;  // null: the model alone
  double load_ms = 0;               // reading and packing the checkpoints, and the tokeniser
  VerifyReport report;

  const ModelInfo& info() const { return baseline ? baseline->info() : opened.model->info(); }
};

Engine open_engine(const Arguments& arguments) {
  Engine engine;
  ModelOptions asked = model_options(arguments.model);
  auto checkpoint = apply_points(arguments.verify, arguments.model.model, asked);
  if (!wants_verify(arguments.verify)) {
    engine.opened = open_model(arguments.model, arguments.agency, &asked, std::move(checkpoint));
    return engine;
  }
  const VerifyModels models = verify_models(asked, draft_weights(arguments.verify));
  engine.opened =
      open_model(arguments.model, arguments.agency, &models.draft, std::move(checkpoint));
  const std::string& name = arguments.verify.baseline;
  engine.baseline = Model::create(name.empty() ? engine.opened.checkpoint : open_checkpoint(name),
                                  models.baseline);
  return engine;
}

// One new token takes no decode step: then there is nothing to say.
std::string speed_text(double tokens_per_second) {
  return tokens_per_second > 0 ? fmt::format("{:.0f} tokens/s", tokens_per_second) : "-";
}

void print_speed(const Generation& result, const Engine& engine, uint64_t seed) {
  const GenerateTimings& timings = result.timings;
  const ModelInfo& info = engine.info();
  say(fmt::format(
      "{} tokens ({}); load {:.0f} ms, first token {:.1f} ms, prefill {}, decode {}; level {}, {} "
      "threads, {}, {}{}; seed {}\n",
      result.tokens.size(), to_string(result.stop_reason), engine.load_ms, timings.first_token_ms,
      speed_text(timings.prefill_tokens_per_second()),
      speed_text(timings.decode_tokens_per_second()), info.level, info.threads, info.isa,
      to_string(info.weights),
      info.kv_return == KvReturn::hole ? ", kv_return hole (an approximation)" : "", seed));
}

Generation run_engine(Engine& engine, const Arguments& arguments, const std::string& prompt,
                      const TextCallback& show, std::vector<int32_t>& prompt_tokens) {
  Model& model = *engine.opened.model;
  const Tokenizer& tokenizer = *engine.opened.tokenizer;
  if (!engine.baseline) {
    return generate_text(model, tokenizer, prompt, arguments.generate, show, &prompt_tokens);
  }
  VerifyOptions verify = arguments.verify.verify;
  verify.ngrams = !arguments.verify.no_ngrams;
  return generate_verified(*engine.baseline, &model, tokenizer, prompt, arguments.generate, verify,
                           engine.report, show, &prompt_tokens);
}

// Shows the text on a terminal or in a pipe, which gets the new text alone.
TextCallback show_text(const std::string& prompt) {
  if (isatty(STDOUT_FILENO)) fmt::print("{}", prompt);
  return [](int32_t, std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
    return std::ferror(stdout) == 0;
  };
}

// What steers the heads while text is written.
struct Steerers {
  ScriptPlayer player;
  std::unique_ptr<Steering> controller;  // null: none was asked for
  std::optional<OperationTimer> timer;   // the same

  Steerers(std::vector<ScriptEntry> script, const Engine& engine, Arguments& arguments)
      : player(std::move(script), engine.opened.model->heads()),
        controller(open_controller(arguments.controller, engine.opened)) {
    arguments.generate.before_token = [this, cancel = arguments.generate.cancel](int token) {
      player.play(token);
      if (controller) controller->before_token(token, cancel);
    };
    if (arguments.performance_stats) {
      arguments.generate.timer = &timer.emplace(*engine.opened.model);
    }
    if (controller) {
      arguments.generate.after_step = [this](int64_t ns) { controller->after_step(ns); };
    }
  }
  Steerers(const Steerers&) = delete;
  Steerers& operator=(const Steerers&) = delete;
};

int report_run(const Generation& result, const Engine& engine, const Arguments& arguments,
               const Steerers& steerers, nlohmann::json document, const RunContext& context) {
  AgencyReport report = agency_report(engine.opened.model->heads());
  report_points(engine.opened.model->integration(), report);
  if (steerers.timer) report.performance_stats = steerers.timer->stats();
  document["load_ms"] = engine.load_ms;
  document["baseline_integration"] = arguments.verify.integration;
  document["unet"] = arguments.verify.unet;
  if (engine.baseline) {
    document["verify"] = verify_json(engine.report);
    document["draft"] = model_json(engine.opened.model->info());
  }
  document["agency_report"] = sentinel::to_json(report);
  if (!arguments.agency_script.empty()) document["agency_script"] = script_json(steerers.player);
  if (steerers.controller) {
    document["controller"] = sentinel::to_json(steerers.controller->report());
    write_journal(arguments.controller, *steerers.controller);
  }
  if (steerers.player.pending() > 0) say(steerers.player.not_reached() + "\n");
  // The text did not reach its reader, which is the caller's to say.
  if (result.stop_reason == StopReason::callback) return kExitFailed;
  if (!context.json) {
    print_speed(result, engine, document["seed"]);
    if (engine.baseline) say(verify_text(engine.report));
    if (steerers.controller) say(to_text(steerers.controller->report()));
    if (arguments.asks_for_heads()) say(to_text(report));
  }
  context.emit(document);
  return result.stop_reason == StopReason::interrupted ? kExitInterrupted : kExitOk;
}

int run_generate(Arguments arguments, const RunContext& context) {
  std::vector<ScriptEntry> script;
  if (!arguments.agency_script.empty()) script = read_script(arguments.agency_script);
  const std::string prompt = prompt_text(arguments, context.interrupted);
  // Bad options fail before the model is loaded.
  Sampler(arguments.generate.sampling, 1);
  read_controller(arguments.controller, context.interrupted);
  if (wants_verify(arguments.verify) && arguments.controller.asked()) {
    throw usage_error(
        "--controller steers the model that writes; with --baseline_integration verify that is "
        "the baseline, whose heads stay as they are");
  }
  if (wants_verify(arguments.verify) && arguments.performance_stats) {
    throw usage_error("--performance_stats: not with --baseline_integration verify");
  }
  const double start = now_s();
  Engine engine = open_engine(arguments);
  engine.load_ms = (now_s() - start) * 1e3;
  const uint64_t seed = arguments.seed ? *arguments.seed : std::random_device{}();
  arguments.generate.sampling.seed = seed;
  arguments.generate.cancel = context.interrupted;
  const Steerers steerers(std::move(script), engine, arguments);
  const TextCallback show = context.json ? TextCallback() : show_text(prompt);
  std::vector<int32_t> prompt_tokens;
  const Generation result = run_engine(engine, arguments, prompt, show, prompt_tokens);
  if (!context.json) fmt::print("\n");
  std::fflush(stdout);
  return report_run(result, engine, arguments, steerers,
                    to_json(result, prompt_tokens, engine.info(), seed), context);
}

}  // namespace

Runner setup_generate(CLI::App& command) {
  auto a = std::make_shared<Arguments>();
  SamplingOptions& sampling = a->generate.sampling;
  add_model_options(command, a->model);
  add_option(command, "-p,prompt", a->prompt, "text to continue")->type_name("TEXT");
  add_option(command, "prompt_file", a->prompt_file, "file that holds it; - for standard input")
      ->type_name("FILE")
      ->excludes("--prompt");
  add_option(command, "-n,max_new_tokens", a->generate.max_new_tokens, "tokens to write at most")
      ->type_name("N")
      ->capture_default_str();
  add_option(command, "temperature", sampling.temperature, "0 is greedy")
      ->type_name("T")
      ->capture_default_str();
  add_option(command, "top_k", sampling.top_k, "choose among the K likeliest; 0: all")
      ->type_name("K")
      ->capture_default_str();
  add_option(command, "top_p", sampling.top_p, "... that make up this share; 1: all")
      ->type_name("P")
      ->capture_default_str();
  add_option(command, "repetition_penalty", sampling.repetition_penalty, "1: none")
      ->type_name("X")
      ->capture_default_str();
  add_option(command, "seed", a->seed, "of the random choices (default: a new one, reported)")
      ->type_name("N");
  add_option(command, "stop", a->generate.stop, "end before this text; may be repeated")
      ->type_name("TEXT")
      ->take_all()
      ->allow_extra_args(false);
  add_flag(command, "ignore_eos", a->generate.ignore_eos, "go on after the end-of-text token");
  add_flag(command, "parse_special", a->generate.parse_special,
           "the text of a special token in the prompt, such as <|endoftext|>, is that token");
  add_agency_options(command, a->agency);
  add_threshold_options(command, a->agency);
  add_option(
      command, "kv_return", a->agency.kv_return,
      "positions that a head missed while it was off: exact (made up for when it returns) or "
      "hole (never seen by it: an approximation)")
      ->type_name("KIND")
      ->capture_default_str();
  add_option(
      command, "agency_script", a->agency_script,
      "changes to heads, lines of TOKEN LAYER HEAD and a state, \"gate G\" or \"consent off\"")
      ->type_name("FILE");
  add_flag(command, "performance_stats", a->performance_stats,
           "time the model's operations for the agency report");
  add_controller_options(command, a->controller);
  add_verify_options(command, a->verify);
  return [a](const RunContext& context) { return run_generate(*a, context); };
}

}  // namespace sentinel::cli
