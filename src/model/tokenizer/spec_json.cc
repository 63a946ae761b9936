#include "model/tokenizer/spec_json.h"

#include <limits>

#include "base/error.h"

namespace sentinel::spec_json {
using nlohmann::json;

const json& get(const json& object, const char* key) {
  static const json null;
  if (!object.is_object()) return null;
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

std::string get_string(const json& object, const char* key, const std::string& name) {
  const json& value = get(object, key);
  if (value.is_null()) return {};
  if (!value.is_string()) throw bad_input("{}: \"{}\" must be a string", name, key);
  return value.get<std::string>();
}

bool get_bool(const json& object, const char* key, bool fallback, const std::string& name) {
  const json& value = get(object, key);
  if (value.is_null()) return fallback;
  if (!value.is_boolean()) throw bad_input("{}: \"{}\" must be true or false", name, key);
  return value.get<bool>();
}

int32_t get_id(const json& value, std::string_view token, const std::string& name) {
  constexpr uint64_t kMax = std::numeric_limits<int32_t>::max();
  if (!value.is_number_unsigned() || value.get<uint64_t>() > kMax) {
    throw bad_input(
        "{}: the id of token \"{}\" is {}, not a whole number from 0 to {}; "
        "download the file again",
        name, printable(token),
        printable(value.dump(-1, ' ', true, json::error_handler_t::replace), 40), kMax);
  }
  return static_cast<int32_t>(value.get<uint64_t>());
}

AddedToken get_added_token(const json& object, const std::string& name) {
  AddedToken token;
  token.content = get_string(object, "content", name);
  if (token.content.empty()) throw bad_input("{}: an added token has no \"content\"", name);
  token.special = get_bool(object, "special", false, name);
  token.normalized = get_bool(object, "normalized", !token.special, name);
  for (const char* key : {"single_word", "lstrip", "rstrip"}) {
    if (get_bool(object, key, false, name)) {
      throw bad_input("{}: added token \"{}\" has {} set, which is not supported; set it to false",
                      name, printable(token.content), key);
    }
  }
  return token;
}

}  // namespace sentinel::spec_json
