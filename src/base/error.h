// Shorthands for throwing Error with a formatted message.
#pragma once

#include <fmt/format.h>

#include "sentinel/error.h"

namespace sentinel {

// throw bad_input("{}: truncated header; download the file again", path)
template <typename... Args>
Error bad_input(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ErrorKind::bad_input, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
Error usage_error(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ErrorKind::usage, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
Error runtime_error(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ErrorKind::runtime, fmt::format(format, std::forward<Args>(args)...));
}

// The text with all but printable ASCII replaced by '?', cut to `max` bytes (then "..." follows),
// so that a name from a file cannot break an error message's single line.
std::string printable(std::string_view text, size_t max = 120);

}  // namespace sentinel
