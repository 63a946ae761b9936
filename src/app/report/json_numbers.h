// Numbers of files: NaN, which JSON does not have, and whole numbers that anybody may have changed.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/families/config_reader.h"

namespace sentinel {

// What was not measured is null.
inline nlohmann::json number(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

// json::get<int>() casts 1e30, which has no result, and cuts what is wider than the type.
// Error (bad_input) unless the value is a whole number that fits.
template <typename T>
T whole_number(const nlohmann::json& value) {
  static_assert(sizeof(T) <= sizeof(int64_t) && std::numeric_limits<T>::is_integer);
  if constexpr (std::is_same_v<T, uint64_t>) {
    if (value.is_number_unsigned()) return value.get<uint64_t>();
  } else {
    const auto number =
        checked_integer(value, std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
    if (number) return static_cast<T>(*number);
  }
  throw bad_input("{} stands where a whole number belongs", printable(value.dump(), 40));
}

}  // namespace sentinel
