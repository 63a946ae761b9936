#include "model/packed_weights.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>

namespace sentinel {
namespace {

constexpr int64_t kAlign = 64;

class Packer {
 public:
  Packer(const Checkpoint& checkpoint, WeightType body, WeightType lm_head,
         const std::vector<HeadId>& removed)
      : checkpoint_(checkpoint),
        config_(checkpoint.config()),
        view_(checkpoint.view()),
        body_(body),
        lm_head_(lm_head) {
    weights_.head_dim_padded = static_cast<int>(round_up(config_.head_dim, kHeadUnit));
    weights_.d_model_padded = static_cast<int>(round_up(config_.d_model, kPanel));
    for (int l = 0; l < config_.n_layers; ++l) shape_layer(l, removed);
    weights_.final_norm_weight = finite_floats(view_.final_norm_weight);
    weights_.final_norm_bias = finite_floats(view_.final_norm_bias);
    weights_.lm_head = packed_shape(lm_head_, config_.vocab_size, config_.d_model);
  }

  // Layer by layer, so that the mapped pages of a packed layer can leave memory at once.
  PackedWeights run(const KernelTable& kernels, ThreadPool& pool) {
    place();
    for (int l = 0; l < config_.n_layers; ++l) {
      tasks_.clear();
      sources_.clear();
      list_layer(l);
      pack_tasks(kernels, pool);
      checkpoint_.release_pages();
    }
    constexpr int64_t kHeadPanels = 128;  // 6 MB of GPT-2 small's f32
    for (int64_t p = 0; p < weights_.lm_head.panels; p += kHeadPanels) {
      tasks_.clear();
      sources_.clear();
      add_tasks({&view_.lm_head}, weights_.lm_head, p,
                std::min(kHeadPanels, weights_.lm_head.panels - p), p * kPanel, config_.d_model);
      pack_tasks(kernels, pool);
      checkpoint_.release_pages();
    }
    return std::move(weights_);
  }

 private:
  std::vector<float> finite_floats(const VectorView& view, int64_t padded = 0) const {
    std::vector<float> values = view.to_floats();
    for (const float v : values) {
      if (!std::isfinite(v)) throw checkpoint_.not_finite(view.name);
    }
    if (padded > static_cast<int64_t>(values.size())) values.resize(padded, 0.0F);
    return values;
  }

  void shape_layer(int l, const std::vector<HeadId>& removed) {
    const LayerConfig& lc = config_.layers[l];
    const LayerView& view = view_.layers[l];
    PackedLayer layer;
    layer.norm1_weight = finite_floats(view.norm1_weight);
    layer.norm1_bias = finite_floats(view.norm1_bias);
    layer.norm2_weight = finite_floats(view.norm2_weight);
    layer.norm2_bias = finite_floats(view.norm2_bias);
    layer.o_bias = finite_floats(view.o_bias, weights_.d_model_padded);
    layer.down_bias = finite_floats(view.down_bias, weights_.d_model_padded);
    layer.ffn_padded = static_cast<int>(round_up(lc.ffn_dim, kPanel));
    layer.up_bias = finite_floats(view.up_bias, layer.ffn_padded);
    const int dp = weights_.head_dim_padded;
    for (int h = 0; h < lc.n_heads; ++h) {
      const bool gone = std::find(removed.begin(), removed.end(), HeadId{l, h}) != removed.end();
      layer.slot_of_head.push_back(gone ? -1 : layer.n_slots++);
      if (gone) continue;
      const HeadView& head = view.heads[h];
      for (const VectorView* bias : {&head.q_bias, &head.k_bias, &head.v_bias}) {
        const std::vector<float> values = finite_floats(*bias, dp);
        layer.qkv_bias.insert(layer.qkv_bias.end(), values.begin(), values.end());
      }
    }
    layer.qkv = packed_shape(body_, int64_t{3} * dp * layer.n_slots, config_.d_model);
    layer.o = packed_shape(body_, config_.d_model, dp);
    layer.o_block_bytes = layer.o.bytes();
    layer.up = packed_shape(body_, lc.ffn_dim, config_.d_model);
    layer.down = packed_shape(body_, config_.d_model, layer.ffn_padded);
    weights_.layers.push_back(std::move(layer));
  }

  void pack_tasks(const KernelTable& kernels, ThreadPool& pool) {
    std::atomic<size_t> next{0};
    std::atomic<const MatrixView*> broken{nullptr};
    int64_t scratch_size = 0;
    for (const PanelTask& task : tasks_) scratch_size = std::max(scratch_size, pack_scratch(task));
    std::vector<std::vector<float>> scratch(pool.size(), std::vector<float>(scratch_size));
    pool.run([&](int thread) {
      constexpr size_t kChunk = 4;
      for (size_t begin; (begin = next.fetch_add(kChunk)) < tasks_.size();) {
        for (size_t i = begin; i < std::min(begin + kChunk, tasks_.size()); ++i) {
          const MatrixView* bad = pack_panel(tasks_[i], kernels, scratch[thread].data());
          if (bad) broken.store(bad);
        }
      }
    });
    if (broken.load()) throw checkpoint_.not_finite(broken.load()->name);
  }

  // The order in memory is the order in which a decode step reads.
  void place() {
    std::vector<std::pair<PackedMatrix*, int64_t>> order;
    for (PackedLayer& layer : weights_.layers) {
      order.emplace_back(&layer.qkv, layer.qkv.bytes());
      order.emplace_back(&layer.o, layer.o_block_bytes * layer.n_slots);
      order.emplace_back(&layer.up, layer.up.bytes());
      order.emplace_back(&layer.down, layer.down.bytes());
    }
    order.emplace_back(&weights_.lm_head, weights_.lm_head.bytes());
    int64_t total = 0;
    for (const auto& [matrix, bytes] : order) {
      total += round_up(bytes, kAlign) + round_up(matrix->scale_bytes(), kAlign);
    }
    weights_.total_bytes = total;
    // Tile loads may read, and ignore, up to 1 KiB behind a panel.
    weights_.arena = AlignedBuffer(static_cast<size_t>(total) + 1024);
    std::byte* next = weights_.arena.data();
    for (const auto& [matrix, bytes] : order) {
      matrix->data = next;
      next += round_up(bytes, kAlign);
      matrix->scales = reinterpret_cast<float*>(next);
      next += round_up(matrix->scale_bytes(), kAlign);
    }
  }

  // Panels [first, first + count) of `matrix` from outputs [out_begin, ...) of the sources.
  void add_tasks(std::vector<const MatrixView*> sources, const PackedMatrix& matrix, int64_t first,
                 int64_t count, int64_t out_begin, int64_t n_in, int64_t source_stride = 0) {
    sources_.push_back(std::make_unique<std::vector<const MatrixView*>>(std::move(sources)));
    for (int64_t p = 0; p < count; ++p) {
      tasks_.push_back({*sources_.back(), out_begin + p * kPanel, n_in, matrix.type, matrix.k,
                        matrix.panel(first + p), source_stride,
                        matrix.scales + (first + p) * kPanel});
    }
  }

  void list_layer(int l) {
    const PackedLayer& layer = weights_.layers[l];
    const LayerView& view = view_.layers[l];
    const int head_panels = weights_.head_dim_padded / kPanel;
    std::vector<const MatrixView*> o_sources;
    for (size_t h = 0; h < layer.slot_of_head.size(); ++h) {
      const int slot = layer.slot_of_head[h];
      if (slot < 0) continue;
      const HeadView& head = view.heads[h];
      int64_t panel = int64_t{slot} * 3 * head_panels;
      for (const MatrixView* m : {&head.q, &head.k, &head.v}) {
        add_tasks({m}, layer.qkv, panel, head_panels, 0, config_.d_model);
        panel += head_panels;
      }
      o_sources.push_back(&head.o);
    }
    if (!o_sources.empty()) {
      add_tasks(o_sources, layer.o, 0, layer.o.panels, 0, weights_.head_dim_padded,
                layer.o_block_bytes);
    }
    add_tasks({&view.up}, layer.up, 0, layer.up.panels, 0, config_.d_model);
    add_tasks({&view.down}, layer.down, 0, layer.down.panels, 0, layer.ffn_padded);
  }

  const Checkpoint& checkpoint_;
  const ModelConfig& config_;
  const ModelView& view_;
  WeightType body_, lm_head_;
  PackedWeights weights_;
  std::vector<PanelTask> tasks_;
  std::vector<std::unique_ptr<std::vector<const MatrixView*>>> sources_;  // what tasks_ point to
};

}  // namespace

int64_t release_head(PackedWeights& weights, int layer, int head) {
  const PackedLayer& packed = weights.layers[layer];
  const int slot = packed.slot_of_head[head];
  if (slot < 0) return 0;
  const int64_t qkv_bytes = int64_t{3} * weights.head_dim_padded / kPanel * packed.qkv.panel_stride;
  const auto release = [&](const std::byte* begin, int64_t bytes) {
    return weights.arena.release(static_cast<size_t>(begin - weights.arena.data()),
                                 static_cast<size_t>(bytes));
  };
  return static_cast<int64_t>(
      release(packed.qkv.data + slot * qkv_bytes, qkv_bytes) +
      release(packed.o.data + slot * packed.o_block_bytes, packed.o_block_bytes));
}

PackedWeights pack_weights(const Checkpoint& checkpoint, WeightType body, WeightType lm_head,
                           const std::vector<HeadId>& removed_heads, const KernelTable& kernels,
                           ThreadPool& pool) {
  return Packer(checkpoint, body, lm_head, removed_heads).run(kernels, pool);
}

}  // namespace sentinel
