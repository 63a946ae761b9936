#include "model/packed_weights.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <deque>

#include "model/outlier_channels.h"
#include "model/staging.h"

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
        lm_head_(lm_head),
        staging_(checkpoint) {
    weights_.head_dim_padded = static_cast<int>(round_up(config_.head_dim, kHeadUnit));
    weights_.d_model_padded = static_cast<int>(round_up(config_.d_model, kPanel));
    read_positions();
    for (int l = 0; l < config_.n_layers; ++l) {
      if (is_integer(body_)) even_out_layer(l, removed);
      shape_layer(l, removed);
      checkpoint_.release_pages();
    }
    weights_.final_norm_weight = finite_floats(view_.final_norm_weight);
    weights_.final_norm_bias = finite_floats(view_.final_norm_bias);
    weights_.lm_head = packed_shape(lm_head_, config_.vocab_size, config_.d_model);
  }

  // Matrix by matrix, so that little of the file is in memory at a time.
  PackedWeights run(const KernelTable& kernels, ThreadPool& pool) {
    place();
    const auto pack = [&] {
      pack_tasks(kernels, pool);
      checkpoint_.release_pages();
    };
    for (int l = 0; l < config_.n_layers; ++l) {
      const PackedLayer& layer = weights_.layers[l];
      add_qkv(l);
      pack();
      add_o(l);
      pack();
      add_tasks({view_.layers[l].up}, layer.up, 0, layer.up.panels, config_.d_model);
      pack();
      add_tasks({view_.layers[l].down}, layer.down, 0, layer.down.panels, layer.ffn_padded);
      pack();
    }
    constexpr int64_t kHeadPanels = 128;  // 6 MB of GPT-2 small's f32
    for (int64_t p = 0; p < weights_.lm_head.panels; p += kHeadPanels) {
      const int64_t panels = std::min(kHeadPanels, weights_.lm_head.panels - p);
      add_tasks({rows(view_.lm_head, p * kPanel, panels * kPanel)}, weights_.lm_head, p, panels,
                config_.d_model);
      pack();
    }
    if (!config_.tied_lm_head) check_token_embedding(pool);
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

  void read_positions() {
    const MatrixView& view = view_.position_embedding;
    weights_.position_embedding.resize(static_cast<size_t>(view.n_out * view.n_in));
    for (int64_t row = 0; row < view.n_out; ++row) {
      float* out = weights_.position_embedding.data() + row * view.n_in;
      checkpoint_.read_row(view, row, out);
      if (!all_finite(reinterpret_cast<std::byte*>(out), DType::f32, view.n_in)) {
        throw checkpoint_.not_finite(view.name);
      }
    }
  }

  static bool is_removed(const std::vector<HeadId>& removed, HeadId id) {
    return std::find(removed.begin(), removed.end(), id) != removed.end();
  }

  void even_out_layer(int l, const std::vector<HeadId>& removed) {
    LayerView kept = view_.layers[l];
    kept.heads.clear();
    for (int h = 0; h < config_.layers[l].n_heads; ++h) {
      if (!is_removed(removed, {l, h})) kept.heads.push_back(view_.layers[l].heads[h]);
    }
    evened_.emplace_back(even_out(kept)).apply_to(view_.layers[l]);
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
      const bool gone = is_removed(removed, {l, h});
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

  // Outputs [begin, begin + n) of a matrix, as far as it has them.
  static MatrixView rows(const MatrixView& view, int64_t begin, int64_t n) {
    return view.outputs(begin, std::min(n, view.n_out - begin));
  }

  // Does and forgets what add_tasks() has listed.
  void pack_tasks(const KernelTable& kernels, ThreadPool& pool) {
    staging_.stage(views_, pool);
    std::atomic<size_t> next{0};
    std::atomic<const MatrixView*> broken{nullptr};
    size_t floats = 0;
    for (const PanelTask& task : tasks_) {
      floats = std::max(floats, static_cast<size_t>(pack_scratch(task)));
    }
    scratch_.resize(static_cast<size_t>(pool.size()));
    for (std::vector<float>& of_thread : scratch_) {
      if (of_thread.size() < floats) of_thread.resize(floats);
    }
    pool.run([&](int thread) {
      constexpr size_t kChunk = 4;
      for (size_t begin; (begin = next.fetch_add(kChunk)) < tasks_.size();) {
        for (size_t i = begin; i < std::min(begin + kChunk, tasks_.size()); ++i) {
          const MatrixView* bad = pack_panel(tasks_[i], kernels, scratch_[thread].data());
          if (bad) broken.store(bad);
        }
      }
    });
    if (broken.load()) throw checkpoint_.not_finite(broken.load()->name);
    tasks_.clear();
    sources_.clear();
    views_.clear();
  }

  // It stays in its file, where rows lie one behind the other.
  void check_token_embedding(ThreadPool& pool) {
    constexpr int64_t kRows = 2048;
    const MatrixView& all = view_.token_embedding;
    for (int64_t first = 0; first < all.n_out; first += kRows) {
      views_.push_back(rows(all, first, kRows));
      staging_.stage(views_, pool);
      const MatrixView block = views_.front();
      std::atomic<bool> finite{true};
      pool.run([&](int thread) {
        const Range mine = share(block.n_out, thread, pool.size());
        const MatrixView part = rows(block, mine.begin, mine.size());
        if (!all_finite(part.data, part.dtype, mine.size() * part.n_in)) finite = false;
      });
      if (!finite) throw checkpoint_.not_finite(all.name);
      views_.clear();
      checkpoint_.release_pages();
    }
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
      if (has_column_scales(matrix->type)) matrix->scales = reinterpret_cast<float*>(next);
      next += round_up(matrix->scale_bytes(), kAlign);
    }
  }

  // Panels [first, first + count) of `matrix` from the first outputs of the sources.
  void add_tasks(const std::vector<MatrixView>& sources, const PackedMatrix& matrix, int64_t first,
                 int64_t count, int64_t n_in, int64_t source_stride = 0) {
    std::vector<const MatrixView*>& list = sources_.emplace_back();
    for (const MatrixView& view : sources) list.push_back(&views_.emplace_back(view));
    for (int64_t p = 0; p < count; ++p) {
      tasks_.push_back({list, p * kPanel, n_in, matrix.type, matrix.k, matrix.panel(first + p),
                        source_stride, matrix.panel_scales(first + p)});
    }
  }

  void add_qkv(int l) {
    const PackedLayer& layer = weights_.layers[l];
    const int head_panels = weights_.head_dim_padded / kPanel;
    for (size_t h = 0; h < layer.slot_of_head.size(); ++h) {
      const int slot = layer.slot_of_head[h];
      if (slot < 0) continue;
      const HeadView& head = view_.layers[l].heads[h];
      int64_t panel = int64_t{slot} * 3 * head_panels;
      for (const MatrixView* m : {&head.q, &head.k, &head.v}) {
        add_tasks({*m}, layer.qkv, panel, head_panels, config_.d_model);
        panel += head_panels;
      }
    }
  }

  void add_o(int l) {
    const PackedLayer& layer = weights_.layers[l];
    std::vector<MatrixView> heads;
    for (size_t h = 0; h < layer.slot_of_head.size(); ++h) {
      if (layer.slot_of_head[h] >= 0) heads.push_back(view_.layers[l].heads[h].o);
    }
    if (heads.empty()) return;
    add_tasks(heads, layer.o, 0, layer.o.panels, weights_.head_dim_padded, layer.o_block_bytes);
  }

  const Checkpoint& checkpoint_;
  const ModelConfig& config_;
  ModelView view_;
  WeightType body_, lm_head_;
  PackedWeights weights_;
  Staging staging_;
  std::vector<std::vector<float>> scratch_;  // [thread]
  std::vector<PanelTask> tasks_;
  std::deque<std::vector<const MatrixView*>> sources_;  // what tasks_ point to
  std::deque<MatrixView> views_;                        // what sources_ point to
  std::deque<EvenedLayer> evened_;                      // what layers of view_ point to
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
