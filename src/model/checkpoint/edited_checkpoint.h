// An editable f32 copy of a checkpoint's layers, and a Checkpoint made of it without any file.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "model/checkpoint/checkpoint.h"

namespace sentinel {

// Every matrix has one row of d_model floats per head element or neuron, so that removing heads or
// neurons removes rows.
struct EditableLayer {
  std::vector<int> head_ids;                  // [n_heads] ascending, in the unpruned model
  std::vector<float> q, k, v;                 // [n_heads * head_dim, d_model]
  std::vector<float> q_bias, k_bias, v_bias;  // [n_heads * head_dim]
  std::vector<float> o;                       // [n_heads * head_dim, d_model]: columns of Wo
  std::vector<float> o_bias;                  // [d_model]
  std::vector<float> up;                      // [ffn_dim, d_model]
  std::vector<float> up_bias;                 // [ffn_dim]
  std::vector<float> down;                    // [ffn_dim, d_model]: columns of W_down
  std::vector<float> down_bias;               // [d_model]
  // [d_model] as rounded by round_to(); empty: base's.
  std::vector<float> norm1_weight, norm1_bias, norm2_weight, norm2_bias;

  int n_heads() const { return static_cast<int>(head_ids.size()); }
  int ffn_dim() const { return static_cast<int>(up_bias.size()); }
  // Keeps the heads (neurons) with these ascending indices among those present.
  void keep_heads(std::span<const int> kept, int head_dim, int d_model);
  void keep_neurons(std::span<const int> kept, int d_model);
};

struct EditableModel {
  std::shared_ptr<const Checkpoint> base;  // norms, embeddings and lm_head are views of it
  std::vector<EditableLayer> layers;
  std::vector<float> position_embedding;  // [context_length, d_model]
  // [vocab_size, d_model] as rounded by round_to(); empty: base's.
  std::vector<float> token_embedding, lm_head;
  std::vector<float> final_norm_weight, final_norm_bias;  // [d_model], likewise

  explicit EditableModel(std::shared_ptr<const Checkpoint> checkpoint);
  // base's configuration with the layers' present widths.
  ModelConfig config() const;
  // Rounds every weight to what a checkpoint of `type` stores. Error (runtime): a value overflows.
  void round_to(DType type);
};

// The indices in [0, n) that are not among the ascending `removed`.
std::vector<int> all_but(int n, std::span<const int> removed);

EditableLayer copy_layer(const Checkpoint& checkpoint, int layer);

// Views of a layer's own matrices (norms it does not have are taken from `norms`); valid as long as
// `layer`.
LayerView view_of(const EditableLayer& layer, const LayerView& norms, int head_dim, int d_model);

// `tensors()` is empty: there is no file. raw_config() is what the saved config.json would say.
std::shared_ptr<const Checkpoint> as_checkpoint(std::shared_ptr<const EditableModel> model);

}  // namespace sentinel
