#include "model/families/gpt2.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "model/families/config_reader.h"

namespace sentinel::gpt2 {
namespace {
using nlohmann::json;

// Bounds far beyond any GPT-2, so that nothing is ever allocated for a nonsensical size.
constexpr int kMaxLayers = 1000, kMaxWidth = 65536, kMaxHeads = 1024, kMaxFfn = 1 << 20;
constexpr int kMaxVocab = 10'000'000, kMaxPositions = 1'000'000;

Activation parse_activation(const ConfigReader& reader) {
  const std::string name = reader.text("activation_function", "gelu_new");
  if (name == "gelu_new" || name == "gelu_pytorch_tanh" || name == "gelu_fast") {
    return Activation::gelu_tanh;
  }
  if (name == "gelu") return Activation::gelu_erf;
  if (name == "relu") return Activation::relu;
  throw bad_input(
      "{}: activation_function \"{}\" is not supported (known: gelu_new, gelu_pytorch_tanh, "
      "gelu_fast, gelu, relu)",
      reader.where(), printable(name, 40));
}

// A number, a list of which the first counts, or nothing. An id outside the vocabulary can never
// be generated, so it is the same as none.
int parse_eos(const ConfigReader& reader, int vocab_size) {
  const json* value = reader.find("eos_token_id");
  if (value && value->is_array()) value = value->empty() ? nullptr : &value->front();
  if (!value) return -1;
  const auto id = checked_integer(*value, INT64_MIN, INT64_MAX);
  if (!id) throw bad_input("{}: \"eos_token_id\" is not a whole number", reader.where());
  return *id >= 0 && *id < vocab_size ? static_cast<int>(*id) : -1;
}

// pruned_heads as transformers 4 writes it, {"layer": [heads]}: those heads are not in the file.
std::set<int> parse_head_list(const json& heads, int layer, const ModelConfig& config,
                              const std::string& where) {
  if (!heads.is_array()) {
    throw bad_input("{}: pruned_heads of layer {} is not a list of heads", where, layer);
  }
  std::set<int> removed;
  for (const json& head : heads) {
    const auto id = checked_integer(head, 0, config.n_heads - 1);
    if (!id || !removed.insert(static_cast<int>(*id)).second) {
      throw bad_input(
          "{}: pruned_heads of layer {} holds {}, expected different heads from 0 to {}", where,
          layer, printable(head.dump(), 40), config.n_heads - 1);
    }
  }
  return removed;
}

void apply_pruned_heads(const ConfigReader& reader, ModelConfig& config) {
  std::vector<std::set<int>> removed(config.layers.size());
  std::set<int> seen;
  if (const json* pruned = reader.find("pruned_heads")) {
    if (!pruned->is_object()) {
      throw bad_input("{}: pruned_heads is not an object of layers", reader.where());
    }
    for (const auto& [key, heads] : pruned->items()) {
      int layer = -1;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), layer);
      const bool whole = error == std::errc() && end == key.data() + key.size();
      if (!whole || layer < 0 || layer >= config.n_layers || !seen.insert(layer).second) {
        throw bad_input(
            "{}: pruned_heads names layer \"{}\", expected each of 0 to {} once at most",
            reader.where(), printable(key, 40), config.n_layers - 1);
      }
      removed[layer] = parse_head_list(heads, layer, config, reader.where());
    }
  }
  for (int l = 0; l < config.n_layers; ++l) {
    LayerConfig& layer = config.layers[l];
    for (int h = 0; h < config.n_heads; ++h) {
      if (!removed[l].contains(h)) layer.head_ids.push_back(h);
    }
    layer.n_heads = static_cast<int>(layer.head_ids.size());
  }
}

// Sentinel's own key of that name, or null.
const json* own_key(const ConfigReader& reader, const char* key) {
  const json* own = reader.find("sentinel");
  if (!own) return nullptr;
  if (!own->is_object()) throw bad_input("{}: \"sentinel\" is not an object", reader.where());
  const auto found = own->find(key);
  return found == own->end() ? nullptr : &*found;
}

// "sentinel": {"weights": {"2": "bf16", "3": "int8"}}: number types of levels, only wider ones.
void apply_level_weights(const ConfigReader& reader, ModelConfig& config) {
  const json* weights = own_key(reader, "weights");
  if (!weights) return;
  const auto broken = [&] {
    return bad_input(
        "{}: sentinel.weights is {}, expected bf16 or f32 for level \"2\", those, int8 or int6 for "
        "\"3\"",
        reader.where(), printable(weights->dump(), 60));
  };
  if (!weights->is_object()) throw broken();
  for (const auto& [level, type] : weights->items()) {
    if (level != "2" && level != "3") throw broken();
    auto& of_level = config.weights_of_level[static_cast<size_t>(level[0] - '0')];
    if (type == "f32") of_level = WeightType::f32;
    if (type == "bf16") of_level = WeightType::bf16;
    if (type == "int8" && level == "3") of_level = WeightType::int8;
    if (type == "int6" && level == "3") of_level = WeightType::int6;
    if (!of_level) throw broken();
  }
}

// "sentinel": {"ffn_dims": [...]}: neurons per layer, which no key of transformers can say.
void apply_ffn_dims(const ConfigReader& reader, ModelConfig& config) {
  for (auto& layer : config.layers) layer.ffn_dim = config.ffn_dim;
  const json* dims = own_key(reader, "ffn_dims");
  if (!dims) return;
  if (!dims->is_array() || dims->size() != config.layers.size()) {
    throw bad_input("{}: sentinel.ffn_dims must list {} numbers, one for each layer",
                    reader.where(), config.n_layers);
  }
  for (size_t l = 0; l < config.layers.size(); ++l) {
    const auto dim = checked_integer((*dims)[l], 0, config.ffn_dim);
    if (!dim) {
      throw bad_input("{}: sentinel.ffn_dims of layer {} is {}, expected 0 to {}", reader.where(),
                      l, printable((*dims)[l].dump(), 40), config.ffn_dim);
    }
    config.layers[l].ffn_dim = static_cast<int>(*dim);
  }
}

// A weight stored [n_in, n_out], as W [n_out, n_in].
MatrixView conv1d(TensorSource& tensors, const std::string& name, int64_t n_in, int64_t n_out) {
  return tensors.matrix(name, n_in, n_out).transposed();
}

// c_attn [d_model, 3 * width] holds the columns of all q, then all k, then all v; c_proj
// [width, d_model] a row for each element of the concatenated heads. width = n_heads * head_dim.
void add_heads(const ModelConfig& config, int layer, const std::string& name, TensorSource& tensors,
               LayerView& view) {
  const int64_t d = config.head_dim;
  const int64_t n_heads = config.layers[layer].n_heads;
  const int64_t width = n_heads * d;
  const MatrixView qkv = conv1d(tensors, name + "c_attn.weight", config.d_model, 3 * width);
  const VectorView qkv_bias = tensors.vector(name + "c_attn.bias", 3 * width);
  const MatrixView proj = conv1d(tensors, name + "c_proj.weight", width, config.d_model);
  view.o_bias = tensors.vector(name + "c_proj.bias", config.d_model);
  for (int64_t h = 0; h < n_heads; ++h) {
    HeadView& head = view.heads.emplace_back();
    head.q = qkv.outputs(h * d, d);
    head.k = qkv.outputs(width + h * d, d);
    head.v = qkv.outputs(2 * width + h * d, d);
    head.q_bias = qkv_bias.part(h * d, d);
    head.k_bias = qkv_bias.part(width + h * d, d);
    head.v_bias = qkv_bias.part(2 * width + h * d, d);
    head.o = proj.inputs(h * d, d);
  }
}

LayerView build_layer(const ModelConfig& config, int l, TensorSource& tensors) {
  const std::string name = fmt::format("h.{}.", l);
  const int64_t d_model = config.d_model, ffn_dim = config.layers[l].ffn_dim;
  LayerView layer;
  layer.norm1_weight = tensors.vector(name + "ln_1.weight", d_model);
  layer.norm1_bias = tensors.vector(name + "ln_1.bias", d_model);
  add_heads(config, l, name + "attn.", tensors, layer);
  layer.norm2_weight = tensors.vector(name + "ln_2.weight", d_model);
  layer.norm2_bias = tensors.vector(name + "ln_2.bias", d_model);
  layer.up = conv1d(tensors, name + "mlp.c_fc.weight", d_model, ffn_dim);
  layer.up_bias = tensors.vector(name + "mlp.c_fc.bias", ffn_dim);
  layer.down = conv1d(tensors, name + "mlp.c_proj.weight", ffn_dim, d_model);
  layer.down_bias = tensors.vector(name + "mlp.c_proj.bias", d_model);
  return layer;
}

}  // namespace

ModelConfig parse_config(const json& json_config, const std::string& where) {
  const ConfigReader reader(json_config, where);
  ModelConfig config;
  config.family = "gpt2";
  config.n_layers = reader.integer("n_layer", 1, kMaxLayers);
  config.d_model = reader.integer("n_embd", 1, kMaxWidth);
  config.n_heads = reader.integer("n_head", 1, kMaxHeads);
  if (config.d_model % config.n_heads != 0) {
    throw bad_input("{}: n_embd {} is not a multiple of n_head {}; download the model again", where,
                    config.d_model, config.n_heads);
  }
  config.head_dim = config.d_model / config.n_heads;
  config.vocab_size = reader.integer("vocab_size", 1, kMaxVocab);
  config.context_length = reader.integer("n_positions", 1, kMaxPositions);
  config.ffn_dim = reader.integer("n_inner", 1, kMaxFfn, 4 * config.d_model);
  config.norm_epsilon = static_cast<float>(reader.number("layer_norm_epsilon", 1e-12, 1.0, 1e-5));
  config.activation = parse_activation(reader);
  config.tied_lm_head = reader.boolean("tie_word_embeddings", true);
  config.eos_token = parse_eos(reader, config.vocab_size);
  if (reader.boolean("add_cross_attention", false)) {
    throw bad_input("{}: add_cross_attention is true; only plain decoders are supported", where);
  }
  const bool scaled = reader.boolean("scale_attn_weights", true);
  const bool by_layer = reader.boolean("scale_attn_by_inverse_layer_idx", false);
  for (int l = 0; l < config.n_layers; ++l) {
    const double scale = scaled ? 1 / std::sqrt(static_cast<double>(config.head_dim)) : 1;
    config.attention_scale.push_back(static_cast<float>(by_layer ? scale / (l + 1) : scale));
  }
  config.layers.resize(static_cast<size_t>(config.n_layers));
  apply_pruned_heads(reader, config);
  apply_ffn_dims(reader, config);
  apply_level_weights(reader, config);
  return config;
}

ModelView build_view(const ModelConfig& config, TensorSource& tensors) {
  ModelView view;
  view.token_embedding = tensors.matrix("wte.weight", config.vocab_size, config.d_model);
  view.position_embedding = tensors.matrix("wpe.weight", config.context_length, config.d_model);
  for (int l = 0; l < config.n_layers; ++l) view.layers.push_back(build_layer(config, l, tensors));
  view.final_norm_weight = tensors.vector("ln_f.weight", config.d_model);
  view.final_norm_bias = tensors.vector("ln_f.bias", config.d_model);
  if (!config.tied_lm_head) {
    view.lm_head = tensors.matrix("lm_head.weight", config.vocab_size, config.d_model);
    return view;
  }
  view.lm_head = view.token_embedding;
  if (tensors.contains("lm_head.weight")) {
    tensors.require_copy("lm_head.weight", "wte.weight",
                         "set tie_word_embeddings to false in config.json");
  }
  return view;
}

// The causal mask and its fill value, which transformers before 4.30 saved with the weights:
// h.<layer>.attn.bias and h.<layer>.attn.masked_bias.
bool is_ignored(std::string_view name) {
  if (!name.starts_with("h.")) return false;
  name.remove_prefix(2);
  const size_t digits = name.find_first_not_of("0123456789");
  if (digits == 0 || digits == std::string_view::npos) return false;
  name.remove_prefix(digits);
  return name == ".attn.bias" || name == ".attn.masked_bias";
}

}  // namespace sentinel::gpt2
