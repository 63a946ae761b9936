// All weights of a model, packed once into one arena; const afterwards.
#pragma once

#include <vector>

#include "base/aligned_buffer.h"
#include "base/thread_pool.h"
#include "model/agency/head_table.h"
#include "model/checkpoint/checkpoint.h"
#include "model/packed_matrix.h"

namespace sentinel {

struct PackedLayer {
  std::vector<float> norm1_weight, norm1_bias, norm2_weight, norm2_bias;  // [d_model]
  // Head-blocked: a kept head's q, k and v rows lie together: panels
  // [slot][q | k | v][head_dim_padded / 16] over K = d_model.
  PackedMatrix qkv;
  std::vector<float> qkv_bias;  // [slots * 3 * head_dim_padded]
  // A head's columns of Wo lie together: [slot] blocks of d_model / 16 panels over K =
  // head_dim_padded; o.panel_stride walks the panels of one block.
  PackedMatrix o;
  int64_t o_block_bytes = 0;
  std::vector<float> o_bias;  // [d_model_padded]
  PackedMatrix up, down;
  std::vector<float> up_bias;     // [ffn_padded]
  std::vector<float> down_bias;   // [d_model_padded]
  std::vector<int> slot_of_head;  // [n_heads]: -1 when removed
  int n_slots = 0;
  int ffn_padded = 0;
};

struct PackedWeights {
  int head_dim_padded = 0;
  int d_model_padded = 0;
  std::vector<float> position_embedding;  // [context_length, d_model]; empty: nothing is added
  std::vector<PackedLayer> layers;
  std::vector<float> final_norm_weight, final_norm_bias;
  PackedMatrix lm_head;  // where it is tied, tokens are embedded by its rows too
  int64_t total_bytes = 0;
  AlignedBuffer arena;
};

// Uses every thread of the pool. Error (bad_input) naming the tensor that holds NaN or infinity.
PackedWeights pack_weights(const Checkpoint& checkpoint, WeightType body, WeightType lm_head,
                           const std::vector<HeadId>& removed_heads, const KernelTable& kernels,
                           ThreadPool& pool);

// Gives the memory of one head's blocks back to the system; the head must never be planned again.
// Returns the bytes given back (whole pages).
int64_t release_head(PackedWeights& weights, int layer, int head);

}  // namespace sentinel
