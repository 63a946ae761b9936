// GPT-2's tensors as transformers names and lays them out, made from views.
#include <algorithm>
#include <utility>

#include "base/error.h"
#include "model/checkpoint/int8_output.h"
#include "model/families/gpt2.h"

namespace sentinel::gpt2 {
namespace {

constexpr int64_t kBlock = 64;

// A matrix that stands at outputs [first, first + n_out) of a wider stored one.
struct Part {
  MatrixView matrix;
  int64_t first;
};
struct BiasPart {
  VectorView vector;
  int64_t first;
};

// Conv1D: stored [n_in, n_out]; what no part covers is 0.
OutputTensor conv1d(std::string name, DType dtype, int64_t n_in, int64_t n_out,
                    std::vector<Part> parts) {
  return {std::move(name),
          dtype,
          {n_in, n_out},
          [n_in, n_out, parts = std::move(parts)](TensorSink& sink) {
            std::vector<float> block(static_cast<size_t>(kBlock * n_out)), row(kBlock);
            for (int64_t first = 0; first < n_in; first += kBlock) {
              const int64_t n = std::min(kBlock, n_in - first);
              std::fill(block.begin(), block.end(), 0.0F);
              for (const Part& part : parts) {
                const MatrixView m = part.matrix.inputs(first, n);
                for (int64_t o = 0; o < m.n_out; ++o) {
                  load_row(m, o, row.data());
                  for (int64_t i = 0; i < n; ++i) block[i * n_out + part.first + o] = row[i];
                }
              }
              sink.put(std::span(block).first(static_cast<size_t>(n * n_out)));
            }
          }};
}

// Conv1D whose inputs come in parts: input i of a part is stored row part.first + i.
OutputTensor conv1d_inputs(std::string name, DType dtype, int64_t n_in, int64_t n_out,
                           std::vector<Part> parts) {
  return {std::move(name),
          dtype,
          {n_in, n_out},
          [n_in, n_out, parts = std::move(parts)](TensorSink& sink) {
            std::vector<float> row(static_cast<size_t>(n_out));
            int64_t next = 0;
            const auto zeros_to = [&](int64_t end) {
              std::fill(row.begin(), row.end(), 0.0F);
              for (; next < end; ++next) sink.put(row);
            };
            for (const Part& part : parts) {
              const MatrixView columns = part.matrix.transposed();
              zeros_to(part.first);
              for (int64_t i = 0; i < columns.n_out; ++i, ++next) {
                load_row(columns, i, row.data());
                sink.put(row);
              }
            }
            zeros_to(n_in);
          }};
}

OutputTensor bias(std::string name, DType dtype, int64_t n, std::vector<BiasPart> parts) {
  return {std::move(name), dtype, {n}, [n, parts = std::move(parts)](TensorSink& sink) {
            std::vector<float> values(static_cast<size_t>(n), 0.0F);
            for (const BiasPart& part : parts) {
              const std::vector<float> piece = part.vector.to_floats();
              std::copy(piece.begin(), piece.end(), values.begin() + part.first);
            }
            sink.put(values);
          }};
}

OutputTensor rows(std::string name, DType dtype, const MatrixView& m) {
  return {std::move(name), dtype, {m.n_out, m.n_in}, [m](TensorSink& sink) {
            std::vector<float> row(static_cast<size_t>(m.n_in));
            for (int64_t o = 0; o < m.n_out; ++o) {
              load_row(m, o, row.data());
              sink.put(row);
            }
          }};
}

// A matrix whose outputs are counted by that axis of its shape.
void add(OutputTensor matrix, size_t output_axis, std::vector<OutputTensor>& out) {
  if (matrix.dtype == DType::int8) {
    add_int8(std::move(matrix), output_axis, out);
  } else {
    out.push_back(std::move(matrix));
  }
}
constexpr size_t kConv1dOutputs = 1, kRowOutputs = 0;

// What is neither product nor table: int8 would cost more than it saves.
DType vector_type(DType dtype) { return dtype == DType::int8 ? DType::f32 : dtype; }

void add_attention(const ModelConfig& config, const LayerView& view, const LayerConfig& present,
                   const LayerConfig& shape, const std::string& name, DType dtype,
                   std::vector<OutputTensor>& out) {
  const int64_t d = config.head_dim, width = int64_t{shape.n_heads} * d;
  std::vector<Part> qkv, proj;
  std::vector<BiasPart> qkv_bias;
  for (int h = 0; h < present.n_heads; ++h) {
    const auto at = std::find(shape.head_ids.begin(), shape.head_ids.end(), present.head_ids[h]);
    const int64_t first = (at - shape.head_ids.begin()) * d;
    const HeadView& head = view.heads[h];
    qkv.push_back({head.q, first});
    qkv.push_back({head.k, width + first});
    qkv.push_back({head.v, 2 * width + first});
    qkv_bias.push_back({head.q_bias, first});
    qkv_bias.push_back({head.k_bias, width + first});
    qkv_bias.push_back({head.v_bias, 2 * width + first});
    proj.push_back({head.o, first});
  }
  const DType vectors = vector_type(dtype);
  add(conv1d(name + "c_attn.weight", dtype, config.d_model, 3 * width, qkv), kConv1dOutputs, out);
  out.push_back(bias(name + "c_attn.bias", vectors, 3 * width, qkv_bias));
  add(conv1d_inputs(name + "c_proj.weight", dtype, width, config.d_model, proj), kConv1dOutputs,
      out);
  out.push_back(bias(name + "c_proj.bias", vectors, config.d_model, {{view.o_bias, 0}}));
}

}  // namespace

std::vector<OutputTensor> output_tensors(const ModelConfig& config, const ModelView& view,
                                         const ModelConfig& shape, DType dtype) {
  const int64_t d = config.d_model;
  const DType vectors = vector_type(dtype);
  std::vector<OutputTensor> out;
  add(rows("transformer.wte.weight", dtype, view.token_embedding), kRowOutputs, out);
  out.push_back(rows("transformer.wpe.weight", vectors, view.position_embedding));
  for (int l = 0; l < config.n_layers; ++l) {
    const LayerView& layer = view.layers[l];
    const std::string name = fmt::format("transformer.h.{}.", l);
    const int64_t ffn = shape.layers[l].ffn_dim;
    out.push_back(bias(name + "ln_1.weight", vectors, d, {{layer.norm1_weight, 0}}));
    out.push_back(bias(name + "ln_1.bias", vectors, d, {{layer.norm1_bias, 0}}));
    add_attention(config, layer, config.layers[l], shape.layers[l], name + "attn.", dtype, out);
    out.push_back(bias(name + "ln_2.weight", vectors, d, {{layer.norm2_weight, 0}}));
    out.push_back(bias(name + "ln_2.bias", vectors, d, {{layer.norm2_bias, 0}}));
    add(conv1d(name + "mlp.c_fc.weight", dtype, d, ffn, {{layer.up, 0}}), kConv1dOutputs, out);
    out.push_back(bias(name + "mlp.c_fc.bias", vectors, ffn, {{layer.up_bias, 0}}));
    add(conv1d_inputs(name + "mlp.c_proj.weight", dtype, ffn, d, {{layer.down, 0}}), kConv1dOutputs,
        out);
    out.push_back(bias(name + "mlp.c_proj.bias", vectors, d, {{layer.down_bias, 0}}));
  }
  out.push_back(bias("transformer.ln_f.weight", vectors, d, {{view.final_norm_weight, 0}}));
  out.push_back(bias("transformer.ln_f.bias", vectors, d, {{view.final_norm_bias, 0}}));
  if (!config.tied_lm_head) {
    add(rows("lm_head.weight", dtype, view.lm_head), kRowOutputs, out);
  }
  return out;
}

}  // namespace sentinel::gpt2
