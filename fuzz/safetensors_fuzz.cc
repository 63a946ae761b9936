// Any bytes as a safetensors file, and what passes as the weights of a tiny GPT-2.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>

#include "model/checkpoint/hf_config.h"
#include "model/checkpoint/tensor_table.h"
#include "sentinel/error.h"

namespace {
using namespace sentinel;

// One layer, one head of 2, 1 neuron, 2 tokens, 1 position: its file has about 1 KB.
const nlohmann::json& tiny_config() {
  static const nlohmann::json config = {{"model_type", "gpt2"}, {"n_layer", 1}, {"n_head", 1},
                                        {"n_embd", 2},          {"n_inner", 1}, {"n_positions", 1},
                                        {"vocab_size", 2}};
  return config;
}

void require(bool condition) {
  if (!condition) __builtin_trap();
}

// Every element that the views promise must be readable (ASan watches).
double sum(const MatrixView& matrix) {
  double total = 0;
  for (int64_t o = 0; o < matrix.n_out; ++o) {
    for (int64_t i = 0; i < matrix.n_in; ++i) total += matrix.at(o, i);
  }
  return total;
}

double sum(const VectorView& vector) {
  double total = 0;
  for (const float value : vector.to_floats()) total += value;
  return total;
}

double sum(const ModelView& view) {
  double total = sum(view.token_embedding) + sum(view.position_embedding) + sum(view.lm_head);
  for (const auto& layer : view.layers) {
    for (const auto& head : layer.heads) {
      total += sum(head.q) + sum(head.k) + sum(head.v) + sum(head.o);
      total += sum(head.q_bias) + sum(head.k_bias) + sum(head.v_bias);
    }
    total += sum(layer.norm1_weight) + sum(layer.norm1_bias) + sum(layer.o_bias);
    total += sum(layer.norm2_weight) + sum(layer.norm2_bias);
    total += sum(layer.up) + sum(layer.down) + sum(layer.up_bias) + sum(layer.down_bias);
  }
  return total + sum(view.final_norm_weight) + sum(view.final_norm_bias);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  try {
    auto entries = parse_safetensors(file, "fuzz");
    size_t bytes = 0;
    for (const auto& entry : entries) {
      require(entry.data >= file.data() && entry.data + entry.bytes <= file.data() + size);
      bytes += entry.bytes;
    }
    require(bytes < size);
    const Family& family = find_family(tiny_config(), "fuzz");
    TensorTable table(family.name_prefix);
    table.add(std::move(entries), "fuzz");
    const ModelConfig config = family.parse_config(tiny_config(), "fuzz");
    volatile double total = sum(family.build_view(config, table));
    static_cast<void>(total);
    table.require_all_used(family.is_ignored);
    require(table.used().size() == 16);
  } catch (const Error&) {
    // Refused, as it should be.
  }
  return 0;
}
