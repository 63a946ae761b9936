// What a saved preset says of itself, for the commands that save one.
#pragma once

#include <string>

#include "app/eval/eval.h"
#include "cli/agency_arguments.h"

namespace sentinel::cli {

PresetMeasurement preset_measurement(const ModelInfo& info, const EvalResult& result,
                                     const std::string& text_name, const EvalText& text);

// Perplexity with the same heads when closed ones leave nothing behind.
double perplexity_without_means(const ModelArguments& model, AgencyArguments agency,
                                const EvalText& text, const EvalOptions& options);

// Of a short greedy generation behind the text's first tokens: the median of its steps.
double decode_tokens_per_second(Model& model, const EvalText& text,
                                const std::atomic<bool>* cancel);

}  // namespace sentinel::cli
