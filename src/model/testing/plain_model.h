// For tests: the transformer of a checkpoint in doubles, one position after the other. It keeps the
// keys and values of every head, closed or not, and so knows what the definition asks for when
// heads were switched in between.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "kernels/ref/plain.h"
#include "model/agency/head_means.h"
#include "model/checkpoint/checkpoint.h"
#include "model/integration/weights.h"

namespace sentinel::testing {

using Doubles = std::vector<double>;

// What one position left behind.
struct Trace {
  std::vector<Doubles> residual;  // [layers + 1]: at the layers' entries
  Doubles logits;
};

// The definition, one position after the other.
class PlainModel {
 public:
  using Factor = std::function<double(int layer, int head)>;

  PlainModel(std::shared_ptr<const Checkpoint> checkpoint, int sequences)
      : checkpoint_(std::move(checkpoint)), sequences_(static_cast<size_t>(sequences)) {}

  const ModelConfig& config() const { return checkpoint_->config(); }
  int length(int s) const { return sequences_[s].length; }
  void truncate(int s, int length) {
    sequences_[s].length = std::min(sequences_[s].length, length);
    for (auto& head : sequences_[s].heads) {
      if (std::ssize(head) > length) head.resize(length);
    }
  }
  // `set` null: no integration points; `baseline`: what its model left at this position, or null.
  Trace forward(int s, int32_t token, const Factor& factor, const HeadMeans* means,
                const IntegrationSet* set, const Trace* baseline) {
    const ModelView& view = checkpoint_->view();
    const int d = config().d_model, n_layers = config().n_layers;
    const int position = sequences_[s].length++;
    size_t index = 0;  // of a head of all layers
    Trace trace;
    Doubles x(static_cast<size_t>(d));
    for (int i = 0; i < d; ++i) {
      x[i] = view.token_embedding.at(token, i) + view.position_embedding.at(position, i);
    }
    for (int l = 0; l < n_layers; ++l) {
      trace.residual.push_back(x);
      add(attention(s, l, x, factor, means, index), x);
      if (set) {
        if (baseline) mix((*set)[l].baseline, baseline->residual[l + 1], x);
        const int from = skip_source(n_layers, l);
        if (from >= 0) mix((*set)[l].skip, trace.residual[from], x);
      }
      const LayerView& layer = view.layers[l];
      Doubles hidden =
          product(layer.up, &layer.up_bias, norm(x, layer.norm2_weight, layer.norm2_bias));
      for (double& v : hidden) v = plain::activate(config().activation, v);
      add(product(layer.down, &layer.down_bias, hidden), x);
    }
    trace.residual.push_back(x);
    trace.logits =
        product(view.lm_head, nullptr, norm(x, view.final_norm_weight, view.final_norm_bias));
    return trace;
  }
  // Position 0 of a sequence as the unpruned model left it.
  void take_first(int s, const PlainModel& unpruned) {
    sequences_[s] = {1, {}};
    size_t first = 0;
    for (int l = 0; l < config().n_layers; ++l) {
      const auto& ids = unpruned.config().layers[l].head_ids;
      for (const int id : config().layers[l].head_ids) {
        const auto at = static_cast<size_t>(std::find(ids.begin(), ids.end(), id) - ids.begin());
        sequences_[s].heads.push_back({unpruned.sequences_[0].heads[first + at][0]});
      }
      first += ids.size();
    }
  }

 private:
  struct Sequence {
    int length = 0;
    std::vector<std::vector<std::pair<Doubles, Doubles>>> heads;  // of all layers: [position] k, v
  };

  Doubles attention(int s, int l, const Doubles& x, const Factor& factor, const HeadMeans* means,
                    size_t& index) {
    const LayerView& layer = checkpoint_->view().layers[l];
    const auto hd = static_cast<size_t>(config().head_dim);
    const Doubles in = norm(x, layer.norm1_weight, layer.norm1_bias);
    Doubles sum = floats(layer.o_bias);
    for (size_t h = 0; h < layer.heads.size(); ++h, ++index) {
      const HeadView& head = layer.heads[h];
      auto& heads = sequences_[s].heads;
      if (heads.size() <= index) heads.resize(index + 1);
      heads[index].emplace_back(product(head.k, &head.k_bias, in),
                                product(head.v, &head.v_bias, in));
      const Doubles q = product(head.q, &head.q_bias, in);
      Doubles p, context(hd);
      double high = -1e300, total = 0;
      for (const auto& [k, v] : heads[index]) {
        p.push_back(std::inner_product(q.begin(), q.end(), k.begin(), 0.0) *
                    config().attention_scale[l]);
        high = std::max(high, p.back());
      }
      for (double& value : p) total += value = std::exp(value - high);
      const double f = factor(l, static_cast<int>(h));
      for (size_t j = 0; j < p.size(); ++j) {
        for (size_t e = 0; e < hd; ++e) context[e] += f * p[j] / total * heads[index][j].second[e];
      }
      for (size_t e = 0; means && e < hd; ++e) context[e] += (1 - f) * means->layers[l][h * hd + e];
      add(product(head.o, nullptr, context), sum);
    }
    return sum;
  }
  static void add(const Doubles& more, Doubles& x) {
    for (size_t i = 0; i < x.size(); ++i) x[i] += more[i];
  }
  static void mix(const FeatureMix& m, const Doubles& other, Doubles& x) {
    for (size_t i = 0; i < m.keep.size(); ++i) {
      x[i] = m.keep[i] * x[i] + m.take[i] * other[i] + m.shift[i];
    }
  }
  const Doubles& floats(const VectorView& view) {
    Doubles& values = numbers_[&view];
    for (int64_t i = std::ssize(values); i < view.n; ++i) values.push_back(view.at(i));
    return values;
  }
  Doubles norm(const Doubles& x, const VectorView& weight, const VectorView& bias) {
    const auto n = static_cast<double>(x.size());
    double mean = 0, square = 0;
    for (const double v : x) mean += v / n;
    for (const double v : x) square += (v - mean) * (v - mean) / n;
    const Doubles &w = floats(weight), &b = floats(bias);
    Doubles out;
    for (size_t i = 0; i < x.size(); ++i) {
      out.push_back((x[i] - mean) / std::sqrt(square + config().norm_epsilon) * w[i] + b[i]);
    }
    return out;
  }
  Doubles product(const MatrixView& w, const VectorView* bias, const Doubles& x) {
    Doubles& values = numbers_[&w];
    for (int64_t i = std::ssize(values); i < w.n_out * w.n_in; ++i) {
      values.push_back(w.at(i / w.n_in, i % w.n_in));
    }
    Doubles y = bias ? floats(*bias) : Doubles(static_cast<size_t>(w.n_out));
    const double* row = values.data();
    for (double& sum : y) {
      for (const double v : x) sum += *row++ * v;
    }
    return y;
  }

  std::shared_ptr<const Checkpoint> checkpoint_;
  std::vector<Sequence> sequences_;
  std::map<const void*, Doubles> numbers_;  // of a view
};

}  // namespace sentinel::testing
