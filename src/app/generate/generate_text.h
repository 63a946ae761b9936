// From a prompt's text to a continuation.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "model/generator.h"

namespace sentinel {

// Tokenises the prompt (an empty one becomes the end-of-text token, where the models of this
// family begin a text) and generates in a session of the length needed; tokenize_ms and
// first_token_ms hold the tokeniser's time. `prompt_tokens`, if not null, receives the ids.
// Error (usage): prompt longer than the context, options out of range.
Generation generate_text(Model& model, const Tokenizer& tokenizer, std::string_view prompt,
                         const GenerateOptions& options, const TextCallback& callback = nullptr,
                         std::vector<int32_t>* prompt_tokens = nullptr);

// The same for a prompt of token ids, at least one.
Generation generate_tokens(Model& model, const Tokenizer& tokenizer,
                           std::span<const int32_t> prompt, const GenerateOptions& options,
                           const TextCallback& callback = nullptr);

// What both share, whatever runs the ids.
Generation generate_from_text(const Tokenizer& tokenizer, std::string_view prompt,
                              bool parse_special, int eos_token,
                              const std::function<Generation(std::span<const int32_t>)>& run,
                              std::vector<int32_t>* prompt_tokens);

}  // namespace sentinel
