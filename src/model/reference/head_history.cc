#include "model/reference/head_history.h"

namespace sentinel {
namespace reference {

void HeadHistory::extend(const HeadTable& heads, const MeanOutputs* means,
                         const std::vector<LayerParameters>& layers, int end) {
  if (settings_.empty() || settings_.back().version != heads.version()) {
    Setting& setting = settings_.emplace_back(Setting{heads.version(), {}});
    for (int l = 0; l < static_cast<int>(layers.size()); ++l) {
      LayerSetting& layer = setting.layers.emplace_back();
      for (int h = 0; h < static_cast<int>(layers[l].heads.size()); ++h) {
        layer.factors.push_back(heads.factor({l, h}));
      }
      layer.bias = layers[l].o_bias;
      if (means) means->add(l, heads, layer.bias.data());
    }
  }
  setting_.resize(static_cast<size_t>(end), settings_.size() - 1);
}

}  // namespace reference
}  // namespace sentinel
