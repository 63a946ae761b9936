// What the JSON documents of several commands share.
#pragma once

#include <nlohmann/json.hpp>

#include "model/model.h"

namespace sentinel::cli {

// level, threads, isa, weights, lm_head, kv, agency, weight_bytes: what really ran.
nlohmann::json model_json(const ModelInfo& info);

// null instead of NaN and infinity, which JSON does not know.
nlohmann::json number(double value);

}  // namespace sentinel::cli
