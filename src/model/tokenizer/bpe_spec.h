// What the tokenizer files say, before it is checked as a whole.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/tokenizer/added_tokens.h"
#include "model/tokenizer/tokenizer.h"

namespace sentinel {

struct BpeSpec {
  struct Entry {
    std::string text;  // in GPT-2's byte alphabet
    int32_t id;        // >= 0
  };
  std::string vocab_file, merges_file;  // names for messages; equal for a tokenizer.json
  std::vector<Entry> vocab;
  std::vector<std::pair<std::string, std::string>> merges;  // by rank, in the byte alphabet
  std::vector<AddedToken> added_tokens;
  bool add_prefix_space = false;  // put a space before text that does not start with one
  bool ignore_merges = false;     // a piece that is a token is that token, whatever the merges say
};

// Parsers from memory. The names stand in front of messages. Error (bad_input) for anything broken
// and for any setting that would need another algorithm than GPT-2's.
BpeSpec parse_tokenizer_json(std::string_view json, const std::string& name);
// "<|endoftext|>" is special if it is in the vocabulary.
BpeSpec parse_vocab_and_merges(std::string_view vocab_json, const std::string& vocab_name,
                               std::string_view merges, const std::string& merges_name);
// Special tokens and add_prefix_space from a tokenizer_config.json, for a vocab.json.
void apply_tokenizer_config(std::string_view json, const std::string& name, BpeSpec& spec);

// Checks that ids are dense, that all bytes have a token and that the merges fit the vocabulary.
// Error (bad_input).
std::unique_ptr<Tokenizer> make_bpe_tokenizer(const BpeSpec& spec);

}  // namespace sentinel
