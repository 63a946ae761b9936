// Calibration statistics as --stats and --head_means read them: the config.json of the folder, a
// NUL byte, and its model.safetensors.
#include <cstdint>

#include "app/prune/calibration.h"
#include "scratch.h"
#include "tiny_config.h"

using namespace sentinel;

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
