// Keys and values of every kept head, each head's part contiguous and laid out as packed panels, so
// that the same products that read weights read the cache.
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "model/packed_weights.h"

namespace sentinel {

// Per (sequence, layer, slot):
//   K: [capacity / 16][head_dim_padded][16]   positions are the outputs of q K^T
//   V: [head_dim_padded / 16][capacity][16]   positions are the inputs of p V
class KvCache {
 public:
  KvCache(const PackedWeights& weights, int d_model, int max_sequences, int max_length);

  int capacity() const { return capacity_; }  // max_length rounded up to 16
  int max_length() const { return max_length_; }
  int max_sequences() const { return max_sequences_; }

  float* keys(int sequence, int layer, int slot) { return part(sequence, layer, slot); }
  float* values(int sequence, int layer, int slot) {
    return part(sequence, layer, slot) + int64_t{capacity_} * head_dim_;
  }
  // How many leading positions of this head are present: a closed head falls behind.
  int& valid(int sequence, int layer, int slot) { return valid_[index(sequence, layer, slot)]; }

  // rows of k and v [rows, stride] become positions first .. first + rows - 1.
  void append(int sequence, int layer, int slot, int first, int rows, const float* k,
              const float* v, int64_t stride);
  void truncate(int sequence, int length);

  // The layer's normed inputs [max_length, d_model_padded] of one sequence, kept while one of its
  // heads is off so that the head can catch up; null until prepare_inputs(layer).
  void prepare_inputs(int layer);
  float* inputs(int sequence, int layer) {
    float* base = inputs_[layer].as<float>();
    return base ? base + int64_t{sequence} * max_length_ * d_model_padded_ : nullptr;
  }
  int64_t bytes_per_token(int layer_slots_total) const {
    return int64_t{2} * layer_slots_total * head_dim_ * 4;
  }

 private:
  size_t index(int sequence, int layer, int slot) const {
    return static_cast<size_t>(sequence) * slots_total_ + first_slot_[layer] + slot;
  }
  float* part(int sequence, int layer, int slot) {
    return data_.as<float>() + static_cast<int64_t>(index(sequence, layer, slot)) * 2 * capacity_ * head_dim_;
  }

  int head_dim_, d_model_padded_, capacity_, max_length_, max_sequences_;
  int slots_total_ = 0;
  std::vector<int> first_slot_;
  AlignedBuffer data_;
  std::vector<int> valid_;
  std::vector<AlignedBuffer> inputs_;
};

}  // namespace sentinel
