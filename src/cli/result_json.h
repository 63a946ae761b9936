// What the JSON documents of several commands share.
#pragma once

#include <nlohmann/json.hpp>

#include "model/model_json.h"

namespace sentinel::cli {

// null instead of NaN and infinity, which JSON does not know.
nlohmann::json number(double value);

}  // namespace sentinel::cli
