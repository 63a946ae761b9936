// What the public options ask of the engine.
#pragma once

#include "model/model.h"
#include "sentinel/options.h"

namespace sentinel {

// All but integration points and head means, which need a checkpoint. Error (usage).
ModelOptions model_options(const AdaptiveOptions& options);

}  // namespace sentinel
