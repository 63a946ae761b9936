// Random GPT-2 checkpoints of any shape, for speed measurements and tests: the weights mean
// nothing, but have the sizes and the spread of a freshly initialised model.
#pragma once

#include <cstdint>
#include <filesystem>

#include "model/weight_views.h"

namespace sentinel {

struct RandomCheckpoint {
  int layers = 12;
  int heads = 12;
  int d_model = 768;
  int vocab = 50257;  // at least 257: the bytes and <|endoftext|>
  int context = 1024;
  int ffn = 0;  // 0: 4 * d_model
  DType dtype = DType::f32;
  uint64_t seed = 0;
  int shards = 1;
};

// Makes `folder` with config.json, weights and a byte-level tokenizer of the same vocabulary.
// The same spec gives the same bytes everywhere. Error (usage) for an impossible shape or if the
// folder exists; Error (runtime) if writing fails.
void write_random_checkpoint(const std::filesystem::path& folder, const RandomCheckpoint& spec);

}  // namespace sentinel
