#include "app/prune/calibration.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "model/agency/contribution.h"
#include "model/agency/tracking.h"

namespace sentinel {
namespace {

// Sums over rows of entropies and contribution norms of one layer's heads.
class HeadSums {
 public:
  HeadSums(const ContributionNorms& norms, int layer, int n_heads, int head_dim)
      : norms_(norms),
        layer_(layer),
        n_heads_(n_heads),
        d_(head_dim),
        entropy_(n_heads_),
        utilization_(n_heads_),
        output_(n_heads_) {}

  void add(const FeatureBlock& block, ThreadPool& pool) {
    pool.run([&](int thread) {
      const Range mine = share(n_heads_, thread, pool.size());
      for (auto h = mine.begin; h < mine.end; ++h) add_head(block, h);
    });
    rows_ += std::count_if(block.positions, block.positions + block.rows,
                           [](int position) { return position > 0; });
  }

  void finish(LayerStats& stats) const {
    const double scale = rows_ > 0 ? 1.0 / static_cast<double>(rows_) : 0;
    for (int h = 0; h < n_heads_; ++h) {
      stats.entropy.push_back(entropy_[h] * scale);
      stats.utilization.push_back(utilization_[h] * scale);
      stats.output.push_back(output_[h] * scale);
    }
  }

 private:
  void add_head(const FeatureBlock& block, int64_t h) {
    for (int r = 0; r < block.rows; ++r) {
      if (block.positions[r] == 0) continue;
      const double entropy = block.entropy[int64_t{r} * n_heads_ + h];
      entropy_[h] += entropy;
      utilization_[h] += utilization_of(entropy, block.positions[r] + 1);
      const float* context = block.x + int64_t{r} * block.features + h * d_;
      output_[h] += norms_.norm(layer_, static_cast<int>(h), context);
    }
  }

  const ContributionNorms& norms_;
  const int layer_, n_heads_, d_;
  std::vector<double> entropy_, utilization_, output_;
  int64_t rows_ = 0;
};

}  // namespace

PackedMoments PackedMoments::pack(const Moments& m) {
  PackedMoments p;
  p.n = m.n_x;
  p.mean.assign(m.mean_x.begin(), m.mean_x.end());
  p.upper.reserve(static_cast<size_t>(m.n_x) * (m.n_x + 1) / 2);
  for (int64_t i = 0; i < m.n_x; ++i) {
    for (int64_t j = i; j < m.n_x; ++j) p.upper.push_back(static_cast<float>(m.xx[i * m.n_x + j]));
  }
  return p;
}

Moments PackedMoments::unpack() const {
  Moments m;
  m.n_x = n;
  m.weight = 1;
  m.mean_x.assign(mean.begin(), mean.end());
  m.xx.resize(static_cast<size_t>(n) * n);
  const float* next = upper.data();
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = i; j < n; ++j) m.xx[i * n + j] = m.xx[j * n + i] = *next++;
  }
  return m;
}

namespace {

void add_hash(const MatrixView& m, std::string& text) {
  std::vector<float> values(static_cast<size_t>(m.n_out * m.n_in));
  for (int64_t row = 0; row < m.n_out; ++row) load_row(m, row, values.data() + row * m.n_in);
  const auto* bytes = reinterpret_cast<const char*>(values.data());
  text += fmt::format("\n{}", sha256_hex({bytes, values.size() * sizeof(float)}));
}

void add_hash(const VectorView& v, std::string& text) {
  add_hash({v.data, v.dtype, 1, v.n, v.n, 1, v.name}, text);
}

// Of a model without tensors of its own: an edited one.
void add_view(const ModelView& view, std::string& text) {
  add_hash(view.token_embedding, text);
  add_hash(view.position_embedding, text);
  for (const LayerView& layer : view.layers) {
    for (const HeadView& head : layer.heads) {
      for (const MatrixView* m : {&head.q, &head.k, &head.v, &head.o}) add_hash(*m, text);
      for (const VectorView* v : {&head.q_bias, &head.k_bias, &head.v_bias}) add_hash(*v, text);
    }
    for (const MatrixView* m : {&layer.up, &layer.down}) add_hash(*m, text);
    for (const VectorView* v :
         {&layer.norm1_weight, &layer.norm1_bias, &layer.o_bias, &layer.norm2_weight,
          &layer.norm2_bias, &layer.up_bias, &layer.down_bias}) {
      add_hash(*v, text);
    }
  }
  add_hash(view.final_norm_weight, text);
  add_hash(view.final_norm_bias, text);
  add_hash(view.lm_head, text);
}

}  // namespace

std::string model_fingerprint(const Checkpoint& checkpoint) {
  std::string text = checkpoint.raw_config().dump();
  if (checkpoint.tensors().empty()) add_view(checkpoint.view(), text);
  for (const CheckpointTensor& tensor : checkpoint.tensors()) {
    const auto* bytes = reinterpret_cast<const char*>(tensor.data);
    text += fmt::format("\n{} {}", tensor.name, sha256_hex({bytes, tensor.bytes}));
  }
  return sha256_hex(text);
}

void check_calibration(const std::string& name, size_t tokens) {
  if (tokens >= kMinCalibrationTokens) return;
  throw usage_error("{}: the text has {} tokens, at least {} are needed; give a longer one",
                    printable(name), tokens, kMinCalibrationTokens);
}

CalibrationStats collect_stats(std::shared_ptr<const Checkpoint> checkpoint,
                               const TokenWindows& windows, const StatsOptions& options,
                               SublayerRunner& runner, const StatsProgress& progress) {
  const ModelConfig& config = checkpoint->config();
  const int n_sublayers = 2 * config.n_layers;
  CalibrationStats stats;
  for (const auto& window : windows) {
    stats.tokens += std::ssize(window) - 1;
    stats.window = std::max(stats.window, static_cast<int>(window.size()));
  }
  std::optional<ContributionNorms> norms;
  if (options.attention) norms.emplace(*checkpoint, runner.kernels(), runner.pool());
  Stream stream = embed(*checkpoint, windows);
  EditableLayer layer;
  std::vector<float> weights;
  for (int i = 0; i < n_sublayers; ++i) {
    throw_if_set(options.cancel);
    const SublayerId id = sublayer(i);
    const bool attention = id.kind == SublayerKind::attention;
    if (attention) {
      layer = copy_layer(*checkpoint, id.layer);
      stats.layers.emplace_back();
    }
    const PackedSublayer packed(*checkpoint, layer, id, runner.kernels(), runner.pool(),
                                options.type);
    if (attention ? !options.attention : !options.ffn) {
      runner.run(packed, stream, &stream, {});
    } else {
      const int features = options.moments ? packed.features() : 0;
      MomentAccumulator sums(features, 0, runner.kernels(), runner.pool());
      std::optional<HeadSums> heads;
      if (attention) heads.emplace(*norms, id.layer, layer.n_heads(), config.head_dim);
      runner.run(packed, stream, &stream, [&](const FeatureBlock& block) {
        weights.resize(static_cast<size_t>(block.rows));
        for (int r = 0; r < block.rows; ++r) weights[r] = block.positions[r] == 0 ? 0 : 1;
        if (options.moments) sums.add(block.x, nullptr, weights.data(), block.rows);
        if (heads && block.features > 0) heads->add(block, runner.pool());
      });
      LayerStats& out = stats.layers.back();
      (attention ? out.attention : out.ffn) = PackedMoments::pack(sums.finish());
      if (heads) heads->finish(out);
    }
    if (progress) progress(i + 1, n_sublayers);
  }
  checkpoint->release_pages();
  return stats;
}

}  // namespace sentinel
