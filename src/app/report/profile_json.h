// The result file (docs/result_schema.json).
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "app/report/profile_result.h"

namespace sentinel {

nlohmann::json to_json(const ProfileResult& result);
nlohmann::json to_json(const RunResult& run);

// Indented by 2; invalid UTF-8 replaced, figures that were not measured are null.
std::string to_text(const nlohmann::json& document);

}  // namespace sentinel
