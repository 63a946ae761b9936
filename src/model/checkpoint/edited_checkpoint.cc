#include "model/checkpoint/edited_checkpoint.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/checkpoint/int8_output.h"
#include "model/checkpoint/model_output.h"
#include "model/outlier_channels.h"

namespace sentinel {
namespace {

constexpr int64_t kBlock = 64;

// Reads W [n_out, n_in] into out [n_out, n_in], walking the stored order so that every page and
// cache line is read once.
void append_rows(const MatrixView& w, std::vector<float>& out) {
  const size_t begin = out.size();
  out.resize(begin + static_cast<size_t>(w.n_out * w.n_in));
  float* rows = out.data() + begin;
  if (w.in_stride == 1) {
    for (int64_t o = 0; o < w.n_out; ++o) load_row(w, o, rows + o * w.n_in);
    return;
  }
  const MatrixView columns = w.transposed();
  std::vector<float> column(static_cast<size_t>(kBlock * w.n_out));
  for (int64_t first = 0; first < w.n_in; first += kBlock) {
    const int64_t n = std::min(kBlock, w.n_in - first);
    for (int64_t i = 0; i < n; ++i) load_row(columns, first + i, column.data() + i * w.n_out);
    for (int64_t o = 0; o < w.n_out; ++o) {
      for (int64_t i = 0; i < n; ++i) rows[o * w.n_in + first + i] = column[i * w.n_out + o];
    }
  }
}

void append(const VectorView& v, std::vector<float>& out) {
  const std::vector<float> values = v.to_floats();
  out.insert(out.end(), values.begin(), values.end());
}

MatrixView rows_view(const std::vector<float>& data, int64_t first, int64_t n, int64_t width,
                     const char* name) {
  const auto* base = reinterpret_cast<const std::byte*>(data.data() + first * width);
  return {base, DType::f32, n, width, width, 1, name};
}

MatrixView columns_view(const std::vector<float>& data, int64_t first, int64_t n, int64_t width,
                        const char* name) {
  const auto* base = reinterpret_cast<const std::byte*>(data.data() + first * width);
  return {base, DType::f32, width, n, 1, width, name};
}

VectorView vector_view(const std::vector<float>& data, int64_t first, int64_t n, const char* name) {
  return {reinterpret_cast<const std::byte*>(data.data() + first), DType::f32, n, name};
}

// Keeps `width` consecutive values for each kept index.
void keep(std::vector<float>& values, std::span<const int> kept, int64_t width) {
  float* out = values.data();
  for (const int index : kept) {
    const float* in = values.data() + index * width;
    if (in != out) std::copy_n(in, width, out);
    out += width;
  }
  values.resize(kept.size() * static_cast<size_t>(width));
  values.shrink_to_fit();
}

void round_values(std::vector<float>& values, DType type) {
  std::vector<std::byte> stored(values.size() * size_of(type));
  store_elements(values.data(), type, std::ssize(values), stored.data());
  load_elements(stored.data(), type, 1, std::ssize(values), values.data());
  for (const float value : values) {
    if (!std::isfinite(value)) {
      throw runtime_error("a weight does not fit in {}; give --dtype f32", to_string(type));
    }
  }
}

// Norms, which int8 checkpoints store in f32.
void round_norm(const VectorView& stored, DType type, std::vector<float>& rounded) {
  if (stored.empty() || type == DType::int8 || stored.dtype == type) return;
  rounded = stored.to_floats();
  round_values(rounded, type);
}

void replace_norm(const std::vector<float>& rounded, VectorView& norm) {
  if (!rounded.empty()) norm = vector_view(rounded, 0, norm.n, norm.name.c_str());
}

void replace_table(const std::vector<float>& rounded, MatrixView& table) {
  if (!rounded.empty()) table = rows_view(rounded, 0, table.n_out, table.n_in, table.name.c_str());
}

class EditedCheckpoint : public Checkpoint {
 public:
  explicit EditedCheckpoint(std::shared_ptr<const EditableModel> model)
      : model_(std::move(model)),
        config_(model_->config()),
        raw_config_(output_config(*model_->base, config_)),
        view_(model_->base->view()),
        origin_("edited from " + model_->base->origin()) {
    for (int l = 0; l < config_.n_layers; ++l) {
      view_.layers[l] = view_of(model_->layers[l], model_->base->view().layers[l], config_.head_dim,
                                config_.d_model);
    }
    view_.position_embedding = rows_view(model_->position_embedding, 0, config_.context_length,
                                         config_.d_model, "position embedding");
    replace_table(model_->token_embedding, view_.token_embedding);
    if (config_.tied_lm_head) view_.lm_head = view_.token_embedding;
    replace_table(model_->lm_head, view_.lm_head);
    replace_norm(model_->final_norm_weight, view_.final_norm_weight);
    replace_norm(model_->final_norm_bias, view_.final_norm_bias);
    const int64_t d = config_.d_model;
    parameter_count_ = (int64_t{config_.vocab_size} * (config_.tied_lm_head ? 1 : 2) +
                        config_.context_length + 2) *
                       d;
    for (const auto& layer : config_.layers) {
      const int64_t width = int64_t{layer.n_heads} * config_.head_dim;
      parameter_count_ += 4 * width * d + 3 * width + 2 * layer.ffn_dim * d + layer.ffn_dim + 6 * d;
    }
  }

  const std::filesystem::path& folder() const override { return model_->base->folder(); }
  const ModelConfig& config() const override { return config_; }
  const nlohmann::json& raw_config() const override { return raw_config_; }
  const ModelView& view() const override { return view_; }
  const std::vector<CheckpointTensor>& tensors() const override { return tensors_; }
  int64_t parameter_count() const override { return parameter_count_; }
  const std::string& origin() const override { return origin_; }
  void release_pages() const override { model_->base->release_pages(); }
  bool in_a_file(std::span<const std::byte> stored) const override {
    return model_->base->in_a_file(stored);
  }
  void read(std::span<const std::byte> stored, std::byte* out) const override {
    model_->base->read(stored, out);
  }

 private:
  std::shared_ptr<const EditableModel> model_;
  ModelConfig config_;
  nlohmann::json raw_config_;
  ModelView view_;
  std::vector<CheckpointTensor> tensors_;
  int64_t parameter_count_ = 0;
  std::string origin_;
};

}  // namespace

void EditableLayer::keep_heads(std::span<const int> kept, int head_dim, int d_model) {
  for (auto* matrix : {&q, &k, &v, &o}) keep(*matrix, kept, int64_t{head_dim} * d_model);
  for (auto* bias : {&q_bias, &k_bias, &v_bias}) keep(*bias, kept, head_dim);
  std::vector<int> ids;
  for (const int index : kept) ids.push_back(head_ids[index]);
  head_ids = std::move(ids);
}

void EditableLayer::keep_neurons(std::span<const int> kept, int d_model) {
  keep(up, kept, d_model);
  keep(down, kept, d_model);
  keep(up_bias, kept, 1);
}

std::vector<int> all_but(int n, std::span<const int> removed) {
  std::vector<int> kept;
  for (int i = 0; i < n; ++i) {
    if (!std::binary_search(removed.begin(), removed.end(), i)) kept.push_back(i);
  }
  return kept;
}

EditableLayer copy_layer(const Checkpoint& checkpoint, int index) {
  const LayerView& view = checkpoint.view().layers[index];
  EditableLayer layer;
  layer.head_ids = checkpoint.config().layers[index].head_ids;
  for (const HeadView& head : view.heads) {
    append_rows(head.q, layer.q);
    append_rows(head.k, layer.k);
    append_rows(head.v, layer.v);
    append_rows(head.o.transposed(), layer.o);
    append(head.q_bias, layer.q_bias);
    append(head.k_bias, layer.k_bias);
    append(head.v_bias, layer.v_bias);
  }
  append(view.o_bias, layer.o_bias);
  append_rows(view.up, layer.up);
  append(view.up_bias, layer.up_bias);
  append_rows(view.down.transposed(), layer.down);
  append(view.down_bias, layer.down_bias);
  return layer;
}

EditableModel::EditableModel(std::shared_ptr<const Checkpoint> checkpoint)
    : base(std::move(checkpoint)) {
  for (int l = 0; l < base->config().n_layers; ++l) {
    layers.push_back(copy_layer(*base, l));
    base->release_pages();
  }
  append_rows(base->view().position_embedding, position_embedding);
}

ModelConfig EditableModel::config() const {
  ModelConfig config = base->config();
  for (int l = 0; l < config.n_layers; ++l) {
    config.layers[l].head_ids = layers[l].head_ids;
    config.layers[l].n_heads = layers[l].n_heads();
    config.layers[l].ffn_dim = layers[l].ffn_dim();
  }
  return config;
}

namespace {

// As save_model() does: outlier channels are evened out first.
void round_layer_to_int8(EditableLayer& layer, const LayerView& norms, int head_dim, int64_t d) {
  const EvenedLayer evened = even_out(view_of(layer, norms, head_dim, static_cast<int>(d)));
  const auto round_scaled = [&](std::vector<float>& rows, const std::vector<float>& factors) {
    const auto at = [&](size_t i) { return factors[i % static_cast<size_t>(d)]; };
    for (size_t i = 0; i < rows.size() && !factors.empty(); ++i) rows[i] *= at(i);
    round_to_int8(rows, d, 0, "a refitted matrix");
    for (size_t i = 0; i < rows.size() && !factors.empty(); ++i) rows[i] /= at(i);
  };
  for (auto* rows : {&layer.q, &layer.k, &layer.v}) round_scaled(*rows, evened.qkv_factors);
  round_scaled(layer.up, evened.up_factors);
  for (auto* inputs : {&layer.o, &layer.down}) round_to_int8(*inputs, d, 1, "a refitted matrix");
}

}  // namespace

void EditableModel::round_to(DType type) {
  if (type == DType::f32) return;
  const ModelView& view = base->view();
  const int64_t d = base->config().d_model;
  const auto round_table = [&](const MatrixView& stored, std::vector<float>& rounded) {
    if (stored.dtype == type) return;
    rounded.clear();
    append_rows(stored, rounded);
    base->release_pages();
    type == DType::int8 ? round_to_int8(rounded, d, 0, stored.name) : round_values(rounded, type);
  };
  round_table(view.token_embedding, token_embedding);
  if (!base->config().tied_lm_head) round_table(view.lm_head, lm_head);
  if (type != DType::int8) round_values(position_embedding, type);
  round_norm(view.final_norm_weight, type, final_norm_weight);
  round_norm(view.final_norm_bias, type, final_norm_bias);
  for (EditableLayer& l : layers) {
    const LayerView& stored = view.layers[static_cast<size_t>(&l - layers.data())];
    round_norm(stored.norm1_weight, type, l.norm1_weight);
    round_norm(stored.norm1_bias, type, l.norm1_bias);
    round_norm(stored.norm2_weight, type, l.norm2_weight);
    round_norm(stored.norm2_bias, type, l.norm2_bias);
    if (type == DType::int8) {
      round_layer_to_int8(l, stored, base->config().head_dim, d);
      continue;
    }
    for (auto* values : {&l.q, &l.k, &l.v, &l.q_bias, &l.k_bias, &l.v_bias, &l.o, &l.o_bias, &l.up,
                         &l.up_bias, &l.down, &l.down_bias}) {
      round_values(*values, type);
    }
  }
}

LayerView view_of(const EditableLayer& layer, const LayerView& norms, int head_dim, int d_model) {
  LayerView view = norms;
  view.heads.clear();
  for (int h = 0; h < layer.n_heads(); ++h) {
    const int64_t first = int64_t{h} * head_dim;
    HeadView& head = view.heads.emplace_back();
    head.q = rows_view(layer.q, first, head_dim, d_model, "Wq");
    head.k = rows_view(layer.k, first, head_dim, d_model, "Wk");
    head.v = rows_view(layer.v, first, head_dim, d_model, "Wv");
    head.q_bias = vector_view(layer.q_bias, first, head_dim, "bq");
    head.k_bias = vector_view(layer.k_bias, first, head_dim, "bk");
    head.v_bias = vector_view(layer.v_bias, first, head_dim, "bv");
    head.o = columns_view(layer.o, first, head_dim, d_model, "Wo");
  }
  view.o_bias = vector_view(layer.o_bias, 0, d_model, "bo");
  view.up = rows_view(layer.up, 0, layer.ffn_dim(), d_model, "W_up");
  view.up_bias = vector_view(layer.up_bias, 0, layer.ffn_dim(), "b_up");
  view.down = columns_view(layer.down, 0, layer.ffn_dim(), d_model, "W_down");
  view.down_bias = vector_view(layer.down_bias, 0, d_model, "b_down");
  replace_norm(layer.norm1_weight, view.norm1_weight);
  replace_norm(layer.norm1_bias, view.norm1_bias);
  replace_norm(layer.norm2_weight, view.norm2_weight);
  replace_norm(layer.norm2_bias, view.norm2_bias);
  return view;
}

std::shared_ptr<const Checkpoint> as_checkpoint(std::shared_ptr<const EditableModel> model) {
  return std::make_shared<EditedCheckpoint>(std::move(model));
}

}  // namespace sentinel
