// The agency report of a model's heads (BEHAVIOUR.md 2.3), as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "model/agency/head_table.h"

namespace sentinel {

nlohmann::json agency_stats(const HeadTable& heads);

}  // namespace sentinel
