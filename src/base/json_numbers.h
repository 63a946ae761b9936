// Numbers of JSON files: NaN, which JSON does not have, and whole numbers that anybody may have
// changed.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <type_traits>

namespace sentinel {

// What was not measured is null.
nlohmann::json number(double value);

// The integer in `value` if it is one in [low, high]; never rounds and never wraps.
std::optional<int64_t> checked_integer(const nlohmann::json& value, int64_t low, int64_t high);
std::optional<uint64_t> checked_unsigned(const nlohmann::json& value);

[[noreturn]] void refuse_whole_number(const nlohmann::json& value);

// json::get<int>() casts 1e30, which has no result, and cuts what is wider than the type.
// Error (bad_input) unless the value is a whole number that fits.
template <typename T>
T whole_number(const nlohmann::json& value) {
  static_assert(sizeof(T) <= sizeof(int64_t) && std::numeric_limits<T>::is_integer);
  if constexpr (std::is_same_v<T, uint64_t>) {
    if (const auto number = checked_unsigned(value)) return *number;
  } else {
    const auto number =
        checked_integer(value, std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
    if (number) return static_cast<T>(*number);
  }
  refuse_whole_number(value);
}

}  // namespace sentinel
