// Where the optimisation level comes from.
#pragma once

#include <optional>

namespace sentinel {

// `asked`, else the environment's OPTIMIZATION_LEVEL, else 1. Error (usage) outside 0..3; `option`
// names the argument in its message.
int choose_optimization_level(std::optional<int> asked, const char* option);

}  // namespace sentinel
