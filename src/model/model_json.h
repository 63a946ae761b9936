// What really ran, as the JSON documents of all commands say it.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "model/model.h"

namespace sentinel {

// level, threads, isa, weights, lm_head, kv, kv_cache, agency, tracking_interval, kv_return,
// head_means, protect_first, weight_bytes.
nlohmann::json model_json(const ModelInfo& info);

}  // namespace sentinel
