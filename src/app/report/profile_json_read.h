// A result file back as the structure it was written from, to resume an interrupted run.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "app/report/profile_result.h"

namespace sentinel {

// Every section that measuring fills; what is derived from others is left out. Error (bad_input)
// naming `name`: not a result file of this version.
ProfileResult read_profile_result(const nlohmann::json& document, const std::string& name);

}  // namespace sentinel
