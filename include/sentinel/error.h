// The one exception type that Sentinel throws.
#pragma once

#include <stdexcept>
#include <string>

#include "sentinel/export.h"

namespace sentinel {

enum class ErrorKind {
  usage,        // an argument, option or request that makes no sense
  bad_input,    // a file from outside is missing, broken or not supported
  runtime,      // something failed while running (disk full, out of memory, ...)
  interrupted,  // the user asked to stop
};

// The word used in JSON error documents: "usage", "bad_input", "runtime", "interrupted".
SENTINEL_API const char* to_string(ErrorKind kind);

// `what()` is one line: the file or option, what is wrong, what to do.
class SENTINEL_API Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace sentinel
