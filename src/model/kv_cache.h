// Keys and values of every kept head, each head's part contiguous and laid out as packed panels, so
// that the same products that read weights read the cache.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/thread_pool.h"
#include "model/packed_weights.h"

namespace sentinel {

WeightType panel_type_of(KvType type);
// Bytes of one position of one head: key, value and, for int8, the scale of each.
int64_t kv_position_bytes(KvType type, int head_dim_padded);

// Per (sequence, layer, slot), in the panel layout of the matching weight type:
//   K: [capacity / 16] panels over head_dim_padded inputs: positions are the outputs of q K^T
//   V: [head_dim_padded / 16] panels over capacity inputs: positions are the inputs of p V
// int8: a key's scale is that of an output; a value's belongs to an input, so p takes it over.
class KvCache {
 public:
  KvCache(const PackedWeights& weights, KvType type, int max_sequences, int max_length);

  WeightType panel_type() const { return panel_type_; }

  int capacity() const { return capacity_; }  // max_length rounded up to 64
  int max_length() const { return max_length_; }
  int max_sequences() const { return max_sequences_; }

  std::byte* keys(int sequence, int layer, int slot) { return part(sequence, layer, slot); }
  std::byte* values(int sequence, int layer, int slot) {
    return part(sequence, layer, slot) + int64_t{capacity_} * head_dim_ * element_bytes_;
  }
  int64_t key_panel_stride() const { return int64_t{head_dim_} * kPanel * element_bytes_; }
  int64_t value_panel_stride() const { return int64_t{capacity_} * kPanel * element_bytes_; }
  // int8 only: [capacity], one per position.
  float* key_scales(int sequence, int layer, int slot) {
    return scales_.as<float>() + index(sequence, layer, slot) * 2 * capacity_;
  }
  float* value_scales(int sequence, int layer, int slot) {
    return key_scales(sequence, layer, slot) + capacity_;
  }
  // int8 only: the scales of p V, which are 1. [head_dim_padded]
  const float* output_scales() const { return output_scales_.data(); }
  // How many leading positions of this head are present: a closed head falls behind.
  int& valid(int sequence, int layer, int slot) { return valid_[index(sequence, layer, slot)]; }

  // rows of k and v [rows, stride] become positions first .. first + rows - 1.
  void append(const KernelTable& kernels, int sequence, int layer, int slot, int first, int rows,
              const float* k, const float* v, int64_t stride);
  void truncate(int sequence, int length);

  // Positions from the head's last one up to `position` are never seen by it.
  void leave_hole(int sequence, int layer, int slot, int position);
  std::span<const Range> holes(int sequence, int layer, int slot) const {
    return holes_[index(sequence, layer, slot)];
  }
  // How many of the positions below `position` lie in holes.
  int missing(int sequence, int layer, int slot, int position) const;

  // The layer's normed inputs [max_length, d_model_padded] of one sequence, kept while one of its
  // heads is off so that the head can catch up; null until prepare_inputs().
  void prepare_inputs();
  float* inputs(int sequence, int layer) {
    const int64_t index = int64_t{layer} * max_sequences_ + sequence;
    return inputs_.data() ? inputs_.as<float>() + index * max_length_ * d_model_padded_ : nullptr;
  }

 private:
  size_t index(int sequence, int layer, int slot) const {
    return static_cast<size_t>(sequence) * slots_total_ + first_slot_[layer] + slot;
  }
  std::byte* part(int sequence, int layer, int slot) {
    return data_.data() + static_cast<int64_t>(index(sequence, layer, slot)) * 2 * capacity_ *
                              head_dim_ * element_bytes_;
  }

  WeightType panel_type_;
  int element_bytes_;
  int head_dim_, d_model_padded_, capacity_, max_length_, max_sequences_;
  int slots_total_ = 0;
  std::vector<int> first_slot_;
  AlignedBuffer data_, scales_;
  std::vector<float> output_scales_;
  std::vector<int> valid_;
  std::vector<std::vector<Range>> holes_;  // ascending
  AlignedBuffer inputs_;                   // of all layers; only what is written takes memory
};

}  // namespace sentinel
