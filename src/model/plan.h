// What one forward pass does, per layer: made once per change of the head table, never per token.
#pragma once

#include <vector>

#include "model/agency/head_means.h"
#include "model/agency/head_table.h"
#include "model/op_trace.h"
#include "model/packed_weights.h"

namespace sentinel {

struct PlannedHead {
  int head;      // index in the head table
  int slot;      // where its weights and its KV cache lie
  float factor;  // f * g > 0
};

struct LayerPlan {
  std::vector<PlannedHead> heads;   // the active ones
  std::vector<int32_t> qkv_panels;  // panels of the active heads
  std::vector<Segment> o_segments;  // Wo columns of the active heads
  Segment ffn_segment;              // K of the down projection
  bool keeps_inputs = false;        // a head is off that may come back: keep normed inputs
  std::vector<float> o_bias;        // [d_model_padded] Wo's, plus the means of closed heads
};

struct Plan {
  uint64_t version = 0;  // of the head table it was made from
  std::vector<LayerPlan> layers;
  int64_t weight_bytes = 0;  // read by one decode step
};

// Rebuilds `plan` in place; allocates only the first time. `means` null: what a closed head leaves
// is nothing. `leaves_holes`: no inputs are kept for heads that are off.
void build_plan(const PackedWeights& weights, const HeadTable& heads, Plan& plan,
                const MeanOutputs* means = nullptr, bool leaves_holes = false);

// What one decode step reads, by operation. KV bytes are left out.
OpBytes operation_weight_bytes(const PackedWeights& weights, const Plan& plan);

}  // namespace sentinel
