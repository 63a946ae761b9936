// Levels 1 to 3: packed weights, vector kernels, threads, KV cache.
#pragma once

#include "model/model.h"

namespace sentinel {

std::unique_ptr<Model> make_fast_model(std::shared_ptr<const Checkpoint> checkpoint,
                                       const ModelOptions& options);

}  // namespace sentinel
