#include "app/diff/diff.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace sentinel {
namespace {
using nlohmann::json;

// Squared norms of A and of B - A, added up over several tensors.
class Distance {
 public:
  void add(const MatrixView& a, const MatrixView& b) {
    std::vector<float> row_a(static_cast<size_t>(a.n_in)), row_b(row_a.size());
    for (int64_t o = 0; o < a.n_out; ++o) {
      load_row(a, o, row_a.data());
      load_row(b, o, row_b.data());
      add(row_a, row_b);
    }
  }
  void add(const VectorView& a, const VectorView& b) { add(a.to_floats(), b.to_floats()); }
  // |B - A| / |A|; infinite if A is 0 and B is not.
  double relative() const { return moved_ == 0 ? 0 : std::sqrt(moved_ / norm_); }

 private:
  void add(const std::vector<float>& a, const std::vector<float>& b) {
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      norm_ += double{a[i]} * a[i];
      moved_ += (double{b[i]} - a[i]) * (double{b[i]} - a[i]);
    }
  }
  double norm_ = 0, moved_ = 0;
};

template <typename View>
double relative(const View& a, const View& b) {
  Distance distance;
  distance.add(a, b);
  return distance.relative();
}

void diff_heads(const LayerView& a, const LayerView& b, LayerDiff& diff, Distance& biases) {
  Distance qkv, o;
  for (size_t i = 0; i < diff.heads_a.size(); ++i) {
    const auto at = std::find(diff.heads_b.begin(), diff.heads_b.end(), diff.heads_a[i]);
    if (at == diff.heads_b.end()) continue;
    const HeadView &x = a.heads[i], &y = b.heads[at - diff.heads_b.begin()];
    qkv.add(x.q, y.q);
    qkv.add(x.k, y.k);
    qkv.add(x.v, y.v);
    biases.add(x.q_bias, y.q_bias);
    biases.add(x.k_bias, y.k_bias);
    biases.add(x.v_bias, y.v_bias);
    o.add(x.o, y.o);
  }
  diff.qkv = qkv.relative();
  diff.o = o.relative();
}

LayerDiff diff_layer(const LayerConfig& ca, const LayerView& a, const LayerConfig& cb,
                     const LayerView& b) {
  LayerDiff diff;
  diff.heads_a = ca.head_ids;
  diff.heads_b = cb.head_ids;
  diff.ffn_a = ca.ffn_dim;
  diff.ffn_b = cb.ffn_dim;
  Distance biases, norms;
  diff_heads(a, b, diff, biases);
  if (diff.ffn_a == diff.ffn_b) {
    diff.up = relative(a.up, b.up);
    diff.down = relative(a.down, b.down);
    biases.add(a.up_bias, b.up_bias);
  }
  biases.add(a.o_bias, b.o_bias);
  biases.add(a.down_bias, b.down_bias);
  norms.add(a.norm1_weight, b.norm1_weight);
  norms.add(a.norm1_bias, b.norm1_bias);
  norms.add(a.norm2_weight, b.norm2_weight);
  norms.add(a.norm2_bias, b.norm2_bias);
  diff.biases = biases.relative();
  diff.norms = norms.relative();
  return diff;
}

void diff_config(const json& a, const json& b, CheckpointDiff& diff) {
  const auto show = [](const json& value) { return printable(value.dump(), 80); };
  for (const auto& [key, value] : a.items()) {
    if (!b.contains(key)) {
      diff.config.push_back(fmt::format("{}: {} -> (absent)", printable(key, 60), show(value)));
    } else if (b[key] != value) {
      diff.config.push_back(
          fmt::format("{}: {} -> {}", printable(key, 60), show(value), show(b[key])));
    }
  }
  for (const auto& [key, value] : b.items()) {
    if (!a.contains(key)) {
      diff.config.push_back(fmt::format("{}: (absent) -> {}", printable(key, 60), show(value)));
    }
  }
}

void check_comparable(const ModelConfig& a, const ModelConfig& b) {
  const auto check = [](const char* what, int x, int y) {
    if (x != y) throw usage_error("the models cannot be compared: {} {} and {}", what, x, y);
  };
  check("layers", a.n_layers, b.n_layers);
  check("width", a.d_model, b.d_model);
  check("head size", a.head_dim, b.head_dim);
  check("vocabulary", a.vocab_size, b.vocab_size);
  check("context", a.context_length, b.context_length);
}

bool nothing_moved(const CheckpointDiff& d) {
  bool same =
      d.token_embedding == 0 && d.position_embedding == 0 && d.final_norm == 0 && d.lm_head == 0;
  for (const LayerDiff& l : d.layers) {
    same = same && l.heads_a == l.heads_b && l.ffn_a == l.ffn_b && l.qkv == 0 && l.o == 0 &&
           l.up == 0 && l.down == 0 && l.biases == 0 && l.norms == 0;
  }
  return same;
}

}  // namespace

CheckpointDiff diff_checkpoints(const Checkpoint& a, const Checkpoint& b) {
  check_comparable(a.config(), b.config());
  CheckpointDiff diff;
  diff.origin_a = a.origin();
  diff.origin_b = b.origin();
  diff.parameters_a = a.parameter_count();
  diff.parameters_b = b.parameter_count();
  const ModelView &x = a.view(), &y = b.view();
  diff.token_embedding = relative(x.token_embedding, y.token_embedding);
  diff.position_embedding = relative(x.position_embedding, y.position_embedding);
  Distance norm;
  norm.add(x.final_norm_weight, y.final_norm_weight);
  norm.add(x.final_norm_bias, y.final_norm_bias);
  diff.final_norm = norm.relative();
  diff.lm_head = relative(x.lm_head, y.lm_head);
  for (int l = 0; l < a.config().n_layers; ++l) {
    diff.layers.push_back(
        diff_layer(a.config().layers[l], x.layers[l], b.config().layers[l], y.layers[l]));
  }
  diff_config(a.raw_config(), b.raw_config(), diff);
  diff.identical = nothing_moved(diff);
  return diff;
}

json to_json(const CheckpointDiff& diff) {
  json layers = json::array();
  for (const LayerDiff& l : diff.layers) {
    // Of layers that differ in width there is nothing to compare.
    const auto ffn = [&](double distance) {
      return l.ffn_a == l.ffn_b ? json(distance) : json(nullptr);
    };
    layers.push_back({{"heads_a", l.heads_a},
                      {"heads_b", l.heads_b},
                      {"ffn_a", l.ffn_a},
                      {"ffn_b", l.ffn_b},
                      {"qkv", l.qkv},
                      {"o", l.o},
                      {"up", ffn(l.up)},
                      {"down", ffn(l.down)},
                      {"biases", l.biases},
                      {"norms", l.norms}});
  }
  return {{"a", diff.origin_a},
          {"b", diff.origin_b},
          {"identical", diff.identical},
          {"parameters_a", diff.parameters_a},
          {"parameters_b", diff.parameters_b},
          {"token_embedding", diff.token_embedding},
          {"position_embedding", diff.position_embedding},
          {"final_norm", diff.final_norm},
          {"lm_head", diff.lm_head},
          {"config", diff.config},
          {"layers", std::move(layers)}};
}

}  // namespace sentinel
