// The prompts of the timed generations: real text of exactly the length asked for.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "model/tokenizer/tokenizer.h"

namespace sentinel {

struct Prompt {
  std::string text;             // as given
  int own_tokens = 0;           // of those that are run, not what extends them
  std::vector<int32_t> tokens;  // what is run
};

// Sentence openings for every user who gives none.
std::vector<std::string> builtin_prompts();
// Non-empty lines of the file. Error (bad_input): missing file, no prompt in it.
std::vector<std::string> read_prompts(const std::string& path);

// `count` prompts, taking the texts in turn. With sequence_length > 0 each is cut to it or
// continued with consecutive tokens of `filler` (real text), from its start again when that runs
// out. Error (usage): a prompt without tokens, or nothing to continue with.
std::vector<Prompt> make_prompts(const Tokenizer& tokenizer, const std::vector<std::string>& texts,
                                 int count, int sequence_length, std::span<const int32_t> filler);

nlohmann::json to_json(const std::vector<Prompt>& prompts);

}  // namespace sentinel
