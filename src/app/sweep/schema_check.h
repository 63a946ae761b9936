// A checker for the part of JSON Schema that docs/result_schema.json uses; for tests.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace sentinel::testing {

class SchemaCheck {
 public:
  explicit SchemaCheck(const nlohmann::json& schema) : root_(schema) {}

  // What is wrong with the document, one line each; keys that the schema doesn't name are too.
  std::vector<std::string> errors(const nlohmann::json& document) {
    errors_.clear();
    check(document, root_, "");
    return errors_;
  }

 private:
  using json = nlohmann::json;

  static bool has_type(const json& value, const std::string& type) {
    if (type == "integer") return value.is_number_integer();
    if (type == "number") return value.is_number();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_boolean();
    if (type == "array") return value.is_array();
    if (type == "object") return value.is_object();
    return type == "null" && value.is_null();
  }

  void fail(const std::string& where, const std::string& what) {
    errors_.push_back(fmt::format("{}: {}", where.empty() ? "/" : where, what));
  }

  void check(const json& value, const json& schema, const std::string& where) {
    if (schema.contains("$ref")) {
      const auto pointer = schema["$ref"].get<std::string>().substr(1);
      return check(value, root_.at(json::json_pointer(pointer)), where);
    }
    static const std::set<std::string> known = {
        "$schema",  "title", "description", "$defs",   "type",    "properties",
        "required", "items", "enum",        "minimum", "maximum", "additionalProperties"};
    for (const auto& [keyword, unused] : schema.items()) {
      if (!known.contains(keyword)) fail(where, fmt::format("schema keyword {}", keyword));
    }
    const json types = schema["type"].is_array() ? schema["type"] : json::array({schema["type"]});
    if (std::none_of(types.begin(), types.end(),
                     [&](const json& type) { return has_type(value, type); })) {
      return fail(where, fmt::format("{} is not {}", value.dump().substr(0, 60), types.dump()));
    }
    if (schema.contains("enum") &&
        std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end()) {
      fail(where, fmt::format("{} is not one of {}", value.dump(), schema["enum"].dump()));
    }
    if (value.is_number()) check_range(value, schema, where);
    if (value.is_object()) check_object(value, schema, where);
    if (value.is_array() && schema.contains("items")) {
      for (size_t i = 0; i < value.size(); ++i) {
        check(value[i], schema["items"], fmt::format("{}/{}", where, i));
      }
    }
  }

  void check_range(const json& value, const json& schema, const std::string& where) {
    const double number = value.get<double>();
    if (number < schema.value("minimum", number) || number > schema.value("maximum", number)) {
      fail(where, fmt::format("{} is out of range", number));
    }
  }

  void check_object(const json& value, const json& schema, const std::string& where) {
    for (const json& key : schema.value("required", json::array())) {
      if (!value.contains(key)) fail(where, fmt::format("{} is missing", key.dump()));
    }
    if (!schema.contains("properties") && !schema.contains("additionalProperties")) return;
    for (const auto& [key, member] : value.items()) {
      const std::string below = fmt::format("{}/{}", where, key);
      if (schema.contains("properties") && schema["properties"].contains(key)) {
        check(member, schema["properties"][key], below);
      } else if (schema.contains("additionalProperties")) {
        check(member, schema["additionalProperties"], below);
      } else {
        fail(below, "the schema does not describe this key");
      }
    }
  }

  const json root_;
  std::vector<std::string> errors_;
};

}  // namespace sentinel::testing
