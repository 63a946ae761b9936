#include "app/prune/integration_fit.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "app/prune/blas_lock.h"
#include "base/error.h"
#include "base/log_softmax.h"
#include "base/statistics.h"
#include "base/windows.h"

namespace sentinel {
namespace {

using Window = std::span<const int32_t>;

constexpr size_t kHoldOut = 4;                // every 4th window decides, the others are fitted
constexpr double kShares[] = {1, 0.5, 0.25};  // of the fitted change, tried in turn

// Copies of the residual stream at one place of one window: [rows, d_model].
class Capture : public Observer {
 public:
  struct Place {
    int layer;
    Hidden where;
    std::vector<float> rows;
  };
  Capture(int d_model, std::vector<Place> places) : d_(d_model), places_(std::move(places)) {}

  void start(size_t rows) {
    for (Place& place : places_) place.rows.assign(rows * d_, 0);
  }
  const float* row(size_t place, size_t r) const { return places_[place].rows.data() + r * d_; }

  void on_attention(int, int, int, const float*, int64_t, const float*) override {}
  void on_ffn(int, int, int, const float*, int64_t) override {}
  bool wants_hidden() const override { return true; }
  void on_hidden(int layer, Hidden where, int first, int rows, const float* x,
                 int64_t stride) override {
    for (Place& place : places_) {
      if (place.layer != layer || place.where != where) continue;
      for (int r = 0; r < rows; ++r) {
        std::copy_n(x + r * stride, d_,
                    place.rows.begin() + static_cast<int64_t>((first + r) * d_));
      }
    }
  }

 private:
  size_t d_;
  std::vector<Place> places_;
};

// Per feature: the second moments of up to three regressors and a target, and the ridge fit of
// target - first regressor, so that no fit is "keep everything as it is".
class FeatureRegression {
 public:
  FeatureRegression(int d_model, int regressors)
      : n_(regressors), width_(regressors + 1), sums_(static_cast<size_t>(d_model)) {
    for (auto& s : sums_) s.assign(static_cast<size_t>(width_ * width_ + width_), 0);
  }

  void add(std::span<const float* const> regressors, const float* target) {
    ++rows_;
    for (size_t i = 0; i < sums_.size(); ++i) {
      double v[4];
      for (int a = 0; a < n_; ++a) v[a] = regressors[static_cast<size_t>(a)][i];
      v[n_] = double{target[i]} - regressors[0][i];
      double* s = sums_[i].data();
      for (int a = 0; a < width_; ++a) {
        s[width_ * width_ + a] += v[a];
        for (int b = a; b < width_; ++b) s[a * width_ + b] += v[a] * v[b];
      }
    }
  }

  struct Fit {
    double weight[3] = {};  // of target - first regressor
    double shift = 0;
  };
  Fit solve(size_t feature, double ridge) const {
    const double* s = sums_[feature].data();
    const double* mean = s + width_ * width_;
    const auto rows = static_cast<double>(rows_);
    const auto covariance = [&](int a, int b) {
      return s[std::min(a, b) * width_ + std::max(a, b)] / rows - mean[a] / rows * mean[b] / rows;
    };
    Eigen::MatrixXd c(n_, n_);
    Eigen::VectorXd y(n_);
    for (int a = 0; a < n_; ++a) {
      y[a] = covariance(a, n_);
      for (int b = 0; b < n_; ++b) c(a, b) = covariance(a, b);
    }
    for (int a = 0; a < n_; ++a) c(a, a) += ridge * c(a, a) + 1e-12;
    const BlasLock lock;
    const Eigen::VectorXd w = c.ldlt().solve(y);
    Fit fit;
    fit.shift = mean[n_] / rows;
    for (int a = 0; a < n_; ++a) {
      fit.weight[a] = std::isfinite(w[a]) ? w[a] : 0;
      fit.shift -= fit.weight[a] * mean[a] / rows;
    }
    return fit;
  }

 private:
  int n_, width_;
  int64_t rows_ = 0;
  std::vector<std::vector<double>> sums_;
};

// Mean nats per token of every stretch of some kStretch tokens: windows are too few to tell chance
// from gain, and one model's loss beside another's hardly depends on the stretch before.
std::vector<double> losses_of(Model& model, const std::vector<Window>& windows) {
  constexpr int64_t kStretch = 64;
  const int vocab = model.config().vocab_size;
  const auto session = model.new_session(1, model.config().context_length);
  std::vector<double> losses;
  for (const Window& window : windows) {
    const int64_t scored = std::ssize(window) - 1;
    const int64_t stretches = std::max<int64_t>(1, scored / kStretch);
    std::vector<double> sums(static_cast<size_t>(stretches)), counts(sums);
    session->truncate(0, 0);
    session->prefill(0, window, [&](int first, int rows, const float* logits) {
      for (int r = 0; r < rows && first + r < scored; ++r) {
        const float* row = logits + int64_t{r} * vocab;
        const auto at = static_cast<size_t>((first + r) * stretches / scored);
        sums[at] += row_nll(row, row_stats(row, vocab), window[static_cast<size_t>(first + r + 1)]);
        ++counts[at];
      }
    });
    for (size_t at = 0; at < sums.size(); ++at) losses.push_back(sums[at] / counts[at]);
  }
  return losses;
}

struct Windows {
  std::vector<Window> fit, held_out;
};

struct WindowCounts {
  size_t size, available, wanted;
};

WindowCounts count_windows(size_t tokens, const ModelConfig& config,
                           const IntegrationFitOptions& options) {
  // By default as long as the context, but short enough for one to be held out.
  const auto longest = static_cast<size_t>(options.max_tokens) / kHoldOut;
  const auto context = static_cast<size_t>(config.context_length);
  const auto size =
      options.window > 0 ? static_cast<size_t>(options.window) : std::min(context, longest);
  if (size < 2 || size > static_cast<size_t>(config.context_length)) {
    throw usage_error("window {}: give 2 to {} tokens", size, config.context_length);
  }
  const size_t available = tokens / size;
  const size_t wanted = std::min(available, static_cast<size_t>(options.max_tokens) / size);
  if (wanted < kHoldOut) {
    throw usage_error(
        "integration points: {} calibration tokens are less than {} windows of {}; give a longer "
        "text or a smaller window",
        tokens, kHoldOut, size);
  }
  return {size, available, wanted};
}

Windows cut(std::span<const int32_t> tokens, const ModelConfig& config,
            const IntegrationFitOptions& options) {
  const auto [size, available, wanted] = count_windows(tokens.size(), config, options);
  const std::vector<Window> all = cut_windows(tokens, size, size);
  // Spread over the whole text, so that no single topic decides.
  Windows windows;
  for (size_t i = 0; i < wanted; ++i) {
    const Window window = all[i * available / wanted];
    (i % kHoldOut == kHoldOut - 1 ? windows.held_out : windows.fit).push_back(window);
  }
  return windows;
}

// One of the three sets, fitted from the first decoder layer to the last: each layer on what the
// layers before it, with their points, hand over.
class SetFit {
 public:
  SetFit(Model& dense, Model& pruned, IntegrationSet& set, bool mix, bool unet,
         const Windows& windows, const IntegrationFitOptions& options)
      : dense_(dense),
        pruned_(pruned),
        set_(set),
        mix_(mix),
        unet_(unet),
        windows_(windows),
        options_(options) {}

  IntegrationFitSet run(const char* name, const IntegrationFitProgress& progress) {
    const int n = dense_.config().n_layers;
    std::vector<double> best = losses_of(pruned_, windows_.held_out);
    IntegrationFitSet report{name, mean(best), 0, 0, 0};
    for (int l = n / 2; l < n; ++l) {
      if (progress) progress(name, l - n / 2, n - n / 2);
      if (!has_point(l)) continue;
      ++report.layers;
      report.layers_kept += keep_best_share(l, fit_layer(l), best);
    }
    report.loss_after = mean(best);
    return report;
  }

 private:
  // The layer gets the share of the change with the lowest held-out loss, or nothing; false then.
  bool keep_best_share(int layer, const IntegrationLayer& fitted, std::vector<double>& best) {
    IntegrationLayer& points = set_[static_cast<size_t>(layer)];
    IntegrationLayer kept;
    bool found = false;
    for (const double share : kShares) {
      throw_if_set(options_.cancel);
      points = fitted;
      for (FeatureMix* mix : {&points.baseline, &points.skip}) weaken(*mix, share);
      std::vector<double> losses = losses_of(pruned_, windows_.held_out);
      const bool better = clearly_below(losses, best);
      if (!better && found) break;  // a weaker change is no better: it was the best
      if (!better) continue;
      found = true;
      best = std::move(losses);
      kept = points;
    }
    points = kept;
    return found;
  }

  static void weaken(FeatureMix& mix, double share) {
    const auto s = static_cast<float>(share);
    for (float& k : mix.keep) k = 1 + s * (k - 1);
    for (float& t : mix.take) t *= s;
    for (float& c : mix.shift) c *= s;
  }

  // Whether the layer has a point of this set.
  bool has_point(int layer) const {
    const int n = dense_.config().n_layers;
    return layer >= n / 2 && (mix_ || skip_source(n, layer) >= 0);
  }

  IntegrationLayer fit_layer(int layer) {
    const int d = dense_.config().d_model;
    const int source = unet_ ? skip_source(dense_.config().n_layers, layer) : -1;
    Capture want(d, {{layer, Observer::Hidden::after_attention, {}},
                     {layer + 1, Observer::Hidden::layer_input, {}}});
    Capture have(d, {{layer, Observer::Hidden::after_attention, {}},
                     {source, Observer::Hidden::layer_input, {}}});
    FeatureRegression regression(d, 1 + (mix_ ? 1 : 0) + (source >= 0 ? 1 : 0));
    const auto dense = open(dense_, want), pruned = open(pruned_, have);
    for (const Window& window : windows_.fit) {
      throw_if_set(options_.cancel);
      run(*dense, want, window);
      run(*pruned, have, window);
      for (size_t r = 1; r < window.size(); ++r) {  // position 0 is unlike all others
        std::vector<const float*> regressors = {have.row(0, r)};
        if (mix_) regressors.push_back(want.row(1, r));
        if (source >= 0) regressors.push_back(have.row(1, r));
        regression.add(regressors, want.row(0, r));
      }
    }
    return layer_of(source, regression);
  }

  static std::unique_ptr<Session> open(Model& model, Capture& capture) {
    auto session = model.new_session(1, model.config().context_length);
    session->set_observer(&capture);
    return session;
  }
  static void run(Session& session, Capture& capture, const Window& window) {
    capture.start(window.size());
    session.truncate(0, 0);
    session.prefill(0, window, nullptr);
  }

  // keep and shift belong to the first point that runs, the second one only adds its part.
  IntegrationLayer layer_of(int source, const FeatureRegression& regression) const {
    const auto d = static_cast<size_t>(dense_.config().d_model);
    const auto identity = [d](FeatureMix& mix) {
      mix = {std::vector<float>(d, 1), std::vector<float>(d, 0), std::vector<float>(d, 0)};
    };
    IntegrationLayer points;
    if (mix_) identity(points.baseline);
    if (source >= 0) identity(points.skip);
    FeatureMix& first = mix_ ? points.baseline : points.skip;
    for (size_t i = 0; i < d; ++i) {
      const auto fit = regression.solve(i, options_.ridge);
      first.keep[i] = static_cast<float>(1 + fit.weight[0]);
      first.shift[i] = static_cast<float>(fit.shift);
      if (mix_) points.baseline.take[i] = static_cast<float>(fit.weight[1]);
      if (source >= 0) points.skip.take[i] = static_cast<float>(fit.weight[mix_ ? 2 : 1]);
    }
    return points;
  }

  Model &dense_, &pruned_;
  IntegrationSet& set_;
  bool mix_, unet_;
  const Windows& windows_;
  const IntegrationFitOptions& options_;
};

}  // namespace

nlohmann::json to_json(const IntegrationFitSet& set) {
  return {{"held_out_loss_before", set.loss_before},
          {"held_out_loss_after", set.loss_after},
          {"layers", set.layers},
          {"layers_kept", set.layers_kept}};
}

void check_integration_text(size_t tokens, const ModelConfig& config,
                            const IntegrationFitOptions& options) {
  count_windows(tokens, config, options);
}

IntegrationFit fit_integration(std::shared_ptr<const Checkpoint> dense,
                               std::shared_ptr<const Checkpoint> pruned,
                               const std::vector<HeadId>& removed_heads,
                               std::span<const int32_t> tokens, std::shared_ptr<ThreadPool> pool,
                               const std::string& isa, const IntegrationFitOptions& options,
                               const IntegrationFitProgress& progress) {
  const Windows windows = cut(tokens, dense->config(), options);
  ModelOptions plain;
  plain.level = 1;
  plain.pool = pool;
  plain.isa = isa;
  plain.agency = AgencyMode::off;
  const auto dense_model = Model::create(dense, plain);
  plain.removed_heads = removed_heads;
  plain.unpruned = dense;
  // The model that is fitted reads these weights; between its sessions they grow layer by layer.
  const auto weights = std::make_shared<IntegrationWeights>();
  plain.integration = weights;
  IntegrationFit result;
  for (const Window& window : windows.fit) result.tokens += std::ssize(window);
  struct Kind {
    const char* name;
    bool mix, unet;
    IntegrationSet* set;
  };
  for (const Kind& kind :
       {Kind{"unet", false, true, &weights->unet}, Kind{"mix", true, false, &weights->mix},
        Kind{"both", true, true, &weights->both}}) {
    kind.set->resize(static_cast<size_t>(dense->config().n_layers));
    ModelOptions with = plain;
    with.mix_baseline = kind.mix;
    with.unet = kind.unet;
    const auto model = Model::create(pruned, with);
    result.sets.push_back(
        SetFit(*dense_model, *model, *kind.set, kind.mix, kind.unet, windows, options)
            .run(kind.name, progress));
  }
  result.weights = weights;
  return result;
}

}  // namespace sentinel
