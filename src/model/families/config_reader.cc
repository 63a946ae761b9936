#include "model/families/config_reader.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace sentinel {
using nlohmann::json;

ConfigReader::ConfigReader(const json& config, const std::string& where)
    : config_(config), where_(where) {
  if (!config.is_object()) {
    throw bad_input("{}: the configuration is not a JSON object; is this a model's config.json?",
                    where);
  }
}

const json* ConfigReader::find(const char* key) const {
  const auto it = config_.find(key);
  return it == config_.end() || it->is_null() ? nullptr : &*it;
}

int ConfigReader::integer(const char* key, int64_t low, int64_t high,
                          std::optional<int> fallback) const {
  const json* value = find(key);
  if (!value && fallback) return *fallback;
  if (!value) throw bad_input("{}: key \"{}\" is missing; download the model again", where_, key);
  const auto number = checked_integer(*value, low, high);
  if (!number) {
    throw bad_input("{}: \"{}\" is {}, expected a whole number from {} to {}", where_, key,
                    printable(value->dump(), 40), low, high);
  }
  return static_cast<int>(*number);
}

double ConfigReader::number(const char* key, double low, double high, double fallback) const {
  const json* value = find(key);
  if (!value) return fallback;
  const double number = value->is_number() ? value->get<double>() : low - 1;
  if (!(number >= low && number <= high)) {
    throw bad_input("{}: \"{}\" is {}, expected a number from {} to {}", where_, key,
                    printable(value->dump(), 40), low, high);
  }
  return number;
}

bool ConfigReader::boolean(const char* key, bool fallback) const {
  const json* value = find(key);
  if (!value) return fallback;
  if (!value->is_boolean()) {
    throw bad_input("{}: \"{}\" is {}, expected true or false", where_, key,
                    printable(value->dump(), 40));
  }
  return value->get<bool>();
}

std::string ConfigReader::text(const char* key, const std::string& fallback) const {
  const json* value = find(key);
  if (!value) return fallback;
  if (!value->is_string()) {
    throw bad_input("{}: \"{}\" is {}, expected text", where_, key, printable(value->dump(), 40));
  }
  return value->get<std::string>();
}

}  // namespace sentinel
