// The result file (docs/result_schema.json).
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "app/report/profile_result.h"

namespace sentinel {

nlohmann::json to_json(const ProfileResult& result);
// `together`: the cells that it was timed with, for its noise.
nlohmann::json to_json(const RunResult& run, const RunGroup& together);

// Indented by 2; invalid UTF-8 replaced, figures that were not measured are null.
std::string to_text(const nlohmann::json& document);

}  // namespace sentinel
