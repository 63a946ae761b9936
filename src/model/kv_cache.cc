#include "model/kv_cache.h"

#include <algorithm>

namespace sentinel {

KvCache::KvCache(const PackedWeights& weights, int d_model, int max_sequences, int max_length)
    : head_dim_(weights.head_dim_padded),
      d_model_padded_(static_cast<int>(round_up(d_model, kPanel))),
      capacity_(static_cast<int>(round_up(max_length, kPanel))),
      max_length_(max_length),
      max_sequences_(max_sequences),
      inputs_(weights.layers.size()) {
  for (const PackedLayer& layer : weights.layers) {
    first_slot_.push_back(slots_total_);
    slots_total_ += layer.n_slots;
  }
  const size_t parts = static_cast<size_t>(slots_total_) * max_sequences;
  data_ = AlignedBuffer(parts * 2 * capacity_ * head_dim_ * sizeof(float));
  valid_.assign(parts, 0);
}

void KvCache::append(int sequence, int layer, int slot, int first, int rows, const float* k,
                     const float* v, int64_t stride) {
  float* keys_base = keys(sequence, layer, slot);
  float* values_base = values(sequence, layer, slot);
  for (int r = 0; r < rows; ++r, k += stride, v += stride) {
    const int position = first + r;
    float* key = keys_base + int64_t{position / kPanel} * kPanel * head_dim_ + position % kPanel;
    for (int e = 0; e < head_dim_; ++e) key[e * kPanel] = k[e];
    for (int p = 0; p < head_dim_ / kPanel; ++p) {
      float* value = values_base + (int64_t{p} * capacity_ + position) * kPanel;
      std::copy_n(v + p * kPanel, kPanel, value);
    }
  }
  valid(sequence, layer, slot) = first + rows;
}

void KvCache::truncate(int sequence, int length) {
  const size_t begin = static_cast<size_t>(sequence) * slots_total_;
  for (int i = 0; i < slots_total_; ++i) valid_[begin + i] = std::min(valid_[begin + i], length);
}

void KvCache::prepare_inputs(int layer) {
  if (inputs_[layer].size() > 0) return;
  inputs_[layer] = AlignedBuffer(sizeof(float) * max_sequences_ * max_length_ * d_model_padded_);
}

}  // namespace sentinel
