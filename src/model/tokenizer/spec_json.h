// JSON access for the tokenizer files: every surprise becomes an Error that names file and key.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer/bpe_spec.h"

namespace sentinel::spec_json {

// parse_json, but an empty text or a document that is no object is an error too.
nlohmann::json parse_object(std::string_view text, const std::string& name);

// object[key], or null if it is missing.
const nlohmann::json& get(const nlohmann::json& object, const char* key);
// A string, or "" if missing or null.
std::string get_string(const nlohmann::json& object, const char* key, const std::string& name);
bool get_bool(const nlohmann::json& object, const char* key, bool fallback,
              const std::string& name);

// An id is a whole number from 0 to 2^31 - 1; `token` names it in the message.
int32_t get_id(const nlohmann::json& value, std::string_view token, const std::string& name);

// {"token": id, ...}
std::vector<BpeSpec::Entry> get_vocab(const nlohmann::json& object, const std::string& name);
// {"content": "<s>", "special": true, ...}; the id is set by the caller. Error if the token takes
// in its surroundings (lstrip, rstrip, single_word): decoding could not give them back.
AddedToken get_added_token(const nlohmann::json& object, const std::string& name);

}  // namespace sentinel::spec_json
