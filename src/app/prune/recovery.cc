#include "app/prune/recovery.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "app/prune/panels.h"
#include "app/prune/step_search.h"
#include "base/error.h"

namespace sentinel {
namespace {

constexpr std::string_view kNames[] = {"none", "bias", "refit"};
constexpr double kFirstShare = 0.02;                  // of the fit's weight, for position 0
constexpr int64_t kMaxFeatureBytes = 512 << 20;       // kept, not computed twice
constexpr int64_t kHeldOutTokens = 4096;              // that a ridge is chosen on
constexpr double kRidgeSteps[] = {1, 1e1, 1e2, 1e3};  // times the smallest ridge

struct Rows {
  std::vector<float> fit, held_out;  // weights of the streams' rows
  std::vector<int> positions;
};

Rows row_weights(const CalibrationSet& set, const TokenWindows& held_out,
                 const RecoveryOptions& options) {
  Rows rows;
  int64_t fit_rows = 0;
  for (const auto& window : set.fit) fit_rows += std::ssize(window) - 1;
  const auto add = [&](float fit_weight, float held_out_weight, int position) {
    rows.fit.push_back(fit_weight);
    rows.held_out.push_back(held_out_weight);
    rows.positions.push_back(position);
  };
  for (const auto& window : set.fit) {
    for (int r = 0; r < std::ssize(window); ++r) add(r == 0 ? 0 : 1, 0, r);
  }
  for (const auto& window : held_out) {
    for (int r = 0; r < std::ssize(window); ++r) add(0, r == 0 ? 0 : 1, r);
  }
  const double share = options.protect_first ? 0 : kFirstShare;
  const double total = share / (1 - share) * static_cast<double>(fit_rows);
  for (const float weight : set.first_weights) add(static_cast<float>(total * weight), 0, 0);
  return rows;
}

class Recovery {
 public:
  Recovery(EditableModel& model, const CalibrationSet& set, const RecoveryOptions& options,
           SublayerRunner& runner)
      : model_(model), set_(set), options_(options), runner_(runner), type_(options.type) {
    const TokenWindows held_out = spread_tokens(set.held_out, kHeldOutTokens);
    rows_ = row_weights(set, held_out, options);
    TokenWindows sequences = set.fit;
    sequences.insert(sequences.end(), held_out.begin(), held_out.end());
    for (const int32_t& token : set.first_tokens) sequences.emplace_back(&token, 1);
    dense_ = embed(*model.base, sequences);
    pruned_ = embed(*model.base, model.position_embedding, sequences);
    protect();
  }

  void run(int index, RecoveryResult& result) {
    const SublayerId id = sublayer(index);
    const EditableLayer& layer = model_.layers[id.layer];
    runner_.run(pack(copy_layer(*model_.base, id.layer), id), dense_, &dense_, {});
    // Before the first cut there is nothing to give back.
    cut_ = cut_ || is_cut(id);
    SublayerLoss loss;
    // Whole FFNs take up what others have lost by as much as the loss falls, not for a bias alone.
    const bool gives =
        options_.recover == Recover::refit || id.kind == SublayerKind::attention || is_cut(id);
    if (cut_ && gives) {
      Moments fit, held_out;
      measure(id, layer, fit, held_out);
      LinearMap map = output_map(layer, id.kind);
      loss = choose(fit, held_out, map);
      throw_if_set(options_.cancel);
      put(index, std::move(map), loss);
    }
    result.losses.push_back(loss);
    if (kept_rows_ > 0) add_output(output_map(layer, id.kind));
    if (kept_rows_ < pruned_.rows()) {
      runner_.run(pack(layer, id), pruned_, &pruned_, {}, kept_rows_);
    }
    kept_rows_ = 0;
    protect();
  }

  // The last look at every step.
  void revise(int index, RecoveryResult& result) {
    if (!steps_) return;
    steps_->revise(index);
    result.losses[index].step = steps_->step(index);
  }

 private:
  PackedSublayer pack(const EditableLayer& layer, SublayerId id) const {
    return {*model_.base, layer, id, runner_.kernels(), runner_.pool(), type_};
  }

  bool is_cut(SublayerId id) const {
    const EditableLayer& layer = model_.layers[id.layer];
    const LayerConfig& before = model_.base->config().layers[id.layer];
    return id.kind == SublayerKind::attention ? layer.n_heads() < before.n_heads
                                              : layer.ffn_dim() < before.ffn_dim;
  }

  // A refit goes as far as the loss falls; without held-out windows all the way.
  void put(int index, LinearMap map, SublayerLoss& loss) {
    if (options_.recover == Recover::bias || set_.held_out.empty()) {
      set_output_map(model_.layers[index / 2], sublayer(index).kind, std::move(map));
      loss.step = 1;
      return;
    }
    if (!steps_) {
      steps_ =
          std::make_unique<StepSearch>(model_, set_.held_out, runner_,
                                       LossMeterOptions{.protect_first = options_.protect_first,
                                                        .type = type_,
                                                        .vocabulary = set_.vocabulary,
                                                        .cancel = options_.cancel});
    }
    steps_->take(index, std::move(map));
    loss.step = steps_->step(index);
  }

  // The target of a sub-layer is what brings the pruned stream to the dense one.
  void measure(SublayerId id, const EditableLayer& layer, Moments& fit, Moments& held_out) {
    const PackedSublayer packed = pack(layer, id);
    const int d = model_.base->config().d_model;
    MomentAccumulator fit_sums(packed.features(), d, runner_.kernels(), runner_.pool());
    MomentAccumulator held_sums(packed.features(), d, runner_.kernels(), runner_.pool());
    std::vector<float> targets;
    const bool keep = type_ == WeightType::f32 && packed.features() > 0;
    const int64_t room =
        keep ? std::min(kMaxFeatureBytes / (4 * packed.features()), pruned_.rows()) : 0;
    features_.resize(static_cast<size_t>(room * packed.features()));
    runner_.run(packed, pruned_, nullptr, [&](const FeatureBlock& block) {
      throw_if_set(options_.cancel);
      if (block.first_row == kept_rows_ && kept_rows_ + block.rows <= room) {
        std::copy_n(block.x, int64_t{block.rows} * block.features,
                    features_.data() + block.first_row * block.features);
        kept_rows_ += block.rows;
      }
      targets.resize(static_cast<size_t>(block.rows) * d);
      const float* goal = dense_.row(block.first_row);
      const float* now = pruned_.row(block.first_row);
      for (size_t i = 0; i < targets.size(); ++i) targets[i] = goal[i] - now[i];
      fit_sums.add(block.x, targets.data(), rows_.fit.data() + block.first_row, block.rows);
      held_sums.add(block.x, targets.data(), rows_.held_out.data() + block.first_row, block.rows);
    });
    fit = fit_sums.finish();
    held_out = held_sums.finish();
  }

  // What the sub-layer adds to the first rows of the stream, from the features that were kept.
  void add_output(const LinearMap& map) {
    const int64_t d = pruned_.d_model, n = std::ssize(map.w) / d,
                  panels = (d + kPanel - 1) / kPanel;
    std::vector<float> packed(static_cast<size_t>(panels * n * kPanel), 0.0F);
    for (int64_t k = 0; k < n; ++k) {
      for (int64_t o = 0; o < d; ++o) {
        packed[(o / kPanel * n + k) * kPanel + o % kPanel] = map.w[k * d + o];
      }
    }
    std::vector<float> bias(static_cast<size_t>(panels * kPanel), 0.0F);
    std::copy(map.bias.begin(), map.bias.end(), bias.begin());
    const Segment whole{0, 0, static_cast<int32_t>(n)};
    runner_.pool().run([&](int thread) {
      const Range mine = share(kept_rows_, thread, runner_.pool().size());
      LinearArgs args =
          f32_product(packed.data(), n * kPanel, whole, features_.data() + mine.begin * n, n,
                      static_cast<int>(mine.size()), pruned_.row(mine.begin), d, d);
      args.bias = bias.data();
      args.epilogue = Epilogue::add;
      run_f32(runner_.kernels(), args, 0, panels);
    });
  }

  // Puts the best map in place of `map`.
  SublayerLoss choose(const Moments& fit, const Moments& held_out, LinearMap& map) const {
    SublayerLoss loss;
    loss.target = fit.yy;
    loss.none = squared_error(fit, map);
    LinearMap with_bias = with_best_bias(fit, map.w);
    loss.bias = squared_error(fit, with_bias);
    if (options_.recover == Recover::bias) {
      map = std::move(with_bias);
      return loss;
    }
    const bool test = held_out.weight > 0;
    const RidgeFit ridge_fit(fit, map.w);
    LinearMap best;
    double least = HUGE_VAL;
    for (const double step : std::span(kRidgeSteps).first(test ? std::size(kRidgeSteps) : 1)) {
      const double ridge = options_.min_ridge * step;
      LinearMap refitted = ridge_fit(ridge);
      const double error = test ? squared_error(held_out, refitted) : 0;
      if (!(error < least)) continue;
      least = error;
      best = std::move(refitted);
      loss.ridge = ridge;
    }
    // Too few tokens for so many weights: what was fitted is worth less than what was there.
    if (test && !(least < squared_error(held_out, with_bias))) {
      loss.ridge = HUGE_VAL;
      loss.refit = loss.bias;
      map = std::move(with_bias);
      return loss;
    }
    map = std::move(best);
    loss.refit = squared_error(fit, map);
    return loss;
  }

  void protect() {
    if (!options_.protect_first) return;
    for (int64_t r = 0; r < dense_.rows(); ++r) {
      if (rows_.positions[r] == 0) std::copy_n(dense_.row(r), dense_.d_model, pruned_.row(r));
    }
  }

  EditableModel& model_;
  const CalibrationSet& set_;
  const RecoveryOptions& options_;
  SublayerRunner& runner_;
  const WeightType type_;
  Rows rows_;
  Stream dense_, pruned_;
  std::vector<float> features_;  // [kept_rows, features] of the sub-layer at hand
  int64_t kept_rows_ = 0;
  bool cut_ = false;  // whether a sub-layer so far has lost something
  std::unique_ptr<StepSearch> steps_;
};

}  // namespace

const char* to_string(Recover recover) { return kNames[static_cast<int>(recover)].data(); }

Recover parse_recover(std::string_view name) {
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i] == name) return static_cast<Recover>(i);
  }
  throw usage_error("recover {}: unknown; choose none, bias or refit", printable(name));
}

RecoveryResult recover(EditableModel& model, const CalibrationSet& calibration,
                       const RecoveryOptions& options, SublayerRunner& runner,
                       const RecoveryProgress& progress) {
  RecoveryResult result;
  if (options.recover == Recover::none) return result;
  Recovery recovery(model, calibration, options, runner);
  const int n = 2 * static_cast<int>(model.layers.size());
  const auto advance = [&](int done) {
    if (progress) progress(done, 2 * n);
    throw_if_set(options.cancel);
  };
  for (int i = 0; i < n; ++i) {
    advance(i);
    recovery.run(i, result);
  }
  for (int i = 0; options.revise && i < n; ++i) {
    advance(n + i);
    recovery.revise(i, result);
  }
  advance(2 * n);
  return result;
}

}  // namespace sentinel
