#include "model/agency/head_means.h"

#include "base/error.h"

namespace sentinel {

MeanOutputs::MeanOutputs(const Checkpoint& checkpoint, const HeadMeans& means)
    : d_model_(checkpoint.config().d_model) {
  const auto& layers = checkpoint.view().layers;
  const auto d = static_cast<size_t>(checkpoint.config().head_dim);
  bool fits = means.layers.size() == layers.size();
  for (size_t l = 0; fits && l < layers.size(); ++l) {
    fits = means.layers[l].size() == layers[l].heads.size() * d;
  }
  if (!fits) {
    throw usage_error("head_means: these are means of another model; collect them for this one");
  }
  std::vector<float> column(static_cast<size_t>(d_model_));
  for (size_t l = 0; l < layers.size(); ++l) {
    std::vector<float> outputs(layers[l].heads.size() * static_cast<size_t>(d_model_), 0.0F);
    for (size_t h = 0; h < layers[l].heads.size(); ++h) {
      const MatrixView columns = layers[l].heads[h].o.transposed();
      for (size_t e = 0; e < d; ++e) {
        load_row(columns, static_cast<int64_t>(e), column.data());
        const float mean = means.layers[l][h * d + e];
        float* out = outputs.data() + h * static_cast<size_t>(d_model_);
        for (int64_t i = 0; i < d_model_; ++i) out[i] += mean * column[i];
      }
    }
    outputs_.push_back(std::move(outputs));
  }
  checkpoint.release_pages();
}

void MeanOutputs::add(int layer, const HeadTable& heads, float* bias) const {
  for (int h = 0; h < heads.n_heads(layer); ++h) {
    const float closed = 1 - heads.factor({layer, h});
    if (closed == 0) continue;
    const float* output = outputs_[layer].data() + h * d_model_;
    for (int64_t i = 0; i < d_model_; ++i) bias[i] += closed * output[i];
  }
}

}  // namespace sentinel
