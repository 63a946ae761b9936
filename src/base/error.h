// Shorthands for throwing Error with a formatted message.
#pragma once

#include <fmt/format.h>

#include <atomic>

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

// Where long work stops on request (Ctrl-C): Error (interrupted) once *cancel is set.
inline void throw_if_set(const std::atomic<bool>* cancel) {
  if (cancel && *cancel) throw Error(ErrorKind::interrupted, "interrupted");
}

// The text with all but printable ASCII replaced by '?', cut to `max` bytes (then "..." follows),
// so that a name from a file cannot break an error message's single line.
std::string printable(std::string_view text, size_t max = 120);

}  // namespace sentinel
