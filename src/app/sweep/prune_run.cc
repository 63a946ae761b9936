#include "app/sweep/prune_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "app/bench/bench.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/memory_meter.h"
#include "model/checkpoint/model_output.h"
#include "model/model_json.h"

namespace sentinel {
namespace fs = std::filesystem;
namespace {
using nlohmann::json;

int64_t parameters_of(const EditableModel& model) {
  const ModelConfig& config = model.base->config();
  int64_t n = model.base->parameter_count();
  for (size_t l = 0; l < model.layers.size(); ++l) {
    const int64_t heads = config.layers[l].n_heads - model.layers[l].n_heads();
    const int64_t neurons = config.layers[l].ffn_dim - model.layers[l].ffn_dim();
    const int64_t d = config.d_model, width = config.head_dim;
    n -= heads * (4 * width * d + 3 * width) + neurons * (2 * d + 1);
  }
  return n;
}

// Levels are tried on at least so many windows, and keep a part of their promise for other texts.
constexpr int kLevelWindows = 16;
constexpr double kOfPromise = 0.9;

// Of the types of levels 2 and 3, and what may stand in for them.
WeightType next_wider(WeightType type) {
  return type == WeightType::int4   ? WeightType::int6
         : type == WeightType::int6 ? WeightType::int8
                                    : WeightType::bf16;
}

class PruneRun {
 public:
  PruneRun(const PruneRunOptions& options, const PruneCallback& progress)
      : o_(options), progress_(progress), tokenizer_(Tokenizer::load(o_.checkpoint->folder())) {
    check_options();
    calibration_ = load_eval_text(o_.calibration, *tokenizer_, false, o_.cancel);
    text_ = load_eval_text(o_.text, *tokenizer_, false, o_.cancel);
    prune_ = o_.prune;
    prune_.threads = o_.model.threads;
    prune_.isa = o_.model.isa;
    prune_.cancel = o_.cancel;
    prune_.all_stats = !o_.save_stats.empty();
    prune_.stop_rule = stop_rule();
    if (!o_.plan.empty()) {
      prune_.model_sha256 = model_fingerprint(*o_.checkpoint);
      prune_.plan = read_plan(o_.plan, o_.checkpoint->config(), prune_.model_sha256);
      prune_.recover = parse_recover(prune_.plan->recover);
      prune_.min_ridge = prune_.plan->min_ridge;
      prune_.protect_first = prune_.plan->protect_first;
    }
    prune_.recover = o_.recover.value_or(prune_.recover);
    prune_.min_ridge = o_.min_ridge.value_or(prune_.min_ridge);
    prune_.protect_first = o_.protect_first.value_or(prune_.protect_first);
    if (o_.fit_integration && !o_.dry_run) {
      check_integration_text(points_tokens().size(), o_.checkpoint->config(),
                             {.window = o_.prune.window});
    }
  }

  PruneRunResult run() {
    const double start = now_s();
    Pruner pruner(o_.checkpoint, calibration_.tokens, calibration_.sha256, prune_, progress_);
    if (!o_.stats.empty()) {
      pruner.use_stats(load_stats(o_.stats, o_.checkpoint->config(), pruner.model_sha256(),
                                  calibration_.sha256));
    }
    PruneRunResult result;
    result.config = o_.checkpoint->config();
    result.dry_run = o_.dry_run;
    result.target_speedup = o_.target_speedup;
    result.padded = o_.padded;
    result.plan = pruner.make_plan();
    check_target();
    if (!o_.save_stats.empty()) save_stats(o_.save_stats, pruner.stats());
    std::shared_ptr<EditableModel> model;
    if (!o_.dry_run) {
      PruneResult pruned = o_.max_perplexity_increase
                               ? pruner.apply_within(result.plan, *o_.max_perplexity_increase)
                               : pruner.apply(result.plan);
      result.plan = std::move(pruned.plan);
      check_still_met(*pruned.model);
      result.losses = std::move(pruned.losses);
      // What is measured is what is saved.
      model = std::make_shared<EditableModel>(*pruned.model);
      model->round_to(o_.dtype.value_or(o_.checkpoint->view().token_embedding.dtype));
    }
    result.pruning_seconds = now_s() - start;
    if (model && o_.fit_integration) fit_points(as_checkpoint(model), result);
    measure(model ? as_checkpoint(model) : nullptr, result);
    if (model) {
      fit_levels(as_checkpoint(model), result);
      save(as_checkpoint(model), result);
    }
    result.peak_rss_mb = peak_rss_mb();
    result.seconds = now_s() - start;
    return result;
  }

 private:
  void check_options() const {
    if (o_.out.empty() && !o_.dry_run) {
      throw usage_error("--out: name the folder to make, or give --dry_run");
    }
    check_new_folder(o_.out, "--out");
    check_new_folder(o_.save_stats, "--save_stats");
    const DType dtype = o_.dtype.value_or(o_.checkpoint->view().token_embedding.dtype);
    if (o_.padded && dtype == DType::int8) {
      throw usage_error("--padded: for other tools, which do not read int8; give --dtype f32");
    }
    if (o_.target_params && *o_.target_params < 1) {
      throw usage_error("--target_params {}: give a number of parameters", *o_.target_params);
    }
    if (o_.target_speedup && !(*o_.target_speedup >= 1 && *o_.target_speedup <= 1000)) {
      throw usage_error("--target_speedup {}: give a factor from 1", *o_.target_speedup);
    }
    if (o_.max_perplexity_increase &&
        !(*o_.max_perplexity_increase >= 0 && std::isfinite(*o_.max_perplexity_increase))) {
      throw usage_error("--max_perplexity_increase {}: give a percentage from 0",
                        *o_.max_perplexity_increase);
    }
    const bool target = o_.target_params || o_.target_speedup || o_.max_perplexity_increase;
    if (target && (o_.prune.heads > 0 || o_.prune.ffn > 0 || !o_.plan.empty())) {
      throw usage_error("a target takes the place of --heads, --ffn and --plan; give one of them");
    }
    if (target && o_.prune.strategy != "obs") {
      throw usage_error("--strategy {}: targets need the search of obs", o_.prune.strategy);
    }
    if (target && !o_.prune.ffn_strategy.empty() && o_.prune.ffn_strategy != "obs") {
      throw usage_error("--ffn_strategy {}: targets need the search of obs", o_.prune.ffn_strategy);
    }
  }

  void report(const std::string& stage, int64_t done, int64_t total) const {
    if (progress_) progress_({stage, done, total});
  }

  double decode_ms(std::shared_ptr<const Checkpoint> checkpoint) {
    return 1000 / timed(std::move(checkpoint), 0).back().median_ts;
  }

  // Decode time as a line through two measured points: the whole model and one with half of every
  // layer, no matter which heads and neurons.
  std::function<double(int64_t parameters)> time_model() {
    auto half = std::make_shared<EditableModel>(o_.checkpoint);
    const ModelConfig& config = o_.checkpoint->config();
    for (EditableLayer& layer : half->layers) {
      std::vector<int> heads, neurons;
      for (int h = 0; h < layer.n_heads(); h += 2) heads.push_back(h);
      for (int j = 0; j < layer.ffn_dim() / 2; ++j) neurons.push_back(j);
      layer.keep_heads(heads, config.head_dim, config.d_model);
      layer.keep_neurons(neurons, config.d_model);
    }
    const double whole = decode_ms(o_.checkpoint), less = decode_ms(as_checkpoint(half));
    const auto n = static_cast<double>(o_.checkpoint->parameter_count());
    const double slope = (whole - less) / (n - static_cast<double>(parameters_of(*half)));
    return [=](int64_t p) {  // far out a noisy line may cross 0
      return whole / std::max(whole - slope * (n - static_cast<double>(p)), whole / 50);
    };
  }

  StopRule stop_rule() {
    if (!o_.target_params && !o_.target_speedup && !o_.max_perplexity_increase) return nullptr;
    std::function<double(int64_t)> speedup;
    if (o_.target_speedup) speedup = time_model();
    if (o_.target_params || o_.target_speedup) {
      target_met_by_ = [this, speedup](int64_t parameters) {
        return (!o_.target_params || parameters <= *o_.target_params) &&
               (!o_.target_speedup || speedup(parameters) >= *o_.target_speedup);
      };
      check_not_met_yet();
      check_reachable(speedup);
    }
    return [this](const EditableModel& model, double loss, double dense_loss) {
      const double increase = 100 * std::expm1(loss - dense_loss);
      if (o_.max_perplexity_increase && increase > *o_.max_perplexity_increase) {
        return Verdict::undo_and_stop;
      }
      const bool met = target_met_by_ && target_met_by_(parameters_of(model));
      target_met_ |= met;
      return met ? Verdict::stop : Verdict::go_on;
    };
  }

  // The search asks behind each step: it would remove a head from a model that meets the target.
  void check_not_met_yet() const {
    const int64_t parameters = o_.checkpoint->parameter_count();
    if (!target_met_by_(parameters)) return;
    if (!o_.target_params) {
      throw usage_error("--target_speedup {}: the model is that fast as it is; ask for more",
                        *o_.target_speedup);
    }
    throw usage_error("--target_params {}: the model has {} parameters as it is; ask for fewer",
                      *o_.target_params, parameters);
  }

  // A target beyond a model without heads and neurons is refused before the search.
  void check_reachable(const std::function<double(int64_t)>& speedup) const {
    EditableModel least(o_.checkpoint);
    const ModelConfig& config = o_.checkpoint->config();
    for (EditableLayer& layer : least.layers) {
      layer.keep_heads({}, config.head_dim, config.d_model);
      layer.keep_neurons({}, config.d_model);
    }
    const int64_t parameters = parameters_of(least);
    if (target_met_by_(parameters)) return;
    throw runtime_error(
        "the target cannot be reached: without any head and neuron {} parameters are left{}; "
        "ask for less",
        parameters, speedup ? fmt::format(", {:.2f} times as fast", speedup(parameters)) : "");
  }

  // Steps may have been taken back for the sake of perplexity.
  void check_still_met(const EditableModel& model) const {
    if (!o_.max_perplexity_increase || !target_met_by_) return;
    if (!target_met_by_(parameters_of(model))) unreachable_target();
  }
  [[noreturn]] void unreachable_target() const {
    throw runtime_error("the target cannot be reached{}: ask for less",
                        o_.max_perplexity_increase ? " within --max_perplexity_increase" : "");
  }

  void check_target() const {
    if (!(o_.target_params || o_.target_speedup) || target_met_) return;
    unreachable_target();
  }

  PruneSide describe(const Checkpoint& checkpoint, const Model& model) const {
    PruneSide side;
    side.parameters = checkpoint.parameter_count();
    side.weight_bytes = model.info().weight_bytes;
    side.bytes_per_token = model.bytes_per_token(0);
    for (const auto& layer : checkpoint.config().layers) {
      side.heads_per_layer.push_back(layer.n_heads);
      side.ffn_per_layer.push_back(layer.ffn_dim);
    }
    return side;
  }

  // Decode, and prefill of `prompt` tokens unless that is 0.
  std::vector<BenchRow> timed(std::shared_ptr<const Checkpoint> checkpoint, int prompt) {
    report("measuring speed", 0, 1);
    BenchOptions options;
    options.prompts = {prompt};
    options.generations = {std::min(64, checkpoint->config().context_length / 2)};
    options.model = o_.model;
    options.cancel = o_.cancel;
    BenchResult result = run_bench(std::move(checkpoint), options);
    if (result.interrupted || result.rows.empty()) {
      throw Error(ErrorKind::interrupted, "interrupted");
    }
    return std::move(result.rows);
  }

  void measure_speed(std::shared_ptr<const Checkpoint> checkpoint, PruneSide& side) {
    if (!o_.bench) return;
    const int prompt = std::min(256, checkpoint->config().context_length / 2);
    for (const BenchRow& row : timed(std::move(checkpoint), prompt)) {
      (row.n_gen > 0 ? side.decode_tokens_per_second : side.prefill_tokens_per_second) =
          row.median_ts;
    }
  }

  void measure(std::shared_ptr<const Checkpoint> pruned, PruneRunResult& result) {
    EvalOptions options;
    options.max_windows = o_.max_eval_windows;
    options.cancel = o_.cancel;
    const auto show = [&](const char* stage) {
      return [this, stage](const EvalProgress& p) { report(stage, p.windows_done, p.windows); };
    };
    const auto dense = Model::create(o_.checkpoint, o_.model);
    result.before = describe(*o_.checkpoint, *dense);
    result.model = dense->info();
    result.text_sha256 = text_.sha256;
    result.same_text = text_.sha256 == calibration_.sha256;
    std::shared_ptr<Model> model;
    if (pruned) {
      model = Model::create(pruned, o_.model);
      result.after = describe(*pruned, *model);
    }
    // Both at once: the dense model runs beside the pruned one.
    const BaseLogits base(*dense, text_.tokens, options, 0);
    const EvalResult eval = evaluate(model ? *model : *dense, text_.tokens, options,
                                     model ? &base : nullptr, show("evaluating"));
    if (eval.interrupted) throw Error(ErrorKind::interrupted, "interrupted");
    result.tokens_scored = eval.tokens_scored;
    result.window = eval.window;
    result.before.perplexity = model ? eval.divergence->perplexity_base : eval.perplexity;
    if (model) {
      result.after.perplexity = eval.perplexity;
      result.divergence = eval.divergence;
      if (prune_.protect_first) {
        ModelOptions protect = o_.model;
        protect.protect_first = true;
        protect.level = std::max(1, protect.level);  // level 0 has no position apart
        protect.unpruned = o_.checkpoint;
        const auto guarded = Model::create(pruned, protect);
        const EvalResult again = evaluate(*guarded, text_.tokens, options, nullptr,
                                          show("evaluating with the first position protected"));
        if (again.interrupted) throw Error(ErrorKind::interrupted, "interrupted");
        result.after.perplexity_protected = again.perplexity;
      }
    }
    measure_speed(o_.checkpoint, result.before);
    if (pruned) measure_speed(pruned, result.after);
  }

  std::span<const int32_t> points_tokens() const {
    const auto most = static_cast<size_t>(o_.prune.calibration_tokens);
    return std::span(calibration_.tokens).first(std::min(most, calibration_.tokens.size()));
  }

  void fit_points(std::shared_ptr<const Checkpoint> pruned, PruneRunResult& result) {
    IntegrationFitOptions options;
    options.window = o_.prune.window;
    options.cancel = o_.cancel;
    const int threads = ThreadPool::count_for(o_.model.threads);
    IntegrationFit fit = fit_integration(o_.checkpoint, std::move(pruned), {}, points_tokens(),
                                         std::make_shared<ThreadPool>(threads), o_.model.isa,
                                         options, [&](const std::string&, int done, int total) {
                                           report("fitting integration points", done, total);
                                         });
    result.integration = std::move(fit.sets);
    integration_ = std::move(fit.weights);
  }

  // The narrowest types with which levels 2 and 3 keep their promises on the text: what a refit
  // has made up with large weights of opposite signs does not bear 8 or 4 bits.
  void fit_levels(const std::shared_ptr<const Checkpoint>& pruned, PruneRunResult& result) {
    report("trying levels 2 and 3", 0, 3);
    const double plain = level_perplexity(pruned, 1, WeightType::f32);
    for (const int level : {2, 3}) {
      report("trying levels 2 and 3", level - 1, 3);
      LevelWeights found{level, level_preset(level).weights};
      const auto growth = [&] {
        return 100 * (level_perplexity(pruned, level, found.type) / plain - 1);
      };
      found.growth_percent = found.preset_growth_percent = growth();
      while (found.growth_percent > kOfPromise * promised_growth_percent(level) &&
             found.type != WeightType::bf16) {
        found.type = next_wider(found.type);
        found.growth_percent = growth();
      }
      result.levels.push_back(found);
    }
  }

  double level_perplexity(const std::shared_ptr<const Checkpoint>& checkpoint, int level,
                          WeightType type) {
    ModelOptions options;
    options.level = level;
    options.threads = o_.model.threads;
    options.isa = o_.model.isa;
    options.weights = type;
    options.lm_head = level_preset(level).lm_head;
    options.agency = AgencyMode::off;
    EvalOptions eval;
    eval.max_windows = o_.max_eval_windows == 0 ? 0 : std::max(o_.max_eval_windows, kLevelWindows);
    eval.cancel = o_.cancel;
    const EvalResult result =
        evaluate(*Model::create(checkpoint, options), text_.tokens, eval, nullptr);
    if (result.interrupted) throw Error(ErrorKind::interrupted, "interrupted");
    return result.perplexity;
  }

  void save(std::shared_ptr<const Checkpoint> checkpoint, const PruneRunResult& result) {
    ModelOutputOptions options;
    options.weights_of_level.emplace();
    for (const LevelWeights& found : result.levels) {
      if (found.type == level_preset(found.level).weights) continue;
      (*options.weights_of_level)[static_cast<size_t>(found.level)] = found.type;
    }
    options.dtype = o_.dtype;
    options.padded = o_.padded;
    options.extra_files = {
        {"prune_plan.json", sentinel::to_json(result.plan, result.config).dump(2) + "\n"}};
    if (integration_) {
      options.extra_files.emplace_back(kIntegrationFile, integration_bytes(*integration_));
    }
    report("writing", 0, 1);
    throw_if_set(o_.cancel);
    save_model(o_.out, *checkpoint, options);
  }

  const PruneRunOptions& o_;
  const PruneCallback& progress_;
  std::unique_ptr<Tokenizer> tokenizer_;
  EvalText calibration_, text_;
  PruneOptions prune_;
  std::function<bool(int64_t parameters)> target_met_by_;  // empty without such a target
  bool target_met_ = false;
  std::shared_ptr<const IntegrationWeights> integration_;
};

json side_json(const PruneSide& side) {
  json out = {{"parameters", side.parameters},           {"weight_bytes", side.weight_bytes},
              {"bytes_per_token", side.bytes_per_token}, {"heads_per_layer", side.heads_per_layer},
              {"ffn_per_layer", side.ffn_per_layer},     {"perplexity", side.perplexity}};
  const auto put = [&](const char* key, const std::optional<double>& value) {
    out[key] = value ? json(*value) : json(nullptr);
  };
  put("decode_tokens_per_second", side.decode_tokens_per_second);
  put("prefill_tokens_per_second", side.prefill_tokens_per_second);
  if (side.perplexity_protected) out["perplexity_protected"] = *side.perplexity_protected;
  return out;
}

}  // namespace

const char* why_widened(const LevelWeights& level) {
  return level.preset_growth_percent > promised_growth_percent(level.level)
             ? "beyond its promise"
             : "too near its promise";
}

std::optional<double> measured_speedup(const PruneRunResult& result) {
  const auto before = result.before.decode_tokens_per_second;
  const auto after = result.after.decode_tokens_per_second;
  if (!before || !after) return std::nullopt;
  return *after / *before;
}

PruneRunResult run_prune(const PruneRunOptions& options, const PruneCallback& progress) {
  return PruneRun(options, progress).run();
}

json to_json(const PruneRunResult& result) {
  json out = {{"before", side_json(result.before)},
              {"plan", to_json(result.plan, result.config)},
              {"dry_run", result.dry_run},
              {"padded", result.padded},
              {"model", model_json(result.model)},
              {"text_sha256", result.text_sha256},
              {"text_is_calibration_text", result.same_text},
              {"tokens_scored", result.tokens_scored},
              {"window", result.window},
              {"seconds", result.seconds},
              {"pruning_seconds", result.pruning_seconds},
              {"peak_rss_mb", result.peak_rss_mb}};
  if (result.target_speedup) {
    const auto measured = measured_speedup(result);
    out["target_speedup"] = {{"asked", *result.target_speedup},
                             {"measured", measured ? json(*measured) : json(nullptr)}};
  }
  if (!result.dry_run) {
    out["after"] = side_json(result.after);
    out["perplexity_ratio"] = result.after.perplexity / result.before.perplexity;
    const PruneSide& written = result.padded ? result.before : result.after;
    for (const LevelWeights& found : result.levels) {
      out["levels"][std::to_string(found.level)] = {
          {"weights", to_string(found.type)},
          {"perplexity_change_percent", found.growth_percent},
          {"preset_weights", to_string(level_preset(found.level).weights)},
          {"preset_perplexity_change_percent", found.preset_growth_percent}};
    }
    out["written"] = {{"parameters", written.parameters},
                      {"heads_per_layer", written.heads_per_layer},
                      {"ffn_per_layer", written.ffn_per_layer}};
  }
  if (result.divergence) {
    out["kl_mean"] = result.divergence->kl_mean;
    out["kl_p50"] = result.divergence->kl_p50;
    out["kl_p99"] = result.divergence->kl_p99;
    out["top1_agreement"] = result.divergence->top1_agreement;
  }
  for (const IntegrationFitSet& set : result.integration) {
    out["integration_points"][set.name] = to_json(set);
  }
  json losses = json::array();
  for (const SublayerLoss& loss : result.losses) {
    losses.push_back({{"none", loss.none},
                      {"bias", loss.bias},
                      {"refit", loss.refit},
                      {"target", loss.target},
                      {"ridge", loss.ridge},
                      {"step", loss.step}});
  }
  if (!losses.empty()) out["calibration_losses"] = std::move(losses);
  return out;
}

}  // namespace sentinel
