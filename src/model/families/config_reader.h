// Checked access to the keys of a config.json: every error names the file, the key and the range.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "base/json_numbers.h"  // checked_integer, for readers of files

namespace sentinel {

class ConfigReader {
 public:
  // `where` is the file's name for messages. Both must outlive the reader.
  // Error (bad_input) if `config` is not a JSON object.
  ConfigReader(const nlohmann::json& config, const std::string& where);

  // The value of `key`, which must lie in [low, high]. Without `fallback` the key is required;
  // with it, a missing key or null gives the fallback. Error (bad_input).
  int integer(const char* key, int64_t low, int64_t high,
              std::optional<int> fallback = std::nullopt) const;
  double number(const char* key, double low, double high, double fallback) const;
  bool boolean(const char* key, bool fallback) const;
  std::string text(const char* key, const std::string& fallback) const;
  // The key's value, or null (pointer) if it is missing or JSON null.
  const nlohmann::json* find(const char* key) const;

  const std::string& where() const { return where_; }

 private:
  const nlohmann::json& config_;
  const std::string& where_;
};

}  // namespace sentinel
