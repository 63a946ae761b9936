#include "app/prune/prune.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "app/prune/head_choice.h"
#include "app/prune/loss_meter.h"
#include "base/error.h"
#include "base/windows.h"
#include "kernels/registry.h"

namespace sentinel {
namespace {

constexpr int kFirstTokens = 1024;  // most frequent ones, as sequences of length 1
constexpr int kMinWindow = 16;
// Of statistics that only order neurons: as many tokens as the budget allows, within these bounds.
constexpr double kStatsFlops = 3.5e12;
constexpr int64_t kStatsTokensPerFeature = 4, kMaxStatsTokens = 32768;

void check(const PruneOptions& options, const ModelConfig& config, size_t tokens) {
  for (const auto& [name, value] :
       {std::pair{"heads", options.heads}, std::pair{"ffn", options.ffn}}) {
    if (!(value >= 0 && value <= 100)) {
      throw usage_error("{} {}: give a percentage from 0 to 100", name, value);
    }
  }
  if (options.round_to < 1 || options.round_to > config.ffn_dim) {
    throw usage_error("round_to {}: give 1 to the {} neurons of a layer", options.round_to,
                      config.ffn_dim);
  }
  if (options.window < 0 || options.window > config.context_length ||
      (options.window > 0 && options.window < kMinWindow)) {
    throw usage_error("window {}: give {} to the model's context of {}", options.window, kMinWindow,
                      config.context_length);
  }
  if (!(options.min_ridge >= kMinRidge && options.min_ridge <= kMaxMinRidge)) {
    throw usage_error("min_ridge {}: give a number from {} to {}", options.min_ridge, kMinRidge,
                      kMaxMinRidge);
  }
  if (options.calibration_tokens < 1) {
    throw usage_error("calibration_tokens {}: give a positive number", options.calibration_tokens);
  }
  if (options.search_tokens < 0) {
    throw usage_error("search_tokens: {} is negative; give 0 for as many as the model needs",
                      options.search_tokens);
  }
  find_ranking_strategy(options.strategy);
  if (!options.ffn_strategy.empty()) parse_ffn_strategy(options.ffn_strategy);
  check_calibration("calibration", tokens);
}

// One window in eight, at least one, measures; the others fit.
CalibrationSet cut(std::span<const int32_t> tokens, int window, int vocab_size) {
  const auto size = static_cast<size_t>(window);
  const TokenWindows windows = cut_windows(tokens, size, size);
  CalibrationSet set;
  for (size_t i = 0; i < windows.size(); ++i) {
    (i % 8 == 1 ? set.held_out : set.fit).push_back(windows[i]);
  }
  std::map<int32_t, int64_t> counts;
  for (const int32_t token : tokens) ++counts[token];
  if (2 * std::ssize(counts) <= vocab_size) {
    for (const auto& [token, count] : counts) set.vocabulary.push_back(token);
  }
  std::vector<std::pair<int64_t, int32_t>> order;
  for (const auto& [token, count] : counts) order.emplace_back(-count, token);
  std::sort(order.begin(), order.end());
  double total = 0;
  for (size_t i = 0; i < order.size() && i < kFirstTokens; ++i) {
    set.first_tokens.push_back(order[i].second);
    set.first_weights.push_back(static_cast<float>(-order[i].first));
    total -= static_cast<double>(order[i].first);
  }
  for (float& weight : set.first_weights) weight = static_cast<float>(weight / total);
  return set;
}

void remove(EditableModel& model, const std::vector<LayerCut>& cuts) {
  const ModelConfig& config = model.base->config();
  for (size_t l = 0; l < cuts.size(); ++l) {
    EditableLayer& layer = model.layers[l];
    if (!cuts[l].heads.empty()) {
      layer.keep_heads(all_but(layer.n_heads(), cuts[l].heads), config.head_dim, config.d_model);
    }
    if (!cuts[l].neurons.empty()) {
      layer.keep_neurons(all_but(layer.ffn_dim(), cuts[l].neurons), config.d_model);
    }
  }
}

}  // namespace

struct Pruner::Impl {
  Impl(std::shared_ptr<const Checkpoint> c, std::span<const int32_t> t, std::string sha,
       const PruneOptions& o, PruneCallback p)
      : checkpoint(std::move(c)),
        tokens(t.first(std::min<size_t>(
            t.size(), static_cast<size_t>(std::max<int64_t>(o.calibration_tokens, 0))))),
        text_sha256(std::move(sha)),
        options(o),
        progress(std::move(p)),
        pool(ThreadPool::count_for(o.threads)),
        runner(select_kernels(detect_cpu_features(), o.isa), pool) {
    const ModelConfig& config = checkpoint->config();
    check(options, config, tokens.size());
    for (const int32_t token : tokens) {
      if (token < 0 || token >= config.vocab_size) {
        throw usage_error(
            "calibration text: token {} is beyond the model's vocabulary of {}; the "
            "tokenizer does not belong to this model",
            token, config.vocab_size);
      }
    }
    int window = options.window ? options.window : config.context_length;
    window = std::min<int>(window, static_cast<int>(tokens.size() / 2));
    set = cut(tokens, window, config.vocab_size);
  }

  // It reads every weight: a recovery alone does without.
  const std::string& model_sha256() {
    if (options.model_sha256.empty()) options.model_sha256 = model_fingerprint(*checkpoint);
    return options.model_sha256;
  }

  void report(const std::string& stage, int64_t done, int64_t total) const {
    if (progress) progress({stage, done, total});
  }

  FfnStrategy ffn_strategy() const {
    if (!options.ffn_strategy.empty()) return parse_ffn_strategy(options.ffn_strategy);
    const std::string& s = options.strategy;
    return s == "random" || s == "magnitude" || s == "output" ? parse_ffn_strategy(s)
                                                              : FfnStrategy::obs;
  }

  // An order of features needs fewer tokens than their refit; with too few it prunes worse.
  TokenWindows stats_windows() const {
    if (options.all_stats) return set.fit;
    int64_t widest = 0;
    double flops = 0;  // of a token: its way through the model, and the products of its features
    const double d = checkpoint->config().d_model;
    for (const auto& layer : checkpoint->config().layers) {
      const int64_t contexts = int64_t{layer.n_heads} * checkpoint->config().head_dim;
      const double ffn = layer.ffn_dim;
      widest = std::max<int64_t>({widest, layer.ffn_dim, contexts});
      flops += 8 * d * double(contexts) + 4 * d * ffn + ffn * ffn;
    }
    const auto affordable = static_cast<int64_t>(kStatsFlops / flops);
    return spread_tokens(
        set.fit, std::max(std::min(affordable, kMaxStatsTokens), kStatsTokensPerFeature * widest));
  }

  const CalibrationStats& get_stats() {
    if (!need_ffn && !need_attention) return no_stats;
    if (!stats) {
      StatsOptions o;
      o.cancel = options.cancel;
      o.ffn = need_ffn;
      o.attention = need_attention;
      if (!options.all_stats) o.type = fast_type(runner.kernels());
      stats = collect_stats(checkpoint, stats_windows(), o, runner, [&](int done, int total) {
        report("calibration statistics", done, total);
      });
      stats->model_sha256 = model_sha256();
      stats->text_sha256 = text_sha256;
    }
    check_holds(*stats);
    return *stats;
  }

  // Statistics from a file may have been collected for less.
  void check_holds(const CalibrationStats& some) const {
    for (size_t l = 0; l < some.layers.size(); ++l) {
      const LayerConfig& layer = checkpoint->config().layers[l];
      const bool ffn = some.layers[l].ffn.n == layer.ffn_dim;
      const bool attention =
          some.layers[l].attention.n == layer.n_heads * checkpoint->config().head_dim;
      if ((ffn || !need_ffn) && (attention || !need_attention)) continue;
      throw usage_error(
          "--stats: nothing on the {} of layer {}; collect them again with --save_stats",
          ffn ? "heads" : "neurons", l);
    }
  }

  int total_heads() const { return checkpoint->config().total_heads(); }
  int64_t total_neurons() const {
    int64_t n = 0;
    for (const auto& layer : checkpoint->config().layers) n += layer.ffn_dim;
    return n;
  }
  int head_goal() const { return static_cast<int>(total_heads() * options.heads / 100 + 1e-9); }
  int64_t neuron_goal() const {
    const auto n = static_cast<int64_t>(double(total_neurons()) * options.ffn / 100 + 1e-9);
    return options.ffn >= 100 ? total_neurons() : n / options.round_to * options.round_to;
  }

  int64_t ranking_tokens(const std::string& strategy) const {
    if (strategy != "ablation") return kHeadLossTokens;
    return options.search_tokens > 0 ? options.search_tokens
                                     : head_loss_tokens(checkpoint->config(), set.vocabulary);
  }

  HeadRanking rank(const std::string& name) {
    RankingInput input;
    input.checkpoint = checkpoint;
    input.seed = options.seed;
    input.cancel = options.cancel;
    std::vector<int32_t> text;
    const RankingStrategy& strategy = find_ranking_strategy(name);
    if (strategy.calibrates) {
      input.runner = &runner;
      const auto windows = spread_tokens(set.fit, ranking_tokens(name));
      for (const auto& window : windows) text.insert(text.end(), window.begin(), window.end());
      input.calibration = text;
      input.window = static_cast<size_t>(options.window);
      input.vocabulary = set.vocabulary;
      input.progress = [&](int done, int total) {
        report("ranking heads by " + name, done, total);
      };
      report("ranking heads by " + name, 0, 1);
    }
    return rank_heads(strategy, input);
  }

  void static_heads(PrunePlan& plan) {
    plan.head_scores = rank(options.strategy).scores;
    take_heads(plan.head_scores, plan);
  }

  // Blocks of round_to neurons of one layer, cheapest first, compete by their mean score.
  void static_neurons(PrunePlan& plan, FfnStrategy strategy) {
    struct Block {
      double score;
      int layer;
      std::vector<int> neurons;
    };
    std::vector<Block> blocks;
    for (int l = 0; l < checkpoint->config().n_layers; ++l) {
      const Moments moments =
          strategy == FfnStrategy::output ? get_stats().layers[l].ffn.unpack() : Moments();
      const auto scores =
          neuron_scores(strategy, copy_layer(*checkpoint, l), moments, options.seed, l);
      const std::vector<int> order = ascending_order(scores);
      for (size_t begin = 0; begin < order.size(); begin += options.round_to) {
        const size_t end = std::min(begin + options.round_to, order.size());
        Block block{0, l, {order.begin() + begin, order.begin() + end}};
        for (const int j : block.neurons) block.score += scores[j] / double(end - begin);
        blocks.push_back(std::move(block));
      }
    }
    std::stable_sort(blocks.begin(), blocks.end(),
                     [](const Block& a, const Block& b) { return a.score < b.score; });
    int64_t left = neuron_goal();
    for (const Block& block : blocks) {
      if (left < std::ssize(block.neurons)) break;
      left -= std::ssize(block.neurons);
      auto& neurons = plan.layers[block.layer].neurons;
      neurons.insert(neurons.end(), block.neurons.begin(), block.neurons.end());
    }
    for (LayerCut& cut : plan.layers) std::sort(cut.neurons.begin(), cut.neurons.end());
  }

  void search(PrunePlan& plan, bool heads, bool neurons) {
    EditableModel model(checkpoint);
    remove(model, plan.layers);
    SearchOptions o;
    o.heads = heads ? (options.stop_rule ? total_heads() : head_goal()) : 0;
    o.neurons = neurons ? (options.stop_rule ? total_neurons() : neuron_goal()) : 0;
    o.round_to = options.round_to;
    o.recover = options.recover;
    o.protect_first = options.protect_first;
    o.search_tokens = options.search_tokens;
    o.cancel = options.cancel;
    const CalibrationStats& needed = get_stats();
    if (neurons) report("ordering neurons", 0, 1);
    const SearchOutcome outcome = search_removals(
        model, set, needed, o, runner, options.stop_rule,
        [&](const SearchProgress& p) { report("search by measured loss", p.done, p.total); });
    plan.dense_loss = outcome.dense_loss;
    plan.steps = outcome.steps;
    for (size_t l = 0; l < plan.layers.size(); ++l) {
      if (heads) plan.layers[l].heads = outcome.cuts[l].heads;
      if (neurons) plan.layers[l].neurons = outcome.cuts[l].neurons;
    }
  }

  // Heads before a refit.
  void choose(PrunePlan& plan) {
    std::vector<RemovedHeads> choices;
    std::vector<HeadScores> orders;
    const auto add_order = [&](const char* name) {
      orders.push_back(rank(name).scores);
      choices.push_back(lowest_heads(orders.back(), head_goal()));
      plan.head_trials.push_back({name});
    };
    add_order("ablation");
    if (head_loss_tokens(checkpoint->config(), set.vocabulary) == kHeadLossTokens) {
      add_order("output");
      choices.push_back(searched_heads(plan));
      plan.head_trials.push_back({"search"});
    }
    const size_t best = best_removal(
        checkpoint, set, choices, recovery_options(), runner, plan.head_trials,
        [&](int done, int total) { report("comparing plans after recovery", done, total); });
    plan.head_choice = plan.head_trials[best].order;
    if (best < orders.size()) plan.head_scores = std::move(orders[best]);
    for (size_t l = 0; l < plan.layers.size(); ++l) {
      plan.layers[l].heads = std::move(choices[best][l]);
    }
  }

  RemovedHeads searched_heads(PrunePlan& plan) {
    PrunePlan searched;
    searched.layers.resize(plan.layers.size());
    search(searched, true, false);
    plan.head_steps = std::move(searched.steps);
    RemovedHeads heads;
    for (LayerCut& cut : searched.layers) heads.push_back(std::move(cut.heads));
    return heads;
  }

  void take_heads(const HeadScores& scores, PrunePlan& plan) const {
    auto heads = lowest_heads(scores, head_goal());
    for (size_t l = 0; l < heads.size(); ++l) plan.layers[l].heads = std::move(heads[l]);
  }

  RecoveryOptions recovery_options() const {
    RecoveryOptions o;
    o.recover = options.recover;
    o.min_ridge = options.min_ridge;
    o.protect_first = options.protect_first;
    o.type = fast_type(runner.kernels());
    o.cancel = options.cancel;
    return o;
  }

  std::shared_ptr<const Checkpoint> checkpoint;
  std::span<const int32_t> tokens;
  std::string text_sha256;
  PruneOptions options;
  PruneCallback progress;
  ThreadPool pool;
  SublayerRunner runner;
  CalibrationSet set;
  std::optional<CalibrationStats> stats;
  const CalibrationStats no_stats;
  bool need_ffn = true, need_attention = true;
};

Pruner::Pruner(std::shared_ptr<const Checkpoint> checkpoint, std::span<const int32_t> tokens,
               std::string text_sha256, const PruneOptions& options, PruneCallback progress)
    : impl_(std::make_unique<Impl>(std::move(checkpoint), tokens, std::move(text_sha256), options,
                                   std::move(progress))) {}
Pruner::~Pruner() = default;

const std::string& Pruner::model_sha256() { return impl_->model_sha256(); }

void Pruner::use_stats(CalibrationStats stats) {
  if (stats.model_sha256 != impl_->model_sha256()) {
    throw usage_error("--stats: statistics of another model; collect them again with --save_stats");
  }
  if (stats.text_sha256 != impl_->text_sha256) {
    throw usage_error(
        "--stats: statistics of another calibration text; collect them again with "
        "--save_stats");
  }
  impl_->stats = std::move(stats);
}

const CalibrationStats& Pruner::stats() {
  impl_->need_ffn = impl_->need_attention = true;
  return impl_->get_stats();
}

PrunePlan Pruner::make_plan() {
  Impl& s = *impl_;
  PrunePlan plan;
  if (s.options.plan) {
    plan = *s.options.plan;
  } else {
    plan.layers.resize(s.checkpoint->config().layers.size());
    plan.strategy = s.options.strategy;
    plan.ffn_strategy = to_string(s.ffn_strategy());
    plan.heads_percent = s.options.heads;
    plan.ffn_percent = s.options.ffn;
    plan.round_to = s.options.round_to;
    plan.seed = s.options.seed;
    const bool search = static_cast<bool>(s.options.stop_rule);
    const bool heads = search || s.head_goal() > 0, neurons = search || s.neuron_goal() > 0;
    const bool measured_heads = heads && s.options.strategy == "obs";
    const bool chosen_heads = measured_heads && !search && s.options.recover == Recover::refit;
    const bool measured_neurons = neurons && s.ffn_strategy() == FfnStrategy::obs;
    s.need_ffn = s.options.all_stats || neurons;
    // A search leaves heads' means behind.
    s.need_attention = s.options.all_stats || s.options.recover == Recover::bias;
    if (heads && !measured_heads) s.static_heads(plan);
    if (neurons && !measured_neurons) s.static_neurons(plan, s.ffn_strategy());
    if (chosen_heads) s.choose(plan);
    const bool searched_heads = measured_heads && !chosen_heads;
    if (searched_heads || measured_neurons) s.search(plan, searched_heads, measured_neurons);
  }
  plan.model_sha256 = s.model_sha256();
  plan.recover = to_string(s.options.recover);
  plan.min_ridge = s.options.min_ridge;
  plan.protect_first = s.options.protect_first;
  plan.calibration_sha256 = s.text_sha256;
  plan.calibration_tokens = std::ssize(s.tokens);
  return plan;
}

PruneResult Pruner::apply(PrunePlan plan) {
  Impl& s = *impl_;
  auto model = std::make_shared<EditableModel>(s.checkpoint);
  remove(*model, plan.layers);
  PruneResult result;
  result.losses = recover(*model, s.set, s.recovery_options(), s.runner, [&](int done, int total) {
                    s.report("recovery", done, total);
                  }).losses;
  result.plan = std::move(plan);
  result.model = std::move(model);
  return result;
}

PruneResult Pruner::apply_within(const PrunePlan& plan, double max_increase) {
  constexpr int64_t kTokens = 8192;
  Impl& s = *impl_;
  LossMeter meter(s.checkpoint, spread_tokens(s.set.held_out, kTokens), s.runner,
                  {.protect_first = s.options.protect_first,
                   .type = fast_type(s.runner.kernels()),
                   .cancel = s.options.cancel});
  const auto within = [&](const PruneResult& result) {
    meter.set_model(*result.model);
    return 100 * std::expm1(meter.loss() - meter.dense_loss()) <= max_increase;
  };
  PruneResult best = apply(plan);
  if (within(best)) return best;
  size_t kept = 0, too_many = plan.steps.size();
  best = apply(plan.first_steps(0));
  while (too_many - kept > 1) {
    const size_t middle = (kept + too_many) / 2;
    PruneResult result = apply(plan.first_steps(middle));
    if (within(result)) {
      kept = middle;
      best = std::move(result);
    } else {
      too_many = middle;
    }
  }
  return best;
}

}  // namespace sentinel
