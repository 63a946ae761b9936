// What differs between two checkpoints: shapes, and how far the weights have moved.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "model/checkpoint/checkpoint.h"

namespace sentinel {

struct LayerDiff {
  std::vector<int> heads_a, heads_b;  // ids in the unpruned model
  int ffn_a = 0, ffn_b = 0;
  // |B - A| / |A| over what both have: q, k, v and o of shared heads; FFN only of equal width.
  double qkv = 0, o = 0, up = 0, down = 0, biases = 0, norms = 0;
};

struct CheckpointDiff {
  std::string origin_a, origin_b;
  int64_t parameters_a = 0, parameters_b = 0;
  // The output matrix is the token embedding where the two are tied.
  double token_embedding = 0, position_embedding = 0, final_norm = 0, lm_head = 0;
  std::vector<LayerDiff> layers;
  std::vector<std::string> config;  // "key: a -> b" of configuration keys that differ
  bool identical = false;           // same shapes and every weight equal
};

// Error (usage): the models have different basic shapes (layers, width, head size, vocabulary).
CheckpointDiff diff_checkpoints(const Checkpoint& a, const Checkpoint& b);

nlohmann::json to_json(const CheckpointDiff& diff);

}  // namespace sentinel
