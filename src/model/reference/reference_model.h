// Level 0: the published model in plain loops, one thread, no KV cache. Slow and right.
#pragma once

#include "model/model.h"

namespace sentinel {

std::unique_ptr<Model> make_reference_model(std::shared_ptr<const Checkpoint> checkpoint,
                                            const ModelOptions& options);

}  // namespace sentinel
