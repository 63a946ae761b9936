#include "model/flops.h"

namespace sentinel {
namespace {

double active_width(const ModelConfig& config, const HeadTable& heads, int layer) {
  int active = 0;
  for (int h = 0; h < heads.n_heads(layer); ++h) active += heads.is_active({layer, h});
  return double(active) * config.head_dim;
}

}  // namespace

double lm_head_flops(const ModelConfig& config) { return 2.0 * config.vocab_size * config.d_model; }

double output_flops(const ModelConfig& config, const HeadTable& heads, int layer) {
  const double ffn = config.layers[static_cast<size_t>(layer)].ffn_dim;
  return 2.0 * config.d_model * (active_width(config, heads, layer) + 2 * ffn);
}

double token_flops(const ModelConfig& config, const HeadTable& heads, int context) {
  double flops = lm_head_flops(config);
  for (int l = 0; l < config.n_layers; ++l) {
    const double width = active_width(config, heads, l);
    const double qkv = 3 * width * config.d_model, attention = 2 * width * context;
    flops += 2 * (qkv + attention) + output_flops(config, heads, l);
  }
  return flops;
}

}  // namespace sentinel
