#include "model/plan.h"

namespace sentinel {
namespace {

void plan_layer(const PackedWeights& weights, const PackedLayer& layer, const HeadTable& heads,
                int index, LayerPlan& plan) {
  const int dp = weights.head_dim_padded, panels_per_head = 3 * dp / kPanel;
  plan.heads.clear();
  plan.qkv_panels.clear();
  plan.o_segments.clear();
  plan.heads.reserve(layer.n_slots);
  plan.qkv_panels.reserve(int64_t{layer.n_slots} * panels_per_head);
  plan.o_segments.reserve(layer.n_slots);
  plan.keeps_inputs = false;
  for (int h = 0; h < static_cast<int>(layer.slot_of_head.size()); ++h) {
    const int slot = layer.slot_of_head[h];
    if (slot < 0) continue;
    const float factor = heads.factor({index, h});
    if (factor <= 0) {
      if (!heads.status({index, h}).removed) plan.keeps_inputs = true;
      continue;
    }
    plan.heads.push_back({h, slot, factor});
    for (int p = 0; p < panels_per_head; ++p) {
      plan.qkv_panels.push_back(slot * panels_per_head + p);
    }
    plan.o_segments.push_back({slot * layer.o_block_bytes, slot * dp, dp});
  }
  plan.ffn_segment = {0, 0, static_cast<int32_t>(layer.down.k)};
}

// Of some panels, with their outputs' scales.
int64_t read_bytes(const PackedMatrix& matrix, int64_t panels) {
  const int64_t scales = has_column_scales(matrix.type) ? panels * kPanel * 4 : 0;
  return panels * matrix.panel_stride + scales;
}

}  // namespace

void build_plan(const PackedWeights& weights, const HeadTable& heads, Plan& plan,
                const MeanOutputs* means, bool leaves_holes) {
  const size_t n = weights.layers.size();
  plan.layers.resize(n);
  plan.weight_bytes = weights.lm_head.bytes() + weights.lm_head.scale_bytes();
  for (size_t l = 0; l < n; ++l) {
    const PackedLayer& layer = weights.layers[l];
    plan_layer(weights, layer, heads, static_cast<int>(l), plan.layers[l]);
    if (leaves_holes) plan.layers[l].keeps_inputs = false;
    plan.layers[l].o_bias.assign(layer.o_bias.begin(), layer.o_bias.end());
    if (means) means->add(static_cast<int>(l), heads, plan.layers[l].o_bias.data());
    plan.weight_bytes += read_bytes(layer.qkv, std::ssize(plan.layers[l].qkv_panels)) +
                         static_cast<int64_t>(plan.layers[l].heads.size()) * layer.o_block_bytes +
                         layer.o.scale_bytes() + layer.up.bytes() + layer.up.scale_bytes() +
                         layer.down.bytes() + layer.down.scale_bytes();
  }
  plan.version = heads.version();
}

OpBytes operation_weight_bytes(const PackedWeights& weights, const Plan& plan) {
  constexpr int64_t kFloat = sizeof(float);
  OpBytes bytes{};
  const auto add = [&](Op op, int64_t n) { bytes[static_cast<size_t>(op)] += n; };
  const auto floats = [](const std::vector<float>& values) {
    return static_cast<int64_t>(values.size()) * kFloat;
  };
  add(Op::lm_head, weights.lm_head.bytes() + weights.lm_head.scale_bytes());
  add(Op::norm, floats(weights.final_norm_weight) + floats(weights.final_norm_bias));
  for (size_t l = 0; l < weights.layers.size(); ++l) {
    const PackedLayer& layer = weights.layers[l];
    const LayerPlan& planned = plan.layers[l];
    const auto panels = static_cast<int64_t>(planned.qkv_panels.size());
    add(Op::qkv, read_bytes(layer.qkv, panels) + panels * kPanel * kFloat);
    add(Op::attention_output, static_cast<int64_t>(planned.heads.size()) * layer.o_block_bytes +
                                  layer.o.scale_bytes() + floats(planned.o_bias));
    add(Op::ffn_up, layer.up.bytes() + layer.up.scale_bytes() + floats(layer.up_bias));
    add(Op::ffn_down, layer.down.bytes() + layer.down.scale_bytes() + floats(layer.down_bias));
    const bool attends = !planned.heads.empty() || planned.keeps_inputs;
    if (attends) add(Op::norm, floats(layer.norm1_weight) + floats(layer.norm1_bias));
    if (layer.ffn_padded > 0) add(Op::norm, floats(layer.norm2_weight) + floats(layer.norm2_bias));
  }
  return bytes;
}

}  // namespace sentinel
