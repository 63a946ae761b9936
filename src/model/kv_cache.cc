#include "model/kv_cache.h"

#include <algorithm>

#include "base/bf16.h"
#include "base/error.h"

namespace sentinel {

WeightType panel_type_of(KvType type) {
  switch (type) {
    case KvType::f32: return WeightType::f32;
    case KvType::bf16: return WeightType::bf16;
    case KvType::int8: break;
  }
  throw usage_error("kv: int8 is not supported; choose f32 or bf16");
}

int64_t kv_element_bytes(KvType type) { return panel_type_of(type) == WeightType::f32 ? 4 : 2; }

KvCache::KvCache(const PackedWeights& weights, KvType type, int max_sequences, int max_length)
    : panel_type_(panel_type_of(type)),
      element_bytes_(static_cast<int>(kv_element_bytes(type))),
      head_dim_(weights.head_dim_padded),
      d_model_padded_(weights.d_model_padded),
      capacity_(static_cast<int>(round_up(max_length, 64))),
      max_length_(max_length),
      max_sequences_(max_sequences),
      inputs_(weights.layers.size()) {
  for (const PackedLayer& layer : weights.layers) {
    first_slot_.push_back(slots_total_);
    slots_total_ += layer.n_slots;
  }
  const size_t parts = static_cast<size_t>(slots_total_) * max_sequences;
  data_ = AlignedBuffer(parts * 2 * capacity_ * head_dim_ * element_bytes_);
  valid_.assign(parts, 0);
}

namespace {

// One key: element e stands in panel row e, its position is the column.
void write_key_f32(std::byte* panel, int column, const float* k, int head_dim) {
  float* out = reinterpret_cast<float*>(panel) + column;
  for (int e = 0; e < head_dim; ++e) out[e * kPanel] = k[e];
}

// bf16 panels interleave inputs by two: [e / 2][16][2].
void write_key_bf16(std::byte* panel, int column, const float* k, int head_dim) {
  auto* out = reinterpret_cast<uint16_t*>(panel) + 2 * column;
  for (int e = 0; e < head_dim; e += 2, out += 2 * kPanel) {
    out[0] = to_bf16(k[e]);
    out[1] = to_bf16(k[e + 1]);
  }
}

}  // namespace

void KvCache::append(int sequence, int layer, int slot, int first, int rows, const float* k,
                     const float* v, int64_t stride) {
  std::byte* keys_base = keys(sequence, layer, slot);
  std::byte* values_base = values(sequence, layer, slot);
  const bool f32 = panel_type_ == WeightType::f32;
  for (int r = 0; r < rows; ++r, k += stride, v += stride) {
    const int position = first + r;
    std::byte* key_panel = keys_base + position / kPanel * key_panel_stride();
    (f32 ? write_key_f32 : write_key_bf16)(key_panel, position % kPanel, k, head_dim_);
    for (int p = 0; p < head_dim_ / kPanel; ++p) {
      std::byte* panel = values_base + p * value_panel_stride();
      if (f32) {
        std::copy_n(v + p * kPanel, kPanel, reinterpret_cast<float*>(panel) + int64_t{position} * kPanel);
      } else {
        auto* out = reinterpret_cast<uint16_t*>(panel) + int64_t{position / 2} * 2 * kPanel + position % 2;
        for (int c = 0; c < kPanel; ++c) out[2 * c] = to_bf16(v[p * kPanel + c]);
      }
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
