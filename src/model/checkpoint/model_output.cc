#include "model/checkpoint/model_output.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/checkpoint/hf_config.h"
#include "model/model.h"
#include "model/outlier_channels.h"

namespace sentinel {
namespace {
using nlohmann::json;

const char* torch_name(DType type) {
  switch (type) {
    case DType::f16:
      return "float16";
    case DType::bf16:
      return "bfloat16";
    case DType::int8:  // of what is not quantised
    case DType::f32:
      break;
  }
  return "float32";
}

json removed_heads(const ModelConfig& config) {
  json removed = json::object();
  for (int l = 0; l < config.n_layers; ++l) {
    const std::vector<int>& kept = config.layers[l].head_ids;
    json heads = json::array();
    for (int h = 0; h < config.n_heads; ++h) {
      if (!std::binary_search(kept.begin(), kept.end(), h)) heads.push_back(h);
    }
    if (!heads.empty()) removed[std::to_string(l)] = std::move(heads);
  }
  return removed;
}

ModelConfig unpruned(ModelConfig config) {
  for (LayerConfig& layer : config.layers) {
    layer.head_ids.clear();
    for (int h = 0; h < config.n_heads; ++h) layer.head_ids.push_back(h);
    layer.n_heads = config.n_heads;
    layer.ffn_dim = config.ffn_dim;
  }
  return config;
}

}  // namespace

json output_config(const Checkpoint& source, const ModelConfig& config) {
  json raw = source.raw_config();
  raw.erase("pruned_heads");
  json removed = removed_heads(config);
  if (!removed.empty()) raw["pruned_heads"] = std::move(removed);
  json dims = json::array(), per_layer = json::object();
  bool uneven = false;
  for (int l = 0; l < config.n_layers; ++l) {
    dims.push_back(config.layers[l].ffn_dim);
    uneven |= config.layers[l].ffn_dim != config.ffn_dim;
    per_layer[std::to_string(l)] = {{"n_head", config.layers[l].n_heads},
                                    {"n_inner", config.layers[l].ffn_dim}};
  }
  if (raw.contains("sentinel") && !raw["sentinel"].is_object()) raw.erase("sentinel");  // null
  if (raw.contains("sentinel")) raw["sentinel"].erase("ffn_dims");
  if (raw.contains("sentinel")) raw["sentinel"].erase("weights");
  if (uneven) raw["sentinel"]["ffn_dims"] = std::move(dims);
  for (size_t level = 0; level < config.weights_of_level.size(); ++level) {
    const auto& type = config.weights_of_level[level];
    if (type) raw["sentinel"]["weights"][std::to_string(level)] = to_string(*type);
  }
  if (raw.contains("sentinel") && raw["sentinel"].empty()) raw.erase("sentinel");
  raw.erase("per_layer_config");
  if (uneven || raw.contains("pruned_heads")) raw["per_layer_config"] = std::move(per_layer);
  return raw;
}

void save_model(const std::filesystem::path& folder, const Checkpoint& checkpoint,
                const ModelOutputOptions& options) {
  const ModelConfig& config = checkpoint.config();
  ModelConfig shape = options.padded ? unpruned(config) : config;
  shape.weights_of_level = options.weights_of_level.value_or(config.weights_of_level);
  const DType dtype = options.dtype.value_or(checkpoint.view().token_embedding.dtype);
  json raw = output_config(checkpoint, shape);
  raw["torch_dtype"] = torch_name(dtype);
  // transformers would take the numbers for the weights. It skips a quant_method that it does not
  // know, with a warning, but refuses a configuration without one.
  raw.erase("quantization_config");
  if (dtype == DType::int8) {
    if (options.padded) {
      throw usage_error("padded: for other tools, which do not read int8; choose f32 or bf16");
    }
    raw["quantization_config"] = {{"format", "sentinel-int8"}};
  }
  const Family& family = find_family(raw, checkpoint.origin());
  std::optional<EvenedModel> evened;
  if (dtype == DType::int8) evened.emplace(checkpoint.view());
  CheckpointOutput output;
  output.tensors =
      family.output_tensors(config, evened ? evened->view : checkpoint.view(), shape, dtype);
  for (OutputTensor& tensor : output.tensors) {
    tensor.produce = [&checkpoint, produce = std::move(tensor.produce)](TensorSink& sink) {
      produce(sink);
      checkpoint.release_pages();
    };
  }
  output.config = &raw;
  output.tokenizer_source = checkpoint.folder();
  output.extra_files = options.extra_files;
  write_checkpoint(folder, output);
}

}  // namespace sentinel
