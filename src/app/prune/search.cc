#include "app/prune/search.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "app/prune/ffn_path.h"
#include "app/prune/loss_meter.h"
#include "base/error.h"

namespace sentinel {
namespace {

constexpr int kFfnLevels = 16;               // steps that take away a whole FFN
constexpr int kCoarseFfnLevels = 8;          // where measurements are dear
constexpr double kBudgetFlops = 28e12;       // of all loss measurements together
constexpr double kNeuronBudgetFlops = 6e12;  // where no heads are searched
constexpr double kRidge = 1e-3;              // of the neurons' refits
constexpr int kMeasuresPerStep = 6;          // of candidates that were measured before
constexpr int64_t kMinTokens = 512, kMaxTokens = 16384;

struct Candidate {
  bool heads = true;
  int layer = 0;
  int head = 0;  // original id
  double loss = 0;
  bool fresh = false;  // measured since the last step
  double size = 1;     // weights that go
};

class Search {
 public:
  Search(EditableModel& model, const CalibrationSet& calibration, const CalibrationStats& stats,
         const SearchOptions& options, SublayerRunner& runner, const StopRule& rule)
      : model_(model),
        stats_(stats),
        options_(options),
        runner_(runner),
        rule_(rule),
        config_(model.base->config()),
        flops_(loss_flops(config_, calibration.vocabulary)),
        ffn_levels_(affordable_tokens(kFfnLevels) < kMinTokens ? kCoarseFfnLevels : kFfnLevels),
        meter_(model.base, loss_windows(calibration), runner,
               {.protect_first = options.protect_first,
                .type = fast_type(runner.kernels()),
                .vocabulary = calibration.vocabulary,
                .cancel = options.cancel}) {
    if (options_.neurons > 0) make_paths();
    meter_.set_model(model_);
    for (int l = 0; l < config_.n_layers; ++l) {
      if (!paths_.empty()) add_ffn_candidate(l);
      if (options_.heads == 0) continue;
      for (const int id : model_.layers[l].head_ids) {
        candidates_.push_back(
            {true, l, id, -HUGE_VAL, false, 4.0 * config_.head_dim * config_.d_model});
      }
    }
  }

  SearchOutcome run(const SearchCallback& progress) {
    progress_ = progress;
    while (step()) {
    }
    outcome_.dense_loss = meter_.dense_loss();
    outcome_.cuts.resize(model_.layers.size());
    // The last step may have gone beyond the goal.
    int beyond_layer = -1;
    const int64_t beyond = std::max<int64_t>(0, neurons_done_ - options_.neurons);
    for (auto step = outcome_.steps.rbegin(); step != outcome_.steps.rend(); ++step) {
      if (step->head >= 0) continue;
      beyond_layer = step->layer;
      step->count -= static_cast<int>(beyond);
      step->neurons.resize(static_cast<size_t>(step->count));
      break;
    }
    for (size_t l = 0; l < model_.layers.size(); ++l) {
      outcome_.cuts[l].heads = removed_heads(l);
      if (!paths_.empty()) {
        auto& neurons = outcome_.cuts[l].neurons;
        const int64_t count =
            paths_[l].removed_at(levels_[l]) - (static_cast<int>(l) == beyond_layer ? beyond : 0);
        neurons.assign(paths_[l].order.begin(), paths_[l].order.begin() + count);
        std::sort(neurons.begin(), neurons.end());
      }
    }
    return std::move(outcome_);
  }

 private:
  int ffn_step(int levels) const {
    const int blocks = std::max(1, config_.ffn_dim / options_.round_to);
    return std::max(1, blocks / levels) * options_.round_to;
  }
  int64_t total_steps(int levels) const {
    return options_.heads + (options_.neurons + ffn_step(levels) - 1) / ffn_step(levels);
  }

  // About three measurements a step, and one of every head.
  int64_t affordable_tokens(int levels) const {
    const bool heads = options_.heads > 0;
    const int64_t measurements = 3 * total_steps(levels) + (heads ? config_.total_heads() : 0);
    return static_cast<int64_t>((heads ? kBudgetFlops : kNeuronBudgetFlops) /
                                (flops_ * static_cast<double>(measurements)));
  }

  TokenWindows loss_windows(const CalibrationSet& calibration) const {
    const int64_t tokens = options_.search_tokens > 0
                               ? options_.search_tokens
                               : std::clamp(affordable_tokens(ffn_levels_), kMinTokens, kMaxTokens);
    return first_tokens(calibration.held_out, tokens);
  }

  void make_paths() {
    const int step = ffn_step(ffn_levels_);
    // Some layers lose far more than the average, hardly one all of a small share.
    int64_t total = 0;
    for (const auto& layer : model_.layers) total += layer.ffn_dim();
    const double share = rule_ ? 1 : 1.8 * double(options_.neurons) / double(total);
    const int batch = std::max(options_.round_to, step / 4 / options_.round_to * options_.round_to);
    paths_.resize(model_.layers.size());
    levels_.assign(paths_.size(), 0);
    for (size_t l = 0; l < paths_.size(); ++l) {
      throw_if_set(options_.cancel);
      const int n = model_.layers[l].ffn_dim();
      const int levels = std::min(n / step, static_cast<int>(share * n / step) + 1) + 1;
      paths_[l] = obs_path(model_.layers[l], stats_.layers[l].ffn.unpack(), options_.recover,
                           kRidge, batch, step, levels);
    }
  }

  std::vector<int> removed_heads(size_t l) const {
    const std::vector<int>& before = config_.layers[l].head_ids;
    const std::vector<int>& now = model_.layers[l].head_ids;
    std::vector<int> removed;
    for (size_t h = 0; h < before.size(); ++h) {
      if (!std::binary_search(now.begin(), now.end(), before[h])) {
        removed.push_back(static_cast<int>(h));
      }
    }
    return removed;
  }

  // The layer without the candidate: neurons leave a refit of the others behind, a head its mean
  // with Recover::bias, else nothing (to refit while searching orders worse: docs/pruning.md).
  EditableLayer without(const Candidate& c) const {
    if (!c.heads) {
      EditableLayer layer = copy_layer(*model_.base, c.layer);
      const FfnPath& path = paths_[c.layer];
      layer.keep_neurons(path.kept(levels_[c.layer] + 1), config_.d_model);
      layer.down = path.maps[levels_[c.layer] + 1].w;
      layer.down_bias = path.maps[levels_[c.layer] + 1].bias;
      return layer;
    }
    EditableLayer layer = model_.layers[c.layer];
    if (options_.recover == Recover::bias) leave_mean(layer, c);
    std::vector<int> kept(static_cast<size_t>(layer.n_heads()));
    std::iota(kept.begin(), kept.end(), 0);
    kept.erase(kept.begin() + position_of(c));
    layer.keep_heads(kept, config_.head_dim, config_.d_model);
    return layer;
  }

  int index_in_source(const Candidate& c) const {
    const std::vector<int>& ids = config_.layers[c.layer].head_ids;
    return static_cast<int>(std::lower_bound(ids.begin(), ids.end(), c.head) - ids.begin());
  }
  int position_of(const Candidate& c) const {
    const std::vector<int>& ids = model_.layers[c.layer].head_ids;
    return static_cast<int>(std::lower_bound(ids.begin(), ids.end(), c.head) - ids.begin());
  }

  void leave_mean(EditableLayer& layer, const Candidate& c) const {
    const int64_t d = config_.d_model, width = config_.head_dim;
    const float* mean = stats_.layers[c.layer].attention.mean.data() + index_in_source(c) * width;
    const float* w = layer.o.data() + position_of(c) * width * d;
    for (int64_t e = 0; e < width; ++e, w += d) {
      for (int64_t o = 0; o < d; ++o) layer.o_bias[o] += mean[e] * w[o];
    }
  }

  static int index_of(const Candidate& c) { return 2 * c.layer + (c.heads ? 0 : 1); }

  void measure(Candidate& c) {
    throw_if_set(options_.cancel);
    c.loss = meter_.loss_with(index_of(c), without(c));
    c.fresh = true;
    if (progress_) {
      progress_({std::ssize(outcome_.steps), total_steps(ffn_levels_), meter_.loss(),
                 meter_.dense_loss()});
    }
  }

  void add_ffn_candidate(int l) {
    const int level = levels_[l];
    if (level + 1 >= std::ssize(paths_[l].maps)) return;
    const double neurons = paths_[l].removed_at(level + 1) - paths_[l].removed_at(level);
    candidates_.push_back({false, l, -1, -HUGE_VAL, false, 2.0 * neurons * config_.d_model});
  }

  // The kind whose share of its goal lags behind; with a stop rule both compete by loss per weight.
  bool allowed(const Candidate& c) const {
    if (c.heads ? heads_done_ >= options_.heads : neurons_done_ >= options_.neurons) return false;
    if (rule_) return true;
    const double heads = options_.heads ? double(heads_done_) / options_.heads : 1;
    const double neurons = options_.neurons ? double(neurons_done_) / options_.neurons : 1;
    return c.heads == (heads <= neurons);
  }
  double rank(const Candidate& c) const { return (c.loss - meter_.loss()) / c.size; }

  // The allowed candidate of lowest rank; -1: none. `fresh`: only those measured in this step.
  int lowest(bool fresh) const {
    int best = -1;
    for (int i = 0; i < std::ssize(candidates_); ++i) {
      if (!allowed(candidates_[i]) || (fresh && !candidates_[i].fresh)) continue;
      if (best < 0 || rank(candidates_[i]) < rank(candidates_[best])) best = i;
    }
    return best;
  }

  // Measures stale candidates until the best one is fresh; -1: nothing is left. When many are as
  // good as each other, the best of a few has to do.
  int best_candidate() {
    for (int again = 0;;) {
      const int best = lowest(false);
      if (best < 0 || candidates_[best].fresh) return best;
      if (again >= kMeasuresPerStep) return lowest(true);
      if (std::isfinite(candidates_[best].loss)) ++again;
      measure(candidates_[best]);
    }
  }

  bool step() {
    const int best = best_candidate();
    if (best < 0) return false;
    const Candidate c = candidates_[best];
    candidates_.erase(candidates_.begin() + best);
    const EditableLayer before = model_.layers[c.layer];
    const double loss_before = meter_.loss();
    apply(c);
    if (rule_) {
      const Verdict verdict = rule_(model_, meter_.loss(), meter_.dense_loss());
      if (verdict == Verdict::undo_and_stop) {
        model_.layers[c.layer] = before;
        if (!c.heads) --levels_[c.layer];
        return false;
      }
      record(c);
      if (verdict == Verdict::stop) return false;
    } else {
      record(c);
    }
    for (Candidate& other : candidates_) {
      other.loss += meter_.loss() - loss_before;
      other.fresh = false;
    }
    if (!c.heads) add_ffn_candidate(c.layer);
    return true;
  }

  void apply(const Candidate& c) {
    const EditableLayer layer = without(c);
    EditableLayer& target = model_.layers[c.layer];
    if (c.heads) {
      target = layer;
    } else {
      target.up = layer.up;
      target.up_bias = layer.up_bias;
      target.down = layer.down;
      target.down_bias = layer.down_bias;
      ++levels_[c.layer];
    }
    meter_.accept(index_of(c), target);
  }

  void record(const Candidate& c) {
    PruneStep step;
    step.kind = c.heads ? "heads" : "neurons";
    step.layer = c.layer;
    step.count = 1;
    step.head = c.heads ? index_in_source(c) : -1;
    step.loss = meter_.loss();
    if (c.heads) {
      ++heads_done_;
    } else {
      const FfnPath& path = paths_[c.layer];
      const int from = path.removed_at(levels_[c.layer] - 1),
                to = path.removed_at(levels_[c.layer]);
      step.count = to - from;
      step.neurons.assign(path.order.begin() + from, path.order.begin() + to);
      neurons_done_ += step.count;
    }
    outcome_.steps.push_back(std::move(step));
  }

  EditableModel& model_;
  const CalibrationStats& stats_;
  const SearchOptions options_;
  SublayerRunner& runner_;
  const StopRule& rule_;
  const ModelConfig& config_;
  const double flops_;  // of a measured token
  const int ffn_levels_;
  LossMeter meter_;
  std::vector<FfnPath> paths_;
  std::vector<int> levels_;
  std::vector<Candidate> candidates_;
  int heads_done_ = 0;
  int64_t neurons_done_ = 0;
  SearchCallback progress_;
  SearchOutcome outcome_;
};

}  // namespace

SearchOutcome search_removals(EditableModel& model, const CalibrationSet& calibration,
                              const CalibrationStats& stats, const SearchOptions& options,
                              SublayerRunner& runner, const StopRule& rule,
                              const SearchCallback& progress) {
  return Search(model, calibration, stats, options, runner, rule).run(progress);
}

}  // namespace sentinel
