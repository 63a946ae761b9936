// What a controller measures on its text.
#pragma once

#include "app/controller/steering.h"
#include "model/tokenizer/tokenizer.h"

namespace sentinel {

// Null for an empty text. Error (usage): a text too short to score. The model outlives the result.
Steering::Measure text_measure(Model& model, const Tokenizer& tokenizer,
                               const ControllerOptions& options);

}  // namespace sentinel
