#include "model/kv_cache.h"

#include <algorithm>

#include "base/error.h"

namespace sentinel {

WeightType panel_type_of(KvType type) {
  switch (type) {
    case KvType::f32:
      return WeightType::f32;
    case KvType::bf16:
      return WeightType::bf16;
    case KvType::int8:
      return WeightType::int8;
  }
  return WeightType::f32;
}

int64_t kv_position_bytes(KvType type, int head_dim_padded) {
  const WeightType panel = panel_type_of(type);
  const int64_t scales = type == KvType::int8 ? 2 * sizeof(float) : 0;
  return 2 * panel_bytes(panel, head_dim_padded) / kPanel + scales;
}

KvCache::KvCache(const PackedWeights& weights, KvType type, int max_sequences, int max_length)
    : panel_type_(panel_type_of(type)),
      element_bytes_(static_cast<int>(panel_bytes(panel_type_, 1) / kPanel)),
      head_dim_(weights.head_dim_padded),
      d_model_padded_(weights.d_model_padded),
      capacity_(static_cast<int>(round_up(max_length, 64))),
      max_length_(max_length),
      max_sequences_(max_sequences) {
  for (const PackedLayer& layer : weights.layers) {
    first_slot_.push_back(slots_total_);
    slots_total_ += layer.n_slots;
  }
  const size_t parts = static_cast<size_t>(slots_total_) * max_sequences;
  data_ = AlignedBuffer(parts * 2 * capacity_ * head_dim_ * element_bytes_);
  if (type == KvType::int8) {
    scales_ = AlignedBuffer(parts * 2 * capacity_ * sizeof(float));
    output_scales_.assign(static_cast<size_t>(head_dim_), 1.0F);
  }
  valid_.assign(parts, 0);
  holes_.resize(parts);
}

void KvCache::append(const KernelTable& kernels, int sequence, int layer, int slot, int first,
                     int rows, const float* k, const float* v, int64_t stride) {
  AppendArgs args{k, v, stride, rows, first, head_dim_};
  args.keys = keys(sequence, layer, slot);
  args.values = values(sequence, layer, slot);
  args.value_panel_stride = value_panel_stride();
  if (panel_type_ == WeightType::int8) {
    args.key_scales = key_scales(sequence, layer, slot);
    args.value_scales = value_scales(sequence, layer, slot);
  }
  kernels.append[static_cast<int>(panel_type_)](args);
  valid(sequence, layer, slot) = first + rows;
}

void KvCache::truncate(int sequence, int length) {
  const size_t begin = static_cast<size_t>(sequence) * slots_total_;
  for (size_t i = begin; i < begin + static_cast<size_t>(slots_total_); ++i) {
    valid_[i] = std::min(valid_[i], length);
    std::vector<Range>& holes = holes_[i];
    while (!holes.empty() && holes.back().begin >= length) holes.pop_back();
    if (!holes.empty()) holes.back().end = std::min<int64_t>(holes.back().end, length);
  }
}

void KvCache::leave_hole(int sequence, int layer, int slot, int position) {
  int& from = valid(sequence, layer, slot);
  if (from >= position) return;
  holes_[index(sequence, layer, slot)].push_back({from, position});
  from = position;
}

int KvCache::missing(int sequence, int layer, int slot, int position) const {
  int64_t count = 0;
  for (const Range& hole : holes(sequence, layer, slot)) {
    count += std::max<int64_t>(0, std::min<int64_t>(hole.end, position) - hole.begin);
  }
  return static_cast<int>(count);
}

void KvCache::prepare_inputs() {
  if (inputs_.size() > 0) return;
  const size_t sequences = first_slot_.size() * static_cast<size_t>(max_sequences_);
  inputs_ = AlignedBuffer::sparse(sizeof(float) * sequences * max_length_ * d_model_padded_);
}

}  // namespace sentinel
