#include "base/json_numbers.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace sentinel {
using nlohmann::json;

json number(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }

std::optional<int64_t> checked_integer(const json& value, int64_t low, int64_t high) {
  if (!value.is_number_integer()) return std::nullopt;
  if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX}) {
    return std::nullopt;
  }
  const auto number = value.get<int64_t>();
  if (number < low || number > high) return std::nullopt;
  return number;
}

std::optional<uint64_t> checked_unsigned(const json& value) {
  return value.is_number_unsigned() ? std::optional(value.get<uint64_t>()) : std::nullopt;
}

void refuse_whole_number(const json& value) {
  throw bad_input("{} stands where a whole number belongs", printable(value.dump(), 40));
}

}  // namespace sentinel
