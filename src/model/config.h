// The shape of a decoder transformer. Layers may differ in width: pruned models need it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/types.h"

namespace sentinel {

inline constexpr int kLevels = 4;  // of optimisation, 0 to 3

struct LayerConfig {
  int n_heads = 0;            // heads present in the checkpoint; 0 is allowed
  int ffn_dim = 0;            // neurons present; 0 is allowed
  std::vector<int> head_ids;  // [n_heads] ascending: their indices in the unpruned model
};

// What a level holds the layers' weights in; empty: its own type. Indexed by level.
using WeightsOfLevel = std::array<std::optional<WeightType>, kLevels>;

struct ModelConfig {
  std::string family;  // "gpt2"
  int n_layers = 0;
  int d_model = 0;
  int head_dim = 0;
  int n_heads = 0;  // heads per layer of the unpruned model
  int ffn_dim = 0;  // neurons per layer of the unpruned model
  int vocab_size = 0;
  int context_length = 0;  // highest number of positions
  float norm_epsilon = 1e-5F;
  Activation activation = Activation::gelu_tanh;
  bool tied_lm_head = true;
  int eos_token = -1;                  // -1: none
  std::vector<float> attention_scale;  // [n_layers], multiplies Q K^T
  std::vector<LayerConfig> layers;     // [n_layers]
  // Given where the own type of level 2 or 3 costs more quality than the level promises, as
  // `sentinel prune` has measured.
  WeightsOfLevel weights_of_level = {};

  int total_heads() const {
    int n = 0;
    for (const auto& layer : layers) n += layer.n_heads;
    return n;
  }
};

}  // namespace sentinel
