// What a controller measures on its text.
#pragma once

#include <atomic>

#include "app/controller/steering.h"
#include "model/tokenizer/tokenizer.h"

namespace sentinel {

// Null for an empty text. `cancel` (may be null) set while it measures: Error (interrupted).
// Error (usage): a text too short to score. The model outlives the result.
Steering::Measure text_measure(Model& model, const Tokenizer& tokenizer,
                               const ControllerOptions& options, const std::atomic<bool>* cancel);

}  // namespace sentinel
