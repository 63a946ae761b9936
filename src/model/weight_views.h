// Non-owning views of a checkpoint's tensors in the roles they play, whatever the family's names
// and storage order. Valid as long as the Checkpoint they came from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sentinel {

// int8 needs the scales of its matrix.
enum class DType { f32, f16, bf16, int8 };
const char* to_string(DType type);
// Error (usage). Empty: none.
std::optional<DType> parse_dtype(const std::string& name);
size_t size_of(DType type);

// W [n_out, n_in]: element (o, i) stands at data + (o * out_stride + i * in_stride) elements. With
// scales it counts scales[o * scale_out_stride + i * scale_in_stride] times as much.
struct MatrixView {
  const std::byte* data = nullptr;
  DType dtype = DType::f32;
  int64_t n_out = 0, n_in = 0;
  int64_t out_stride = 0, in_stride = 0;
  std::string name;  // for messages: "h.0.attn.c_attn.weight"
  const float* scales = nullptr;
  int64_t scale_out_stride = 0, scale_in_stride = 0;

  bool empty() const { return data == nullptr; }
  float at(int64_t out, int64_t in) const;
  MatrixView transposed() const;
  MatrixView outputs(int64_t first, int64_t count) const;
  MatrixView inputs(int64_t first, int64_t count) const;
};

struct VectorView {
  const std::byte* data = nullptr;
  DType dtype = DType::f32;
  int64_t n = 0;
  std::string name;

  bool empty() const { return data == nullptr; }
  float at(int64_t i) const;
  VectorView part(int64_t first, int64_t count) const;
  std::vector<float> to_floats() const;  // [n]
};

struct HeadView {
  MatrixView q, k, v;                 // [head_dim, d_model]
  VectorView q_bias, k_bias, v_bias;  // [head_dim]
  MatrixView o;                       // [d_model, head_dim]: this head's columns of Wo
};

struct LayerView {
  VectorView norm1_weight, norm1_bias;  // [d_model]
  std::vector<HeadView> heads;          // [n_heads]
  VectorView o_bias;                    // [d_model]
  VectorView norm2_weight, norm2_bias;  // [d_model]
  MatrixView up;                        // [ffn_dim, d_model]
  VectorView up_bias;                   // [ffn_dim]
  MatrixView down;                      // [d_model, ffn_dim]
  VectorView down_bias;                 // [d_model]
};

struct ModelView {
  MatrixView token_embedding;     // [vocab_size, d_model]
  MatrixView position_embedding;  // [context_length, d_model]
  std::vector<LayerView> layers;
  VectorView final_norm_weight, final_norm_bias;  // [d_model]
  MatrixView lm_head;  // [vocab_size, d_model]; the token embedding when tied
};

// One stored element as float; of int8 the whole number.
float load_element(const std::byte* data, DType type);
// count elements with the given stride (in elements) into out[0..count).
void load_elements(const std::byte* data, DType type, int64_t stride, int64_t count, float* out);
// Row `row` of a matrix: n_in floats, scaled.
void load_row(const MatrixView& matrix, int64_t row, float* out);
// Its scales alone, on the first `count` of its elements.
void scale_row(const MatrixView& matrix, int64_t row, int64_t count, float* values);
// count floats into `out`, rounded to nearest even; beyond the type's range they become infinite,
// in int8 the nearest of -127 to 127.
void store_elements(const float* in, DType type, int64_t count, std::byte* out);
// Whether none of the `count` stored elements is NaN or infinite.
bool all_finite(const std::byte* data, DType type, int64_t count);

}  // namespace sentinel
