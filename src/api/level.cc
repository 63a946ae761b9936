#include "api/level.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "model/config.h"

namespace sentinel {

int choose_optimization_level(std::optional<int> asked, const char* option) {
  if (asked) {
    if (*asked >= 0 && *asked < kLevels) return *asked;
    throw usage_error("{}: {} is not a level; give 0, 1, 2 or 3", option, *asked);
  }
  const char* variable = std::getenv("OPTIMIZATION_LEVEL");
  const std::string_view text = variable ? variable : "";
  if (text.empty()) return 1;
  int level = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), level);
  if (error != std::errc() || end != text.data() + text.size() || level < 0 || level >= kLevels) {
    throw usage_error(
        "environment variable OPTIMIZATION_LEVEL: \"{}\" is not a level; give 0, 1, 2 or 3, or "
        "unset it",
        printable(text));
  }
  return level;
}

}  // namespace sentinel
