// What a controller did, for people and tools.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "model/agency/controller.h"

namespace sentinel {

// Keys as the fields; `moves` one object per move.
nlohmann::json to_json(const ControllerReport& report);
// One JSON object per line and move: token, layer, head, gate before and after, signal, goal,
// reason.
std::string journal_lines(const ControllerReport& report);
// Two lines to read.
std::string to_text(const ControllerReport& report);

}  // namespace sentinel
