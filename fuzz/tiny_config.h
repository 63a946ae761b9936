// The shape that files of fuzz targets belong to.
#pragma once

#include <nlohmann/json.hpp>

#include "model/checkpoint/hf_config.h"

namespace sentinel {

// Two layers of 2 heads of 2 dimensions and of 2 neurons: what the files under test belong to.
inline const ModelConfig& tiny_config() {
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

}  // namespace sentinel
