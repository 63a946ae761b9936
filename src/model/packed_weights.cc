#include "model/packed_weights.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace sentinel {
namespace {

constexpr int64_t kAlign = 64;

std::vector<float> finite_floats(const VectorView& view, int64_t padded = 0) {
  std::vector<float> values = view.to_floats();
  for (float v : values) {
    if (!std::isfinite(v)) {
      throw bad_input("tensor \"{}\" holds NaN or infinity; the checkpoint is damaged, get it again",
                      view.name);
    }
  }
  if (padded > static_cast<int64_t>(values.size())) values.resize(padded, 0.0F);
  return values;
}

// One panel to pack: where it comes from and where it goes.
struct PanelTask {
  const MatrixView* source;
  int64_t out_begin;
  int64_t n_in;
  WeightType type;
  int64_t k;
  std::byte* destination;
};

class Packer {
 public:
  Packer(const Checkpoint& checkpoint, WeightType body, WeightType lm_head,
         const std::vector<HeadId>& removed)
      : config_(checkpoint.config()), view_(checkpoint.view()), body_(body), lm_head_(lm_head) {
    weights_.head_dim_padded = static_cast<int>(round_up(config_.head_dim, kPanel));
    weights_.d_model_padded = static_cast<int>(round_up(config_.d_model, kPanel));
    for (int l = 0; l < config_.n_layers; ++l) shape_layer(l, removed);
    weights_.final_norm_weight = finite_floats(view_.final_norm_weight);
    weights_.final_norm_bias = finite_floats(view_.final_norm_bias);
    weights_.lm_head = packed_shape(lm_head_, config_.vocab_size, config_.d_model);
  }

  PackedWeights run(ThreadPool& pool) {
    place();
    list_tasks();
    std::atomic<size_t> next{0};
    std::atomic<const MatrixView*> broken{nullptr};
    int64_t max_k = 0;
    for (const PanelTask& task : tasks_) max_k = std::max(max_k, std::max(task.k, task.n_in));
    std::vector<std::vector<float>> scratch(pool.size(), std::vector<float>(32 * (max_k + 16)));
    pool.run([&](int thread) {
      constexpr size_t kChunk = 8;
      for (size_t begin; (begin = next.fetch_add(kChunk)) < tasks_.size();) {
        for (size_t i = begin; i < std::min(begin + kChunk, tasks_.size()); ++i) {
          const PanelTask& t = tasks_[i];
          if (!pack_panel(*t.source, t.out_begin, 0, t.n_in, t.type, t.k, t.destination,
                          scratch[thread].data())) {
            broken.store(t.source);
          }
        }
      }
    });
    if (broken.load()) {
      throw bad_input("tensor \"{}\" holds NaN or infinity; the checkpoint is damaged, get it again",
                      broken.load()->name);
    }
    return std::move(weights_);
  }

 private:
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
    for (const auto& [matrix, bytes] : order) total += round_up(bytes, kAlign);
    weights_.total_bytes = total;
    weights_.arena = AlignedBuffer(static_cast<size_t>(total));
    std::byte* next = weights_.arena.data();
    for (const auto& [matrix, bytes] : order) {
      matrix->data = next;
      next += round_up(bytes, kAlign);
    }
  }

  void add_tasks(const MatrixView& source, const PackedMatrix& matrix, std::byte* data,
                 int64_t panels, int64_t n_in) {
    for (int64_t p = 0; p < panels; ++p) {
      tasks_.push_back({&source, p * kPanel, n_in, matrix.type, matrix.k,
                        data + p * matrix.panel_stride});
    }
  }

  void list_tasks() {
    for (int l = 0; l < config_.n_layers; ++l) {
      const PackedLayer& layer = weights_.layers[l];
      const LayerView& view = view_.layers[l];
      const int head_panels = weights_.head_dim_padded / kPanel;
      for (size_t h = 0; h < layer.slot_of_head.size(); ++h) {
        const int slot = layer.slot_of_head[h];
        if (slot < 0) continue;
        const HeadView& head = view.heads[h];
        int64_t panel = int64_t{slot} * 3 * head_panels;
        for (const MatrixView* m : {&head.q, &head.k, &head.v}) {
          add_tasks(*m, layer.qkv, layer.qkv.panel(panel), head_panels, config_.d_model);
          panel += head_panels;
        }
        add_tasks(head.o, layer.o, layer.o.data + slot * layer.o_block_bytes, layer.o.panels,
                  weights_.head_dim_padded);
      }
      add_tasks(view.up, layer.up, layer.up.data, layer.up.panels, config_.d_model);
      add_tasks(view.down, layer.down, layer.down.data, layer.down.panels, layer.ffn_padded);
    }
    add_tasks(view_.lm_head, weights_.lm_head, weights_.lm_head.data, weights_.lm_head.panels,
              config_.d_model);
  }

  const ModelConfig& config_;
  const ModelView& view_;
  WeightType body_, lm_head_;
  PackedWeights weights_;
  std::vector<PanelTask> tasks_;
};

}  // namespace

PackedWeights pack_weights(const Checkpoint& checkpoint, WeightType body, WeightType lm_head,
                           const std::vector<HeadId>& removed_heads, ThreadPool& pool) {
  PackedWeights weights = Packer(checkpoint, body, lm_head, removed_heads).run(pool);
  checkpoint.release_pages();
  return weights;
}

}  // namespace sentinel
