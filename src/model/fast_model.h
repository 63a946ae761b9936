// Levels 1 to 3: packed weights, vector kernels, threads, KV cache.
#pragma once

#include "model/model.h"

namespace sentinel {

// Rows of a prompt that a session computes at once; fewer are left only at its end.
inline constexpr int kPrefillChunk = 512;

std::unique_ptr<Model> make_fast_model(std::shared_ptr<const Checkpoint> checkpoint,
                                       const ModelOptions& options);

}  // namespace sentinel
