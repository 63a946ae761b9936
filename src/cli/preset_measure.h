// What a saved preset says of itself, for the commands that save one, and a warning for all that
// score a text.
#pragma once

#include <optional>
#include <string>

#include "app/eval/eval.h"
#include "cli/agency_arguments.h"

namespace sentinel::cli {

// On standard error, where so few tokens were scored that the perplexity says next to nothing.
void warn_of_few(int64_t tokens_scored);

PresetMeasurement preset_measurement(const ModelInfo& info, const EvalResult& result,
                                     const std::string& text_name, const EvalText& text);

// Perplexity with the same heads when closed ones leave nothing behind; `given` as in open_model().
// Nothing: interrupted.
std::optional<double> perplexity_without_means(const ModelArguments& model, AgencyArguments agency,
                                               const ModelOptions* given, const EvalText& text,
                                               const EvalOptions& options);

// Of a short greedy generation behind the text's first tokens: the median of its steps.
// Error (usage): the model's context is too short for one.
double decode_tokens_per_second(Model& model, const EvalText& text,
                                const std::atomic<bool>* cancel);

}  // namespace sentinel::cli
