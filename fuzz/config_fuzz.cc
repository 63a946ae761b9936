// Any text as config.json and as model.safetensors.index.json.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/files.h"
#include "model/checkpoint/hf_config.h"
#include "model/checkpoint/shard_index.h"
#include "sentinel/error.h"

namespace {
using namespace sentinel;

void require(bool condition) {
  if (!condition) __builtin_trap();
}

// What the rest of the program relies on.
void check(const ModelConfig& config) {
  require(config.n_layers >= 1 && config.d_model == config.n_heads * config.head_dim);
  require(config.layers.size() == static_cast<size_t>(config.n_layers));
  require(config.attention_scale.size() == config.layers.size());
  require(config.vocab_size >= 1 && config.context_length >= 1 && config.norm_epsilon > 0);
  require(config.eos_token >= -1 && config.eos_token < config.vocab_size);
  for (const auto& layer : config.layers) {
    require(layer.head_ids.size() == static_cast<size_t>(layer.n_heads));
    require(layer.n_heads <= config.n_heads && layer.ffn_dim <= config.ffn_dim);
    int previous = -1;
    for (const int head : layer.head_ids) {
      require(head > previous && head < config.n_heads);
      previous = head;
    }
  }
}

template <typename Action>
void attempt(Action action) {
  try {
    action();
  } catch (const Error&) {
    // Refused, as it should be.
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  attempt([&] { check(parse_hf_config(parse_json(text, "fuzz"), "fuzz")); });
  attempt([&] {
    for (const auto& file : ShardIndex::parse(text, "fuzz").files()) {
      require(file.find('/') == std::string::npos);
    }
  });
  return 0;
}
