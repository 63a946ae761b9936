// Calibration statistics as --stats and --head_means read them: the config.json of the folder, a
// NUL byte, and its model.safetensors.
#include <cstdint>
#include <nlohmann/json.hpp>

#include "app/prune/calibration.h"
#include "model/checkpoint/hf_config.h"
#include "scratch.h"

namespace {
using namespace sentinel;

// Two layers of 2 heads of 2.
const ModelConfig& tiny_config() {
  static const ModelConfig config = parse_hf_config({{"model_type", "gpt2"},
                                                     {"n_layer", 2},
                                                     {"n_head", 2},
                                                     {"n_embd", 4},
                                                     {"n_inner", 2},
                                                     {"n_positions", 8},
                                                     {"vocab_size", 16}},
                                                    "fuzz");
  return config;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::filesystem::path folder = [] {
    const auto path = scratch_path("stats");
    std::filesystem::create_directories(path);
    return path;
  }();
  const auto [header, tensors] = split_at_nul({reinterpret_cast<const char*>(data), size});
  write_scratch(folder / "config.json", header);
  write_scratch(folder / "model.safetensors", tensors);
  accepted([&] {
    for (const LayerStats& layer : load_stats(folder, tiny_config(), "m", "").layers) {
      const bool whole = layer.attention.mean.size() == 4 && layer.attention.upper.size() == 10 &&
                         layer.entropy.size() == 2 && layer.output.size() == 2 &&
                         (layer.ffn.n == 0 || layer.ffn.upper.size() == 3);
      if (!whole) __builtin_trap();
    }
  });
  return 0;
}
