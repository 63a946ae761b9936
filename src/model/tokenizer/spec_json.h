// JSON access for the tokenizer files: every surprise becomes an Error that names file and key.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/tokenizer/bpe_spec.h"

namespace sentinel::spec_json {

// A parsed tokenizer file. Vocabulary and merges are nearly all of it and go straight into vectors:
// a tree of 100,000 JSON values would take longer than everything else in loading.
struct Document {
  nlohmann::json root;  // an object; without the content of vocabulary and merges
  std::vector<BpeSpec::Entry> vocab;
  std::vector<std::pair<std::string, std::string>> merges;
};
enum class Layout {
  tokenizer_json,  // the vocabulary is model.vocab, the merges model.merges
  vocab_json,      // the whole file is the vocabulary
  config,          // no vocabulary
};
// Error (bad_input) for anything that parse_json refuses, for an empty text and for a document that
// is no object. A token that stands twice is left to Vocabulary.
Document parse(std::string_view text, const std::string& name, Layout layout);

// object[key], or null if it is missing.
const nlohmann::json& get(const nlohmann::json& object, const char* key);
// A string, or "" if missing or null.
std::string get_string(const nlohmann::json& object, const char* key, const std::string& name);
bool get_bool(const nlohmann::json& object, const char* key, bool fallback,
              const std::string& name);

// An id is a whole number from 0 to 2^31 - 1; `token` names it in the message.
int32_t get_id(const nlohmann::json& value, std::string_view token, const std::string& name);

// {"content": "<s>", "special": true, ...}; the id is set by the caller. Error if the token takes
// in its surroundings (lstrip, rstrip, single_word): decoding could not give them back.
AddedToken get_added_token(const nlohmann::json& object, const std::string& name);

}  // namespace sentinel::spec_json
