// A table of strings, printed aligned for a terminal or as Markdown.
#pragma once

#include <string>
#include <vector>

namespace sentinel {

struct TextTable {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;  // each as long as the header

  std::string plain() const;     // columns separated by two spaces; numbers right-aligned
  std::string markdown() const;  // pipe table; pipes in cells escaped
};

// "1,234.5" with this many decimals; "-" for what is not finite.
std::string format_number(double value, int decimals);
// "+3.2 %"; "-" for what is not finite.
std::string format_change(double percent);
// Decimal units: "25.1 MB".
std::string format_bytes(double bytes);

}  // namespace sentinel
