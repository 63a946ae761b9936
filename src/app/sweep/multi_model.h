// The multi-model comparison: loading and the optimized model at 0 % pruning, model by model.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/report/profile_result.h"
#include "app/sweep/cells.h"
#include "app/sweep/profile_inputs.h"

namespace sentinel {

// The inputs of every model of --compare_models: each has its own tokenizer, so its own tokens of
// the same prompts. Error (usage, bad_input): as open_inputs, for any of them.
std::vector<ProfileInputs> open_compared(const ProfileOptions& options);

// `context` gives all but model, tokenizer and prompts. One model is in memory at a time. `results`
// keeps the finished models when Error (interrupted) is thrown; those already in it are left out.
void compare_models(const ProfileOptions& options, const std::vector<ProfileInputs>& models,
                    const CellContext& context,
                    const std::function<void(int done, int total, const std::string&)>& progress,
                    std::vector<ModelResult>& results);

}  // namespace sentinel
