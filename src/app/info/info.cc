#include "app/info/info.h"

#include <fmt/format.h>

namespace sentinel {
namespace {

int64_t bytes_of(const MatrixView& view) {
  return view.n_out * view.n_in * static_cast<int64_t>(size_of(view.dtype));
}
int64_t bytes_of(const VectorView& view) {
  return view.n * static_cast<int64_t>(size_of(view.dtype));
}

struct LevelText {
  const char *name, *purpose;
  const char* promise;  // null: a growth of perplexity
};
constexpr LevelText kLevelTexts[kLevels] = {
    {"none", "debugging, the truth", "equals the published model to 1e-4"},
    {"default", "general use", "logits equal level 0 within 1e-3, same greedy text"},
    {"aggressive", "CPU production", nullptr},
    {"extreme", "maximum throughput", nullptr},
};

std::string promise_of(int level) {
  if (const char* promise = kLevelTexts[level].promise) return promise;
  return fmt::format("perplexity within +{}% of level 0", promised_growth_percent(level));
}

}  // namespace

CheckpointSummary summarise_checkpoint(const Checkpoint& checkpoint) {
  CheckpointSummary summary;
  summary.parameters = checkpoint.parameter_count();
  for (const CheckpointTensor& tensor : checkpoint.tensors()) {
    summary.bytes += static_cast<int64_t>(tensor.bytes);
    summary.bytes_by_dtype[to_string(tensor.dtype)] += static_cast<int64_t>(tensor.bytes);
    if (tensor.is_scales) {
      summary.bytes_by_role["int8_scales"] += static_cast<int64_t>(tensor.bytes);
    }
  }
  const ModelView& view = checkpoint.view();
  auto& roles = summary.bytes_by_role;
  roles["token_embedding"] = bytes_of(view.token_embedding);
  roles["position_embedding"] = bytes_of(view.position_embedding);
  if (!checkpoint.config().tied_lm_head) roles["lm_head"] = bytes_of(view.lm_head);
  roles["norm"] = bytes_of(view.final_norm_weight) + bytes_of(view.final_norm_bias);
  for (const LayerView& layer : view.layers) {
    roles["norm"] += bytes_of(layer.norm1_weight) + bytes_of(layer.norm1_bias) +
                     bytes_of(layer.norm2_weight) + bytes_of(layer.norm2_bias);
    for (const HeadView& head : layer.heads) {
      roles["attention"] += bytes_of(head.q) + bytes_of(head.k) + bytes_of(head.v) +
                            bytes_of(head.o) + bytes_of(head.q_bias) + bytes_of(head.k_bias) +
                            bytes_of(head.v_bias);
    }
    roles["attention"] += bytes_of(layer.o_bias);
    roles["ffn"] += bytes_of(layer.up) + bytes_of(layer.up_bias) + bytes_of(layer.down) +
                    bytes_of(layer.down_bias);
  }
  for (const LayerConfig& layer : checkpoint.config().layers) {
    summary.heads_per_layer.push_back(layer.n_heads);
    summary.ffn_per_layer.push_back(layer.ffn_dim);
  }
  return summary;
}

std::vector<LevelSummary> summarise_levels(const std::shared_ptr<const Checkpoint>& checkpoint,
                                           const ModelOptions& options) {
  std::vector<LevelSummary> levels;
  for (int level = 0; level < kLevels; ++level) {
    ModelOptions at_level = options;
    at_level.level = level;
    if (level == 0) {  // computes in f32 alone, and refuses others
      at_level.weights.reset();
      at_level.lm_head.reset();
      at_level.kv.reset();
    }
    const LevelText& text = kLevelTexts[level];
    levels.push_back({level, text.name, text.purpose, promise_of(level),
                      Model::create(checkpoint, at_level)->info()});
  }
  return levels;
}

}  // namespace sentinel
