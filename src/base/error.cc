#include "base/error.h"

namespace sentinel {

const char* to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
      return "usage";
    case ErrorKind::bad_input:
      return "bad_input";
    case ErrorKind::runtime:
      return "runtime";
    case ErrorKind::interrupted:
      return "interrupted";
  }
  return "runtime";
}

std::string printable(std::string_view text, size_t max) {
  std::string out;
  for (unsigned char c : text.substr(0, max)) out += (c >= 0x20 && c < 0x7f) ? char(c) : '?';
  if (text.size() > max) out += "...";
  return out;
}

}  // namespace sentinel
